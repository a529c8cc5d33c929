#include <algorithm>

#include "src/text/normalizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

class Strip final : public Normalizer {
 public:
  explicit Strip(const Json& config)
      : left_(config["strip_left"].boolean()), right_(config["strip_right"].boolean()) {}

  void apply(AlignedText& text) const override {
    const auto solid = [](const AlignedChar& c) { return !is(c.code, kWhite); };
    if (right_) {
      text.erase(std::find_if(text.rbegin(), text.rend(), solid).base(), text.end());
    }
    if (left_) text.erase(text.begin(), std::find_if(text.begin(), text.end(), solid));
  }
  bool apply_ascii(std::string& ascii) const override {
    if (ascii.empty()) return true;
    return !(left_ && is(static_cast<unsigned char>(ascii.front()), kWhite)) &&
           !(right_ && is(static_cast<unsigned char>(ascii.back()), kWhite));
  }
  bool is_local() const override { return false; }

 private:
  bool left_;
  bool right_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_strip(const Json& config) {
  return std::make_unique<Strip>(config);
}

}  // namespace tercel::text

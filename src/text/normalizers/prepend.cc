#include "src/text/normalizer.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

class Prepend final : public Normalizer {
 public:
  explicit Prepend(const Json& config) : prefix_(to_utf32(config["prepend"].string())) {}
  void apply(AlignedText& text) const override { prepend(text, prefix_); }
  bool is_local() const override { return false; }

 private:
  std::u32string prefix_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_prepend(const Json& config) {
  return std::make_unique<Prepend>(config);
}

}  // namespace tercel::text

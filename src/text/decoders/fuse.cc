#include "src/text/decoder.h"

namespace tercel::text {
namespace {

class Fuse final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens.assign(1, std::move(all));
  }
};

}  // namespace

std::unique_ptr<const Decoder> make_fuse(const Json&) { return std::make_unique<Fuse>(); }

}  // namespace tercel::text

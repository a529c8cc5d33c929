#include "src/text/decoder.h"

namespace tercel::text {
namespace {

// All tokens are parts of one, which ends in the end.
class FuseStep final : public DecodeStep {
 public:
  explicit FuseStep(DecodeStepPtr next) : next_(std::move(next)) {}
  void push(std::string_view part, bool) override { next_->push(part, false); }
  void finish() override {
    next_->push({}, true);
    next_->finish();
  }

 private:
  DecodeStepPtr next_;
};

class Fuse final : public Decoder {
 public:
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<FuseStep>(std::move(next));
  }
};

}  // namespace

std::unique_ptr<const Decoder> make_fuse(const Json&) { return std::make_unique<Fuse>(); }

}  // namespace tercel::text

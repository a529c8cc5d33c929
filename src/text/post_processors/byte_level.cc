#include "src/text/post_processor.h"

namespace tercel::text {
namespace {

// Adds nothing; offsets may leave out white space.
class ByteLevelProcessing final : public PostProcessor {
 public:
  explicit ByteLevelProcessing(const Json& config)
      : trim_offsets_(config.boolean_or("trim_offsets", true)),
        add_prefix_space_(config.boolean_or("add_prefix_space", true)) {}
  std::size_t added_tokens(bool) const override { return 0; }
  std::vector<Encoding> apply(std::vector<Encoding> encodings, bool) const override {
    return encodings;
  }
  std::optional<OffsetTrim> offset_trim() const override {
    return trim_offsets_ ? std::optional(OffsetTrim{add_prefix_space_}) : std::nullopt;
  }

 private:
  bool trim_offsets_;
  bool add_prefix_space_;
};

}  // namespace

std::unique_ptr<const PostProcessor> make_byte_level_processing(const Json& config) {
  return std::make_unique<ByteLevelProcessing>(config);
}

}  // namespace tercel::text

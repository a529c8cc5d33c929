#include <algorithm>

#include "src/text/post_processor.h"

namespace tercel::text {
namespace {

// <s> first </s> </s> second </s>, all of type 0
class RobertaProcessing final : public PostProcessor {
 public:
  explicit RobertaProcessing(const Json& config)
      : sep_(read_named_id(config["sep"])),
        cls_(read_named_id(config["cls"])),
        trim_offsets_(config.boolean_or("trim_offsets", true)),
        add_prefix_space_(config.boolean_or("add_prefix_space", true)) {}
  std::size_t added_tokens(bool pair) const override { return pair ? 4 : 2; }
  std::vector<Encoding> apply(std::vector<Encoding> encodings,
                              bool add_special_tokens) const override {
    const auto clear_types = [](Encoding& encoding) {
      std::fill(encoding.type_ids.begin(), encoding.type_ids.end(), 0);
    };
    for (std::size_t i = 0; i < encodings.size(); ++i) {
      clear_types(encodings[i]);
      // Without special tokens, windows keep the types they had: so does `tokenizers`.
      if (!add_special_tokens) continue;
      std::for_each(encodings[i].overflowing.begin(), encodings[i].overflowing.end(), clear_types);
      surround(encodings[i], i == 0 ? cls_ : sep_, sep_, 0);
    }
    return encodings;
  }
  std::optional<OffsetTrim> offset_trim() const override {
    return trim_offsets_ ? std::optional(OffsetTrim{add_prefix_space_}) : std::nullopt;
  }

 private:
  int32_t sep_;
  int32_t cls_;
  bool trim_offsets_;
  bool add_prefix_space_;
};

}  // namespace

std::unique_ptr<const PostProcessor> make_roberta_processing(const Json& config) {
  return std::make_unique<RobertaProcessing>(config);
}

}  // namespace tercel::text

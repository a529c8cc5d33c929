#include "src/text/post_processor.h"

namespace tercel::text {
namespace {

// [CLS] first [SEP] second [SEP]
class BertProcessing final : public PostProcessor {
 public:
  explicit BertProcessing(const Json& config)
      : sep_(read_named_id(config["sep"])), cls_(read_named_id(config["cls"])) {}
  std::size_t added_tokens(bool pair) const override { return pair ? 3 : 2; }
  std::vector<Encoding> apply(std::vector<Encoding> encodings,
                              bool add_special_tokens) const override {
    if (!add_special_tokens) return encodings;
    for (std::size_t i = 0; i < encodings.size(); ++i) {
      surround(encodings[i], i == 0 ? cls_ : -1, sep_, i == 0 ? 0 : 1);
    }
    return encodings;
  }

 private:
  int32_t sep_;
  int32_t cls_;
};

}  // namespace

std::unique_ptr<const PostProcessor> make_bert_processing(const Json& config) {
  return std::make_unique<BertProcessing>(config);
}

}  // namespace tercel::text

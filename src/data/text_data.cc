#include "tercel/text_data.h"

#include <memory>
#include <utility>

namespace tercel::data {
namespace {

Tensor tensor_of(std::vector<int32_t> values) {
  const auto size = static_cast<int64_t>(values.size());
  auto kept = std::make_shared<const std::vector<int32_t>>(std::move(values));
  const void* data = kept->data();
  if (size == 0) return Tensor(Dtype::i32, {0});
  return Tensor::view_of(data, Dtype::i32, {size}, std::move(kept));
}

}  // namespace

Example example_of(Encoding encoding) {
  Example example;
  example.length = static_cast<int64_t>(encoding.size());
  example.features.emplace("input_ids", tensor_of(std::move(encoding.ids)));
  example.features.emplace("token_type_ids", tensor_of(std::move(encoding.type_ids)));
  return example;
}

ReaderDataset::Transform tokenize(Tokenizer tokenizer, TokenizeOptions options) {
  options.encode.keep_overflowing = false;
  options.encode.padding.reset();
  return [tokenizer = std::move(tokenizer), options = std::move(options)](Record& record) {
    const std::string& text = record.text(options.text);
    std::vector<Example> examples;
    examples.push_back(
        example_of(options.pair.empty()
                       ? tokenizer.encode(text, options.encode)
                       : tokenizer.encode_pair(text, record.text(options.pair), options.encode)));
    return examples;
  };
}

PadCollate text_collate(int64_t pad_id) {
  return PadCollate({{"input_ids", Dtype::i64, pad_id},
                     {"token_type_ids", Dtype::i64, 0},
                     {"attention_mask", Dtype::i64, 0, true}});
}

}  // namespace tercel::data

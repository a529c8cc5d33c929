#include "src/text/post_processor.h"

#include <limits>

#include "src/text/encoding.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class SequencePostProcessor final : public PostProcessor {
 public:
  explicit SequencePostProcessor(const Json& config) {
    config["processors"].for_each(
        [&](const Json& part) { parts_.push_back(make_post_processor(part)); });
  }
  std::size_t added_tokens(bool pair) const override {
    std::size_t count = 0;
    for (const auto& part : parts_) count += part->added_tokens(pair);
    return count;
  }
  std::vector<Encoding> apply(std::vector<Encoding> encodings,
                              bool add_special_tokens) const override {
    for (const auto& part : parts_) {
      encodings = part->apply(std::move(encodings), add_special_tokens);
    }
    return encodings;
  }
  std::optional<OffsetTrim> offset_trim() const override {
    for (const auto& part : parts_) {
      if (const auto trim = part->offset_trim()) return trim;
    }
    return std::nullopt;
  }

 private:
  std::vector<std::unique_ptr<const PostProcessor>> parts_;
};

std::unique_ptr<const PostProcessor> make_post_processor_sequence(const Json& config) {
  return std::make_unique<SequencePostProcessor>(config);
}

constexpr StageRow<PostProcessor> kPostProcessors[] = {
    {"BertProcessing", make_bert_processing},         {"ByteLevel", make_byte_level_processing},
    {"RobertaProcessing", make_roberta_processing},   {"Sequence", make_post_processor_sequence},
    {"TemplateProcessing", make_template_processing},
};

}  // namespace

std::unique_ptr<const PostProcessor> make_post_processor(const Json& config) {
  return find_stage<PostProcessor>(kPostProcessors, "post-processor", config["type"].string())
      .make(config);
}

int32_t read_id(const Json& number) {
  const int64_t value = number.integer();
  if (value < 0 || value > std::numeric_limits<int32_t>::max()) {
    number.reject("a number from 0 to 2147483647");
  }
  return static_cast<int32_t>(value);
}

int32_t read_named_id(const Json& pair) {
  int32_t id = -1;
  std::size_t index = 0;
  pair.for_each([&](const Json& part) {
    if (index++ == 1) id = read_id(part);
  });
  if (index != 2) pair.reject("a token and its id");
  return id;
}

void surround(Encoding& encoding, int32_t before, int32_t after, int32_t type_id) {
  for (Encoding& window : encoding.overflowing) surround(window, before, after, type_id);
  std::vector<Encoding> windows = std::move(encoding.overflowing);
  encoding.overflowing.clear();
  if (before >= 0) {
    Encoding front = special_encoding({before}, type_id);
    append(front, std::move(encoding));
    encoding = std::move(front);
  }
  if (after >= 0) append(encoding, special_encoding({after}, type_id));
  encoding.overflowing = std::move(windows);
}

}  // namespace tercel::text

#pragma once
// Post-processors put special tokens around the text. One file per kind in post_processors/, one
// row each in post_processor.cc.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "src/base/json.h"
#include "tercel/tokenizer.h"

namespace tercel::text {

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  virtual std::size_t added_tokens(bool pair) const = 0;
  // From the encodings of one or two texts to the pieces of the result, in order.
  virtual std::vector<Encoding> apply(std::vector<Encoding> encodings,
                                      bool add_special_tokens) const = 0;
  // Whether offsets leave out white space at the ends of a token; if so, whether one space at the
  // beginning of the text is kept because the tokenizer put it there.
  struct OffsetTrim {
    bool keeps_prefix_space;
  };
  virtual std::optional<OffsetTrim> offset_trim() const { return std::nullopt; }
};

std::unique_ptr<const PostProcessor> make_post_processor(const Json& config);

std::unique_ptr<const PostProcessor> make_bert_processing(const Json& config);
std::unique_ptr<const PostProcessor> make_byte_level_processing(const Json& config);
std::unique_ptr<const PostProcessor> make_roberta_processing(const Json& config);
std::unique_ptr<const PostProcessor> make_template_processing(const Json& config);

// A number that fits the ids of an Encoding.
int32_t read_id(const Json& number);
// ["[SEP]", 102] -> 102
int32_t read_named_id(const Json& pair);

// Puts special tokens around an encoding and each of its windows; -1 puts none.
void surround(Encoding& encoding, int32_t before, int32_t after, int32_t type_id);

}  // namespace tercel::text

#pragma once
// Texts as examples: the step between a reader and a loader.

#include <string>

#include "tercel/data_loader.h"
#include "tercel/dataset.h"
#include "tercel/export.h"
#include "tercel/tokenizer.h"

namespace tercel::data {

struct TokenizeOptions {
  std::string text = "text";  // the field that is read
  std::string pair;           // one that is read as its second text; empty: none
  EncodeOptions encode;       // truncation; padding is PadCollate's
};

// An example with the features input_ids and token_type_ids, i32 of rank 1.
TERCEL_API Example example_of(Encoding encoding);

// A transform for ReaderDataset. Texts are read as they are, special tokens are added.
TERCEL_API ReaderDataset::Transform tokenize(Tokenizer tokenizer, TokenizeOptions options = {});

// Collates what tokenize() gives into input_ids, token_type_ids and attention_mask, i64.
TERCEL_API PadCollate text_collate(int64_t pad_id = 0);

}  // namespace tercel::data

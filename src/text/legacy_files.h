#pragma once
// Tokenizers from before tokenizer.json: a vocabulary, perhaps merges, and what
// tokenizer_config.json, special_tokens_map.json and added_tokens.json beside them say. Each
// becomes the tokenizer.json that transformers would write for it, so that there is one way to
// build a tokenizer.

#include <filesystem>
#include <optional>
#include <string>

namespace tercel::text {

// BERT's vocab.txt: a token a line.
std::string json_of_vocab_txt(const std::filesystem::path& vocab);
// vocab.json and merges.txt of GPT-2, RoBERTa and CLIP. Which of them, the "tokenizer_class" says,
// or else the vocabulary.
std::string json_of_vocab_and_merges(const std::filesystem::path& vocab,
                                     const std::filesystem::path& merges);
// Both throw Errc::not_found, Errc::invalid_file, or Errc::unsupported for another class.

// A SentencePiece model of DeBERTa-v2 and v3, ALBERT, XLM-RoBERTa or CamemBERT, which number its
// pieces in their own way and put tokens around a text. Which of them, the "tokenizer_class" of
// tokenizer_config.json says, or else the "model_type" of config.json; nothing when it is none of
// them. Throws Errc::invalid_file, or Errc::unsupported for a BPE model.
std::optional<std::string> json_of_sentencepiece(const std::filesystem::path& model);

}  // namespace tercel::text

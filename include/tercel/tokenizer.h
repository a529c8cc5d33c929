#pragma once
// Text to token ids and back, from a Hugging Face tokenizer.json or the files that came before it.
//
//   const auto tokenizer = tercel::Tokenizer::load("models/minilm-qa");
//   const auto encoding = tokenizer.encode_pair(question, document);
//
// Ids, type ids, offsets and decoded text equal those of the Python package `tokenizers` (0.23), or
// of `sentencepiece` for its models. Text is UTF-8;
// each maximal ill-formed subsequence (Unicode 15, section 3.9, table 3-8) is read as one U+FFFD,
// and offsets still count the bytes as they were given. Texts are limited to 4 GiB.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tercel {

// A half-open range of a text: bytes unless said otherwise.
struct TextSpan {
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

// One model input. All vectors have the same length, one entry per token.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;
  std::vector<int32_t> attention_mask;       // 0 for padding
  std::vector<int32_t> special_tokens_mask;  // 1 for tokens that stand for no text
  std::vector<TextSpan> offsets;             // bytes of the token's own sequence; {0, 0} if special
  std::vector<int32_t> sequence_ids;         // 0 or 1: the text it comes from; -1 for none
  std::vector<int32_t> word_ids;             // counted from 0 in each sequence; -1 for none
  // What truncation cut off, as further windows that overlap by the stride.
  std::vector<Encoding> overflowing;

  std::size_t size() const { return ids.size(); }
};

// The bare tokens of one text: nothing added, nothing cut off. 16 bytes a token, which makes it the
// way to read very long documents.
struct TokenList {
  std::vector<int32_t> ids;
  std::vector<TextSpan> offsets;
  std::vector<int32_t> word_ids;

  std::size_t size() const { return ids.size(); }
};

enum class TextDirection { right, left };

enum class TruncationStrategy {
  longest_first,  // shortens the longer text of a pair, both when both are too long
  only_first,     // shortens the first text; Errc::invalid_argument when that cannot suffice
  only_second,    // shortens the second text; the same
};

struct Truncation {
  std::size_t max_length = 512;  // tokens of a window, special tokens included
  std::size_t stride = 0;        // tokens that a window repeats of the one before it
  TruncationStrategy strategy = TruncationStrategy::longest_first;
  TextDirection direction = TextDirection::right;  // left keeps the end of the text
};

struct Padding {
  std::optional<std::size_t> length;  // nothing: the longest of the batch
  std::size_t multiple_of = 0;        // rounds the length up; 0 and 1 do not
  TextDirection direction = TextDirection::right;
  int32_t pad_id = 0;
  int32_t pad_type_id = 0;
};

struct EncodeOptions {
  bool add_special_tokens = true;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  // Without it `overflowing` stays empty, and text beyond the window is not even read if possible.
  bool keep_overflowing = true;
  // That encode the texts of a batch, the caller's included; 0: one for each CPU.
  int threads = 1;
};

// A value; copies share the (immutable) vocabulary. All members may be called from many threads.
class __attribute__((visibility("default"))) Tokenizer {
 public:
  // `path` is a file, or a directory that holds one, of these, the first that there is:
  //   tokenizer.json
  //   *.model                      SentencePiece, BPE or unigram; in a folder of DeBERTa-v2 or v3,
  //                                ALBERT, XLM-RoBERTa or CamemBERT (by tokenizer_config.json or
  //                                config.json) with the ids and special tokens of theirs
  //   vocab.json and merges.txt    GPT-2, RoBERTa or CLIP: what tokenizer_config.json says, or else
  //                                the vocabulary's special tokens
  //   vocab.txt                    BERT
  // All but the first heed tokenizer_config.json, special_tokens_map.json and added_tokens.json
  // beside them. Throws Errc::not_found, Errc::invalid_file, or Errc::unsupported for a kind of
  // tokenizer that Tercel does not know.
  static Tokenizer load(const std::filesystem::path& path);
  // The same from memory; `source` is what messages call the text.
  static Tokenizer parse(std::string_view json, std::string source = "tokenizer.json");
  static Tokenizer parse_sentencepiece(std::string_view bytes,
                                       std::string source = "tokenizer.model");

  // The truncation and padding that the file asks for.
  const EncodeOptions& default_options() const;

  // Without options: default_options().
  Encoding encode(std::string_view text) const;
  Encoding encode(std::string_view text, const EncodeOptions& options) const;
  Encoding encode_pair(std::string_view first, std::string_view second) const;
  Encoding encode_pair(std::string_view first, std::string_view second,
                       const EncodeOptions& options) const;
  // As the calls one by one, in the same order, then padded to one length.
  std::vector<Encoding> encode_batch(std::span<const std::string_view> texts,
                                     const EncodeOptions& options) const;
  std::vector<Encoding> encode_pair_batch(
      std::span<const std::pair<std::string_view, std::string_view>> pairs,
      const EncodeOptions& options) const;
  // Reads no further than `max_tokens` tokens need.
  TokenList tokenize(std::string_view text,
                     std::size_t max_tokens = std::numeric_limits<std::size_t>::max()) const;

  // Unknown ids are skipped.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = true) const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(int32_t id) const;
  bool is_special(int32_t id) const;
  std::size_t vocab_size() const;  // added tokens included
  // How many tokens encode (pair = false) or encode_pair adds around the text.
  std::size_t added_tokens(bool pair) const;

  struct Impl;

 private:
  friend class DecodeStream;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Decodes ids as they come. All texts together are what decode() gives for all ids; each is of
// whole characters, and what a later id could still change is held back until then.
//
//   tercel::DecodeStream stream(tokenizer);
//   for (const int32_t id : ids) std::cout << stream.push(id);
//   std::cout << stream.finish();
class __attribute__((visibility("default"))) DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer& tokenizer, bool skip_special_tokens = true);
  DecodeStream(DecodeStream&&) noexcept;
  DecodeStream& operator=(DecodeStream&&) noexcept;
  ~DecodeStream();

  // The text that is certain now; often empty. Unknown ids are skipped.
  std::string push(int32_t id);
  // The rest; then the stream begins anew.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Byte offsets of a text as offsets in characters (code points), and back. An ill-formed sequence
// counts as one character. The text must outlive it.
class __attribute__((visibility("default"))) CharOffsets {
 public:
  explicit CharOffsets(std::string_view text);

  // Characters that begin before `byte`; beyond the text: all of them.
  uint32_t chars_before(uint32_t byte) const;
  TextSpan to_chars(TextSpan bytes) const {
    return {chars_before(bytes.begin), chars_before(bytes.end)};
  }
  // Where character number `index` begins; beyond the text: its size.
  uint32_t byte_of(uint32_t index) const;

 private:
  struct Mark {  // the first character that begins in a block of 64 bytes
    uint32_t byte;
    uint32_t chars;
  };
  std::string_view text_;
  std::vector<Mark> marks_;  // empty when the text is ASCII
};

}  // namespace tercel

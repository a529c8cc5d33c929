#pragma once
// Texts on their way to tokens.

#include <string>
#include <string_view>
#include <vector>

#include "src/text/tokenizer_impl.h"

namespace tercel::text {

// What trimming offsets forgets, of one text.
struct UntrimmedTokens {
  TextSpan first;                     // the offset of the first token
  std::vector<int32_t> spaced_words;  // added tokens that begin with exactly one space, as words
};

// One thread's use of a tokenizer; worth keeping while there are texts to encode, as it keeps its
// memory from one to the next.
class TextEncoder {
 public:
  explicit TextEncoder(const Tokenizer::Impl& tokenizer);
  // Valid until the next run.
  TokenList& run(std::string_view text, std::size_t max_tokens);
  // After run().
  UntrimmedTokens take_untrimmed() { return std::move(untrimmed_); }

 private:
  void begin(std::string_view text, std::size_t max_tokens);
  void keep_tokens(std::size_t count);
  bool is_done() const { return result_.size() >= max_tokens_; }
  // What stands between raw added tokens, whole or in pieces that do not depend on one another.
  void encode_segment(IndexRange segment);
  uint32_t cut_after(uint32_t begin, uint32_t end) const;
  void encode_piece(IndexRange piece);
  bool encode_ascii(IndexRange piece);
  bool encode_ascii_words(std::string_view bytes, uint32_t base);
  // The word as the model sees it; where the alphabet rewrites it, in rendered_.
  std::string_view render(IndexRange word);
  // Of a token of that word.
  TextSpan ascii_origin(const ModelToken& token, uint32_t base, IndexRange word) const;
  void encode_unicode(IndexRange piece);
  // Of split_.chars.
  void encode_words();
  void emit_added(const AddedToken& token, TextSpan origin, std::string_view matched);
  void emit(int32_t id, TextSpan origin, uint32_t word) {
    result_.ids.push_back(id);
    result_.offsets.push_back(origin);
    result_.word_ids.push_back(static_cast<int32_t>(word));
  }
  void emit_model_token(const ModelToken& token, TextSpan origin) {
    emit(token.id, trim_ ? trimmed(origin, *tokenizer_.model->id_to_token(token.id)) : origin,
         next_word_);
  }
  // Of a token of the word in rendered_, whose first character is `first`.
  TextSpan origin_of(const ModelToken& token, const AlignedChar* first) const;
  // A token that is longer than its word: its range itself, as the package has it.
  TextSpan beyond_word(const ModelToken& token) const;
  TextSpan trimmed(TextSpan origin, std::string_view token) const;

  const Tokenizer::Impl& tokenizer_;
  bool may_cut_;
  std::optional<PostProcessor::OffsetTrim> trim_;

  std::string_view text_;
  std::size_t max_tokens_ = 0;
  TokenList result_;
  UntrimmedTokens untrimmed_;
  uint32_t next_word_ = 0;
  std::vector<TokenMatch> segments_;
  std::vector<TokenMatch> parts_;
  std::string ascii_;
  AsciiSplit ascii_split_;
  SplitText split_;
  std::vector<ModelToken> tokens_;
  RenderedText rendered_;
  uint32_t rendered_size_ = 0;  // bytes of the word, on the fast path
};

// Where post-processing trims offsets but keeps the space that was put before a text: the first
// token of any window of it keeps its space too.
void restore_first_space(const Tokenizer::Impl& tokenizer, std::string_view text,
                         const UntrimmedTokens& tokens, Encoding& windows);

}  // namespace tercel::text

#include "tercel/tokenizer.h"

#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/text/work_ranges.h"
#include "tercel/error.h"

namespace tercel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string with_stages(const std::string& stages) {
  return R"({"version": "1.0", "truncation": null, "padding": null, )" + stages + R"(
    "added_tokens": [
      {"id": 1, "content": "[CLS]", "special": true, "normalized": false},
      {"id": 2, "content": "[SEP]", "special": true, "normalized": false},
      {"id": 99, "content": "<new>", "special": false, "normalized": false, "lstrip": true}],
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
      "max_input_chars_per_word": 10, "vocab": {
        "[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##a": 4, "##b": 5, "hell": 6, "##o": 7,
        "hello": 8, ",": 9, "cafe": 10, "##s": 11, "中": 12, "i": 13}}})";
}

std::string bert() {
  return with_stages(R"(
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                   "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},)");
}

void expect_failure(const std::string& json, Errc code, const std::string& message) {
  try {
    Tokenizer::parse(json);
    FAIL() << "accepted: " << json;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(Tokenizer, SplitsWordsIntoTheLongestPieces) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const Encoding encoding = tokenizer.encode("Hello, hellos  aab x");
  EXPECT_THAT(encoding.ids, ElementsAre(1, 8, 9, 8, 11, 3, 4, 5, 0, 2));
  EXPECT_THAT(encoding.offsets,
              ElementsAre(TextSpan{0, 0}, TextSpan{0, 5}, TextSpan{5, 6}, TextSpan{7, 12},
                          TextSpan{12, 13}, TextSpan{15, 16}, TextSpan{16, 17}, TextSpan{17, 18},
                          TextSpan{19, 20}, TextSpan{0, 0}));
  EXPECT_THAT(encoding.word_ids, ElementsAre(-1, 0, 1, 2, 2, 3, 3, 3, 4, -1));
  EXPECT_THAT(encoding.special_tokens_mask, ElementsAre(1, 0, 0, 0, 0, 0, 0, 0, 0, 1));
}

TEST(Tokenizer, OffsetsAreBytesOfTheOriginal) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const std::string text = "CAFÉs\u200B中\u0130";
  const TokenList tokens = tokenizer.tokenize(text);
  EXPECT_THAT(tokens.ids, ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(tokens.offsets,
              ElementsAre(TextSpan{0, 5}, TextSpan{5, 6}, TextSpan{9, 12}, TextSpan{12, 14}));
  const CharOffsets chars(text);
  EXPECT_EQ(chars.to_chars(tokens.offsets[2]), (TextSpan{6, 7}));
  EXPECT_EQ(chars.byte_of(6), 9U);
}

TEST(Tokenizer, IllFormedBytesAreDroppedAsReplacementCharacters) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const std::string text = "a\xE4\xB8 hel\xFFlo\xC3";
  const TokenList tokens = tokenizer.tokenize(text);
  EXPECT_THAT(tokens.ids, ElementsAre(3, 8));
  EXPECT_THAT(tokens.offsets, ElementsAre(TextSpan{0, 1}, TextSpan{4, 10}));
  EXPECT_EQ(CharOffsets(text).to_chars({4, 10}), (TextSpan{3, 9}));
}

TEST(Tokenizer, PairsHaveTypesAndSequences) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const Encoding encoding = tokenizer.encode_pair("a", "hello");
  EXPECT_THAT(encoding.ids, ElementsAre(1, 3, 2, 8, 2));
  EXPECT_THAT(encoding.type_ids, ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(encoding.sequence_ids, ElementsAre(-1, 0, -1, 1, -1));
  EXPECT_EQ(tokenizer.added_tokens(true), 3U);
}

TEST(Tokenizer, WindowsOverlapByTheStride) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  EncodeOptions options;
  options.truncation = {.max_length = 7, .stride = 1, .strategy = TruncationStrategy::only_second};
  const Encoding encoding = tokenizer.encode_pair("a", "aabbb", options);
  EXPECT_THAT(encoding.ids, ElementsAre(1, 3, 2, 3, 4, 5, 2));
  ASSERT_EQ(encoding.overflowing.size(), 1U);
  EXPECT_THAT(encoding.overflowing[0].ids, ElementsAre(1, 3, 2, 5, 5, 5, 2));
  options.keep_overflowing = false;
  const Encoding first = tokenizer.encode_pair("a", "aabbb", options);
  EXPECT_EQ(first.ids, encoding.ids);
  EXPECT_THAT(first.overflowing, IsEmpty());
  options.truncation->stride = 3;
  EXPECT_THROW(tokenizer.encode_pair("a", "aabbbb", options), Error);
  options.truncation->max_length = 2;
  EXPECT_THROW(tokenizer.encode_pair("a", "a", options), Error);
}

TEST(Tokenizer, BatchesArePadded) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const std::string_view texts[] = {"a", "", "hello, a"};
  EncodeOptions options;
  options.padding = {.multiple_of = 4, .direction = TextDirection::left, .pad_id = 7};
  const auto batch = tokenizer.encode_batch(texts, options);
  ASSERT_EQ(batch.size(), 3U);
  EXPECT_THAT(batch[0].ids, ElementsAre(7, 7, 7, 7, 7, 1, 3, 2));
  EXPECT_THAT(batch[1].attention_mask, ElementsAre(0, 0, 0, 0, 0, 0, 1, 1));
  options.padding->length = std::size_t{1} << 40;
  EXPECT_THROW(tokenizer.encode("a", options), Error);
}

TEST(Tokenizer, AddedTokensAreFoundFirst) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const TokenList tokens = tokenizer.tokenize("a  <new>[SEP]a");
  EXPECT_THAT(tokens.ids, ElementsAre(3, 14, 2, 3));
  EXPECT_EQ(tokens.offsets[1], (TextSpan{1, 8}));
  EXPECT_EQ(tokenizer.vocab_size(), 15U);
  EXPECT_EQ(tokenizer.token_to_id("<new>"), 14);
  EXPECT_EQ(tokenizer.id_to_token(14), "<new>");
  EXPECT_EQ(tokenizer.id_to_token(15), std::nullopt);
  EXPECT_TRUE(tokenizer.is_special(2));
  EXPECT_FALSE(tokenizer.is_special(14));
}

TEST(Tokenizer, LongWordsAreUnknown) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  EXPECT_EQ(tokenizer.tokenize("aaaaaaaaaa").size(), 10U);
  EXPECT_THAT(tokenizer.tokenize("aaaaaaaaaaa").ids, ElementsAre(0));
}

TEST(Tokenizer, DecodesWithoutTheSpacesThatSplittingMade) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  const std::vector<int32_t> ids = {1, 8, 9, 8, 11, 999, 2};
  EXPECT_EQ(tokenizer.decode(ids), "hello, hellos");
  EXPECT_EQ(tokenizer.decode(ids, false), "[CLS] hello, hellos [SEP]");
}

TEST(Tokenizer, TextInPiecesIsTextAtOnce) {
  // Longer than the pieces that text is cut into: the Sequence cannot be cut, and sees it whole.
  const Tokenizer cut = Tokenizer::parse(bert());
  const Tokenizer whole = Tokenizer::parse(with_stages(R"(
    "normalizer": {"type": "Sequence", "normalizers": [
       {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": null, "lowercase": true},
       {"type": "Replace", "pattern": {"String": "qqq"}, "content": "q"}]},
    "pre_tokenizer": {"type": "BertPreTokenizer"},)"));
  std::string text;
  for (int i = 0; i < 4000; ++i) {
    text += i % 7 == 0     ? "hello, "
            : i % 11 == 0  ? "CAFÉs 中\n"
            : i % 501 == 0 ? "aa [SEP]"
                           : "a b ";
  }
  const TokenList a = cut.tokenize(text);
  const TokenList b = whole.tokenize(text);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.offsets, b.offsets);
  EXPECT_EQ(a.word_ids, b.word_ids);
  const TokenList some = cut.tokenize(text, 3000);
  EXPECT_EQ(some.ids, std::vector<int32_t>(a.ids.begin(), a.ids.begin() + 3000));
}

TEST(Tokenizer, ByteLevelOffsetsAreThoseOfTheText) {
  const Tokenizer tokenizer = Tokenizer::parse(R"({"version": "1.0",
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
    "model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "", "vocab": {
      "?": 0, "\u0120": 1, "a": 2, "\u0120a": 3, "\u00c3": 4, "\u00a9": 5}}})");
  for (const char* text : {"a a  a", "a a  aé"}) {
    const TokenList tokens = tokenizer.tokenize(text);
    ASSERT_GE(tokens.size(), 4U);
    EXPECT_THAT(std::vector(tokens.ids.begin(), tokens.ids.begin() + 4), ElementsAre(3, 3, 1, 3));
    EXPECT_THAT(std::vector(tokens.offsets.begin(), tokens.offsets.begin() + 4),
                ElementsAre(TextSpan{0, 1}, TextSpan{2, 3}, TextSpan{4, 4}, TextSpan{5, 6}));
  }
  EXPECT_THAT(tokenizer.tokenize("aé").offsets,
              ElementsAre(TextSpan{0, 1}, TextSpan{1, 3}, TextSpan{1, 3}));
}

TEST(Tokenizer, WhiteSpaceAndLettersThatGrowTakeLinearTime) {
  const Tokenizer tokenizer = Tokenizer::parse(R"({"version": "1.0",
    "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "WhitespaceSplit"},
    "added_tokens": [{"id": 1, "content": " ", "lstrip": true, "rstrip": true, "normalized": false}],
    "model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0}}})");
  EXPECT_EQ(tokenizer.tokenize(std::string(1 << 19, ' ')).ids.front(), 1);
  std::string dotted;
  for (int i = 0; i < 1 << 18; ++i) dotted += "\u0130";
  EXPECT_EQ(tokenizer.tokenize(dotted).offsets[0], (TextSpan{0, 1U << 19}));
}

TEST(Tokenizer, ATextCannotGrowWithoutBound) {
  const std::string content(5000, 'a');
  const Tokenizer tokenizer = Tokenizer::parse(
      with_stages(R"("normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": ")" +
                  content + R"("},)"));
  EXPECT_NO_THROW(tokenizer.tokenize("aaaa"));
  EXPECT_THROW(tokenizer.tokenize(content), Error);
}

TEST(Tokenizer, BatchesKeepTheirOrderOnAnyNumberOfThreads) {
  const Tokenizer tokenizer = Tokenizer::parse(bert());
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (int i = 0; i < 300; ++i) {
    texts.push_back("hello" + std::string(static_cast<std::size_t>(i % 40), ',') + " cafés");
  }
  for (const std::string& text : texts) {
    views.push_back(text);
    pairs.emplace_back(text, "hello");
  }
  EncodeOptions options;
  options.padding = Padding{};
  const auto expected = tokenizer.encode_batch(views, options);
  const auto expected_pairs = tokenizer.encode_pair_batch(pairs, options);
  for (const int threads : {2, 3, 0}) {
    options.threads = threads;
    const auto batch = tokenizer.encode_batch(views, options);
    const auto pair_batch = tokenizer.encode_pair_batch(pairs, options);
    ASSERT_EQ(batch.size(), expected.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(batch[i].ids, expected[i].ids);
      EXPECT_EQ(batch[i].offsets, expected[i].offsets);
      EXPECT_EQ(pair_batch[i].ids, expected_pairs[i].ids);
    }
  }
  options.threads = -1;
  EXPECT_THROW(tokenizer.encode_batch(views, options), Error);
}

TEST(Tokenizer, TextsOfABatchThatFailAreReportedFromAnyThread) {
  const Tokenizer tokenizer =
      Tokenizer::parse(R"({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "u"}})");
  std::vector<std::string_view> texts(500, "a");
  EncodeOptions options;
  options.threads = 2;
  EXPECT_EQ(tokenizer.encode_batch(texts, options).size(), 500U);
  texts[499] = "b";
  EXPECT_THROW(tokenizer.encode_batch(texts, options), Error);
}

TEST(WorkRanges, CoverEachTextOnceTheLongOnesFirst) {
  std::mt19937 random(11);
  for (const std::size_t count : {0, 1, 2, 17, 4000}) {
    std::vector<std::size_t> sizes(count);
    for (std::size_t& size : sizes) size = random() % 50 == 0 ? random() % 100'000 : random() % 40;
    text::WorkRanges ranges(sizes, 3);
    std::vector<int> seen(count);
    std::size_t last_long = std::numeric_limits<std::size_t>::max();
    while (const auto range = ranges.next()) {
      ASSERT_LT(range->begin, range->end);
      for (std::size_t i = range->begin; i < range->end; ++i) ++seen[i];
      if (sizes[range->begin] < 40'000) continue;
      EXPECT_EQ(range->end, range->begin + 1);
      EXPECT_LE(sizes[range->begin], last_long);
      last_long = sizes[range->begin];
    }
    EXPECT_EQ(seen, std::vector<int>(count, 1));
  }
  text::WorkRanges stopped(std::vector<std::size_t>(9, 5), 2);
  stopped.stop();
  EXPECT_FALSE(stopped.next());
}

TEST(Tokenizer, MessagesSayWhatIsSupported) {
  expect_failure(with_stages(R"("normalizer": {"type": "Upper"},)"), Errc::unsupported,
                 "the normalizer type \"Upper\" is not supported; supported are: BertNormalizer,");
  expect_failure(
      with_stages(R"("normalizer": {"type": "Precompiled", "precompiled_charsmap": "A"},)"),
      Errc::invalid_file, "expected base64");
  expect_failure(with_stages(R"("pre_tokenizer": {"type": "Words"},)"), Errc::unsupported,
                 "pre-tokenizer type \"Words\"");
  expect_failure(with_stages(R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "x\\K"},
                                 "behavior": "Removed", "invert": false},)"),
                 Errc::unsupported,
                 "regular expression \"x\\K\", character 1: \\K is not supported");
  expect_failure(R"({"model": {"type": "Char"}})", Errc::unsupported,
                 "supported are: BPE, Unigram, WordLevel, WordPiece");
  expect_failure(R"({"version": "1.0"})", Errc::invalid_file, "\"model\" is missing");
  expect_failure("[]", Errc::invalid_file, "expected an object");
  expect_failure(R"({"model": {"type": "WordPiece", "vocab": {"a": -1}}})", Errc::invalid_file,
                 "\"a\": expected an id");
  EXPECT_THROW(Tokenizer::load("/nowhere/tokenizer.json"), Error);
}

}  // namespace
}  // namespace tercel

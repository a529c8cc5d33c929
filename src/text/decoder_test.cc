#include "src/text/decoder.h"

#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tercel/error.h"
#include "tercel/tokenizer.h"

namespace tercel::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What comes out after each token, and in the end.
std::vector<std::string> streamed(const std::string& json, const std::vector<std::string>& tokens) {
  const auto document = JsonDocument::parse(json, "tokenizer.json");
  const auto decoder = make_decoder(document.root());
  std::string text;
  const auto first = decoder->start(append_to(text));
  std::vector<std::string> result;
  for (const std::string& token : tokens) {
    first->push(token, true);
    result.push_back(std::exchange(text, {}));
  }
  first->finish();
  result.push_back(text);
  return result;
}

TEST(Decoder, ByteLevelHoldsHalfCharacters) {
  // é is C3 A9; U+0100 upwards are the bytes from 0.
  EXPECT_THAT(streamed(R"({"type": "ByteLevel"})", {"Ġa", "Ã", "©b", "中", "Ã"}),
              ElementsAre(" a", "", "éb", "中", "", "\xEF\xBF\xBD"));
  EXPECT_THAT(streamed(R"({"type": "ByteLevel"})", {"ð", "Ł", "a"}), ElementsAre("", "",
                                                                                 "\xEF\xBF\xBD"
                                                                                 "a",
                                                                                 ""));
}

TEST(Decoder, ByteFallbackWaitsForTheEndOfARun) {
  EXPECT_THAT(streamed(R"({"type": "ByteFallback"})", {"<0xC3>", "<0xA9>", "a", "<0xC3>", "b"}),
              ElementsAre("", "", "éa", "",
                          "\xEF\xBF\xBD"
                          "b",
                          ""));
  EXPECT_THAT(streamed(R"({"type": "ByteFallback"})", {"<0xEF>", "<0xBF>", "<0xBD>", "<0xFF>"}),
              ElementsAre("", "", "", "", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"));
}

TEST(Decoder, BpeDropsTheLastSuffix) {
  EXPECT_THAT(streamed(R"({"type": "BPEDecoder", "suffix": "</w>"})", {"a", "b</w>", "c</w>"}),
              ElementsAre("", "a", "b ", "c"));
}

TEST(Decoder, CtcDropsRepeats) {
  const std::string json =
      R"({"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": true})";
  EXPECT_THAT(streamed(json, {"a", "a", "<pad>", "a", "|", "b"}),
              ElementsAre("a", "", "", "a", " ", "b", ""));
}

TEST(Decoder, SequenceAsLlamaHasIt) {
  const std::string json = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
    {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 2}]})";
  EXPECT_THAT(streamed(json, {"▁", "▁a", "<0x20>", "▁", "▁", "b", "▁▁▁"}),
              ElementsAre("", " a", "", "", " ", "  b", " ", ""));
}

TEST(Decoder, StripWorksInPartsAsOnTheWhole) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const auto pick = [&](int most) { return std::uniform_int_distribution<>(0, most)(random); };
    const int start = pick(3);
    const int stop = pick(3);
    std::vector<std::string> tokens(static_cast<std::size_t>(pick(5)));
    std::string whole;
    for (std::string& token : tokens) {
      for (int i = pick(3); i > 0; --i) token += pick(2) == 0 ? "x" : " ";
      whole += token;
    }
    std::string_view rest = whole;
    for (int i = 0; i < start && rest.starts_with(' '); ++i) rest.remove_prefix(1);
    for (int i = 0; i < stop && rest.ends_with(' '); ++i) rest.remove_suffix(1);
    const std::string json = R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": )" +
                             std::to_string(start) + R"(, "stop": )" + std::to_string(stop) + "}]}";
    std::string all;
    for (const std::string& part : streamed(json, tokens)) all += part;
    ASSERT_EQ(all, rest) << "\"" << whole << "\" " << start << " " << stop;
  }
}

TEST(Decoder, RefusesLongChainsAndExplosions) {
  std::string chain = R"({"type": "Sequence", "decoders": [{"type": "Fuse"})";
  for (int i = 0; i < 100; ++i) chain += R"(, {"type": "Fuse"})";
  EXPECT_THROW(streamed(chain + "]}", {"a"}), Error);
  std::string bomb = R"({"type": "Sequence", "decoders": [{"type": "Fuse"})";
  for (int i = 0; i < 60; ++i) {
    bomb += R"(, {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  }
  EXPECT_THROW(streamed(bomb + "]}", {"a"}), Error);
}

TEST(DecodeStream, GivesWhatDecodeGives) {
  const Tokenizer tokenizer = Tokenizer::parse(R"({"added_tokens": [
      {"id": 3, "content": "<s>", "special": true}],
    "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1, "c": 2, "<s>": 3}}})");
  const std::vector<int32_t> ids = {3, 0, 1, 99, 2, 3};
  for (const bool skip : {true, false}) {
    DecodeStream stream(tokenizer, skip);
    for (int round = 0; round < 2; ++round) {
      std::string text;
      for (const int32_t id : ids) text += stream.push(id);
      EXPECT_EQ(text + stream.finish(), tokenizer.decode(ids, skip));
    }
  }
  EXPECT_EQ(tokenizer.decode(ids), "a b c");
  EXPECT_EQ(tokenizer.decode(ids, false), "<s> a b c <s>");
}

}  // namespace
}  // namespace tercel::text

#include <functional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <protozero/pbf_writer.hpp>

#include "src/text/chars_map.h"
#include "tercel/error.h"
#include "tercel/tokenizer.h"

namespace tercel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

enum Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct ModelWriter {
  std::string bytes;
  protozero::pbf_writer model{bytes};

  void piece(std::string_view text, float score = 0, int type = normal) {
    protozero::pbf_writer piece(model, 1);
    piece.add_string(1, text.data(), text.size());
    piece.add_float(2, score);
    if (type != normal) piece.add_enum(3, type);
  }
  void trainer(const std::function<void(protozero::pbf_writer&)>& fill) {
    protozero::pbf_writer trainer(model, 2);
    fill(trainer);
  }
  void normalizer(const std::function<void(protozero::pbf_writer&)>& fill) {
    protozero::pbf_writer normalizer(model, 3);
    fill(normalizer);
  }
  Tokenizer load() const { return Tokenizer::parse_sentencepiece(bytes, "m.model"); }
};

void add_pieces(ModelWriter& writer) {
  writer.piece("<unk>", 0, unknown);
  writer.piece("<s>", 0, control);
  writer.piece("▁", -3);
  writer.piece("a", -1);
  writer.piece("b", -2);
  writer.piece("▁a", -1.5);
  writer.piece("ab", -2.5);
  writer.piece("#", 0, user_defined);
}

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text) {
  const TokenList tokens = tokenizer.tokenize(text);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    result.push_back(fmt::format("{}:{}-{}", *tokenizer.id_to_token(tokens.ids[i]),
                                 tokens.offsets[i].begin, tokens.offsets[i].end));
  }
  return result;
}

void expect_refused(const ModelWriter& writer, Errc code, const std::string& message) {
  try {
    writer.load();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_THAT(error.what(), HasSubstr("m.model"));
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(SentencePiece, UnigramWithOffsetsOfTheOriginal) {
  ModelWriter writer;
  add_pieces(writer);
  const Tokenizer tokenizer = writer.load();
  EXPECT_THAT(pieces(tokenizer, "  ab  a#xyb "),
              ElementsAre("▁a:2-3", "b:3-4", "▁a:4-7", "#:7-8", "<unk>:8-10", "b:10-11"));
  const std::vector<int32_t> ids = {1, 5, 4, 0, 2, 3};
  EXPECT_EQ(tokenizer.decode(ids), "ab ⁇  a");
}

TEST(SentencePiece, BpeMergesByScore) {
  ModelWriter writer;
  add_pieces(writer);
  writer.trainer([](auto& trainer) { trainer.add_enum(3, 2); });
  EXPECT_THAT(pieces(writer.load(), "ab#ab"), ElementsAre("▁a:0-1", "b:1-2", "#:2-3", "ab:3-5"));
}

TEST(SentencePiece, UnusedPiecesAreTakenApart) {
  ModelWriter writer;
  add_pieces(writer);
  writer.piece("aba", -1, unused);
  writer.piece("abab", -0.5, unused);
  writer.trainer([](auto& trainer) { trainer.add_enum(3, 2); });
  writer.normalizer([](auto& normalizer) { normalizer.add_bool(3, false); });
  EXPECT_THAT(pieces(writer.load(), "abab"), ElementsAre("ab:0-2", "a:2-3", "b:3-4"));
}

TEST(SentencePiece, UnknownTextAsBytes) {
  ModelWriter writer;
  add_pieces(writer);
  for (int i = 0; i < 256; ++i) writer.piece(fmt::format("<0x{:02X}>", i), 0, byte);
  writer.trainer([](auto& trainer) { trainer.add_bool(35, true); });
  const Tokenizer tokenizer = writer.load();
  EXPECT_THAT(pieces(tokenizer, "aéb"), ElementsAre("▁a:0-1", "<0xC3>:1-1", "<0xA9>:1-3", "b:3-4"));
  DecodeStream stream(tokenizer);
  const std::vector<int32_t> ids = tokenizer.tokenize("aéb").ids;
  EXPECT_EQ(stream.push(ids[0]), "a");
  EXPECT_EQ(stream.push(ids[1]), "");
  EXPECT_EQ(stream.push(ids[2]), "é");
  EXPECT_EQ(stream.push(ids[1]), "");
  EXPECT_EQ(stream.push(ids[3]),
            "\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(stream.finish(), "");
}

TEST(SentencePiece, SpacesAsTheFileSays) {
  ModelWriter writer;
  add_pieces(writer);
  writer.normalizer([](auto& normalizer) {
    normalizer.add_bool(3, false);
    normalizer.add_bool(4, false);
  });
  EXPECT_THAT(pieces(writer.load(), " a  b"), ElementsAre("▁a:0-2", "▁:2-3", "▁:3-4", "b:4-5"));
  ModelWriter suffix;
  add_pieces(suffix);
  suffix.trainer([](auto& trainer) { trainer.add_bool(24, true); });
  EXPECT_THAT(pieces(suffix.load(), "ab"), ElementsAre("ab:0-2", "▁:2-2"));
}

TEST(SentencePiece, WordsAndCharacters) {
  const auto model = [](int kind) {
    ModelWriter writer;
    writer.piece("<unk>", 0, unknown);
    for (const char* text : {"▁", "a", "b", "▁ab", "▁a"}) writer.piece(text);
    writer.piece("ba", 0, user_defined);
    writer.trainer([kind](auto& trainer) { trainer.add_enum(3, kind); });
    return writer.load();
  };
  EXPECT_THAT(pieces(model(3), "ab a xx yy"), ElementsAre("▁ab:0-2", "▁a:2-4", "<unk>:4-10"));
  EXPECT_THAT(pieces(model(4), "ab abaxyb"), ElementsAre("▁:0-0", "a:0-1", "b:1-2", "▁:2-3",
                                                         "a:3-4", "ba:4-6", "<unk>:6-8", "b:8-9"));
  EXPECT_TRUE(model(3).encode("").ids.empty());
}

TEST(SentencePiece, RefusesWhatItCannotMean) {
  ModelWriter writer;
  writer.piece("a");
  expect_refused(writer, Errc::invalid_file, "the unknown piece: expected one");
  writer.piece("<unk>", 0, unknown);
  writer.piece("<unk2>", 0, unknown);
  expect_refused(writer, Errc::invalid_file, "both the unknown piece");
  ModelWriter twice;
  add_pieces(twice);
  twice.piece("a");
  expect_refused(twice, Errc::invalid_file, "9 pieces, but only 8 different ones");
  for (const int kind : {0, 5, -1}) {
    ModelWriter other;
    add_pieces(other);
    other.trainer([kind](auto& trainer) { trainer.add_enum(3, kind); });
    expect_refused(other, Errc::unsupported, "supported are: unigram (1), bpe (2), word (3), char");
  }
  ModelWriter map;
  add_pieces(map);
  map.normalizer([](auto& normalizer) { normalizer.add_bytes(2, "\xFF\xFF\xFF\x7F____"); });
  expect_refused(map, Errc::invalid_file, "precompiled character map");
  ModelWriter cut;
  add_pieces(cut);
  cut.bytes.resize(cut.bytes.size() - 3);
  expect_refused(cut, Errc::invalid_file, "is not a SentencePiece model");
}

TEST(SentencePiece, EveryTruncationIsAnErrorOrAModel) {
  ModelWriter writer;
  add_pieces(writer);
  writer.trainer([](auto& trainer) { trainer.add_enum(3, 2); });
  for (std::size_t size = 0; size < writer.bytes.size(); ++size) {
    try {
      Tokenizer::parse_sentencepiece(writer.bytes.substr(0, size)).encode("ab #x");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::invalid_file);
    }
  }
}

}  // namespace
}  // namespace tercel

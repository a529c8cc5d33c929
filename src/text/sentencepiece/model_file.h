#pragma once
// SentencePiece's .model files (Kudo and Richardson, 2018): the protobuf message ModelProto of
// sentencepiece_model.proto.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tercel::text {

enum class PieceType : uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,  // found in the text before all else, and not normalized
  unused = 5,
  byte = 6,
};

struct SentencePiece {
  std::string_view text;
  float score = 0;
  PieceType type = PieceType::normal;
};

// Views of the file's bytes.
struct SentencePieceFile {
  enum class Kind { unigram = 1, bpe = 2, word = 3, character = 4 };

  std::string source;  // what messages call the file
  std::vector<SentencePiece> pieces;
  Kind kind = Kind::unigram;
  bool byte_fallback = false;
  bool space_is_suffix = false;
  std::string_view unknown_surface = " \xE2\x81\x87 ";
  std::string_view chars_map;  // rules of the normalizer; see chars_map.h
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
  int32_t unknown_id = -1;
};

// Throws Errc::invalid_file, or Errc::unsupported for a kind of model that Tercel does not know.
SentencePieceFile read_sentencepiece(std::span<const std::byte> bytes, std::string source);

}  // namespace tercel::text

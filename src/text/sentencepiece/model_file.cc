#include "src/text/sentencepiece/model_file.h"

#include <algorithm>
#include <array>

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/base/wire.h"
#include "src/text/decoder.h"

namespace tercel::text {
namespace {

SentencePiece read_piece(WireReader reader) {
  SentencePiece piece;
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        piece.text = reader.name();
        break;
      case 2:
        piece.score = reader.f32();
        break;
      case 3: {
        const int64_t type = reader.integer();
        if (type < 1 || type > 6) {
          fail(Errc::invalid_file, "{}: piece \"{}\": type {} is not one of 1 to 6",
               reader.source().name, shown(piece.text), type);
        }
        piece.type = static_cast<PieceType>(type);
        break;
      }
      default:
        reader.skip();
    }
  }
  return piece;
}

void read_trainer(WireReader reader, SentencePieceFile& file) {
  while (reader.next()) {
    switch (reader.field()) {
      case 3:
        file.kind =
            static_cast<SentencePieceFile::Kind>(std::clamp<int64_t>(reader.integer(), 0, 5));
        break;
      case 24:
        file.space_is_suffix = reader.integer() != 0;
        break;
      case 35:
        file.byte_fallback = reader.integer() != 0;
        break;
      case 44:
        file.unknown_surface = reader.name();
        break;
      default:
        reader.skip();
    }
  }
}

void read_normalizer(WireReader reader, SentencePieceFile& file) {
  while (reader.next()) {
    switch (reader.field()) {
      case 2:
        file.chars_map = reader.text();
        break;
      case 3:
        file.add_dummy_prefix = reader.integer() != 0;
        break;
      case 4:
        file.remove_extra_spaces = reader.integer() != 0;
        break;
      case 5:
        file.escape_spaces = reader.integer() != 0;
        break;
      default:
        reader.skip();
    }
  }
}

// Rules for decoded text; nobody is known to write them.
void refuse_denormalizer(WireReader reader) {
  while (reader.next()) {
    if (reader.field() == 2 && !reader.text().empty()) {
      fail(Errc::unsupported,
           "{}: the model has a denormalizer with a character map, which is not supported",
           reader.source().name);
    }
    if (reader.field() != 2) reader.skip();
  }
}

void check_pieces(SentencePieceFile& file) {
  std::array<bool, 256> bytes{};
  for (std::size_t i = 0; i < file.pieces.size(); ++i) {
    const SentencePiece& piece = file.pieces[i];
    if (piece.text.empty()) fail(Errc::invalid_file, "{}: piece {} is empty", file.source, i);
    if (piece.type == PieceType::unknown) {
      if (file.unknown_id >= 0) {
        fail(Errc::invalid_file, "{}: pieces {} and {} are both the unknown piece: expected one",
             file.source, file.unknown_id, i);
      }
      file.unknown_id = static_cast<int32_t>(i);
    }
    if (piece.type == PieceType::byte) {
      const int byte = byte_of_token(piece.text);
      if (!file.byte_fallback || byte < 0) {
        fail(Errc::invalid_file,
             "{}: piece {} (\"{}\") is a byte: expected <0x00> to <0xFF>, and byte_fallback to be "
             "set",
             file.source, i, shown(piece.text));
      }
      bytes[static_cast<std::size_t>(byte)] = true;
    }
  }
  if (file.unknown_id < 0) {
    fail(Errc::invalid_file, "{}: none of the {} pieces is the unknown piece: expected one",
         file.source, file.pieces.size());
  }
  if (file.byte_fallback && std::find(bytes.begin(), bytes.end(), false) != bytes.end()) {
    fail(Errc::invalid_file, "{}: byte_fallback is set: expected pieces for all 256 bytes",
         file.source);
  }
}

}  // namespace

SentencePieceFile read_sentencepiece(std::span<const std::byte> bytes, std::string source) {
  SentencePieceFile file;
  file.source = source;
  const WireSource wire{std::move(source), bytes, "a SentencePiece model"};
  WireReader reader(wire);
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        file.pieces.push_back(read_piece(reader.message()));
        break;
      case 2:
        read_trainer(reader.message(), file);
        break;
      case 3:
        read_normalizer(reader.message(), file);
        break;
      case 5:
        refuse_denormalizer(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  check_pieces(file);
  if (file.kind < SentencePieceFile::Kind::unigram ||
      file.kind > SentencePieceFile::Kind::character) {
    fail(Errc::unsupported,
         "{}: the model type {} is not supported; supported are: unigram (1), bpe (2), word (3), "
         "char (4)",
         file.source, static_cast<int>(file.kind));
  }
  return file;
}

}  // namespace tercel::text

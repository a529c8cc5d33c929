#include "src/text/sentencepiece/models.h"
#include "src/text/sentencepiece/stages.h"

namespace tercel::text {

std::unique_ptr<const Model> make_sentencepiece_model(const SentencePieceFile& file) {
  switch (file.kind) {
    case SentencePieceFile::Kind::bpe:
      return make_sentencepiece_bpe(file);
    case SentencePieceFile::Kind::word:
    case SentencePieceFile::Kind::character:
      return make_sentencepiece_plain(file);
    case SentencePieceFile::Kind::unigram:
      break;
  }
  return make_sentencepiece_unigram(file);
}

}  // namespace tercel::text

#include "src/text/sentencepiece/models.h"
#include "src/text/sentencepiece/stages.h"

namespace tercel::text {

std::unique_ptr<const Model> make_sentencepiece_model(const SentencePieceFile& file) {
  return file.kind == SentencePieceFile::Kind::bpe ? make_sentencepiece_bpe(file)
                                                   : make_sentencepiece_unigram(file);
}

}  // namespace tercel::text

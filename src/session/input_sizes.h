#pragma once
// What inference says of a model when the dimensions that its inputs leave open have sizes.

#include <cstdint>
#include <map>
#include <string>

#include "src/ops/infer.h"

namespace tercel {

struct InputSizes {
  std::map<std::string, int64_t> named;  // by the symbol of a dimension
  // Of other symbols, those that say "seq". 0: as many tokens as a text often has, 128, or what the
  // model takes when that is less.
  int64_t sequence = 0;
  int64_t batch = 1;  // and those that say "batch" or come first; the rest are 1
};

struct SizedFacts {
  ops::Facts facts;
  int64_t sequence = 0;
  std::map<std::string, int64_t> chosen;  // the size of each symbol

  std::string text() const;  // "batch=1, sequence=128"
};

// Throws as ops::infer for sizes that the model rejects.
SizedFacts infer_sized(const ir::Model& model, const InputSizes& sizes);

}  // namespace tercel

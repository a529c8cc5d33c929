#pragma once
// Operators on what strings say (ONNX's text family).

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef regex_full_match;
extern const OpDef string_concat;
extern const OpDef string_normalizer;
extern const OpDef string_split;
extern const OpDef tf_idf_vectorizer;

}  // namespace tercel::ops

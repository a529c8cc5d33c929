#include "src/ops/strings/strings.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family strings_ops() {
  static constexpr const OpDef* kOps[] = {&regex_full_match, &string_concat, &string_normalizer,
                                          &string_split, &tf_idf_vectorizer};
  return kOps;
}

}  // namespace tercel::ops

#include <algorithm>
#include <limits>

#include "src/ops/strings/strings.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kTfIdfVectorizerAttributes[] = {
    {"max_gram_length", AttributeKind::integer, true},
    {"max_skip_count", AttributeKind::integer, true},
    {"min_gram_length", AttributeKind::integer, true},
    {"mode", AttributeKind::string, true},
    {"ngram_counts", AttributeKind::integers, true},
    {"ngram_indexes", AttributeKind::integers, true},
    {"pool_int64s", AttributeKind::integers},
    {"pool_strings", AttributeKind::strings},
    {"weights", AttributeKind::numbers}};

// Columns of the output: one more than the greatest of ngram_indexes.
int64_t columns_of_tf_idf_vectorizer(const InferContext& context) {
  int64_t greatest = -1;
  for (const int64_t index : context.node().ints_or("ngram_indexes", {})) {
    if (index < 0 || index == std::numeric_limits<int64_t>::max())
      context.reject("ngram_indexes: {} is no index of a column", index);
    greatest = std::max(greatest, index);
  }
  return greatest + 1;
}

void check_input(const InferContext& context) {
  const Dtype dtype = context.dtype(0);
  const bool strings = context.node().has_attribute("pool_strings");
  if (strings == context.node().has_attribute("pool_int64s"))
    context.reject("expected either pool_strings or pool_int64s");
  const bool fits = strings ? dtype == Dtype::string : dtype == Dtype::i32 || dtype == Dtype::i64;
  if (dtype != Dtype::undefined && !fits) {
    context.reject("the input has {}; expected {}, as the pool", to_string(dtype),
                   strings ? "string" : "i32 or i64");
  }
}

void infer_tf_idf_vectorizer(InferContext& context) {
  check_input(context);
  const std::string mode = context.node().string_or("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    context.reject("mode is \"{}\"; expected TF, IDF or TFIDF", mode);
  const ir::Dim columns(columns_of_tf_idf_vectorizer(context));
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, Dtype::f32);
    return;
  }
  if (x->size() > 2) context.reject("the input is {}; expected [C] or [N, C]", ir::to_string(*x));
  if (x->size() == 2)
    context.set_output(0, Dtype::f32, {x->front(), columns});
  else
    context.set_output(0, Dtype::f32, {columns});
}

}  // namespace

const OpDef tf_idf_vectorizer{.name = "TfIdfVectorizer",
                              .since = 9,
                              .compatible_since = 9,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attributes = kTfIdfVectorizerAttributes,
                              .infer = infer_tf_idf_vectorizer};

}  // namespace tercel::ops

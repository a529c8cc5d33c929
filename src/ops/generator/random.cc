// What is drawn at random: RandomUniform, RandomNormal, their Like forms, Bernoulli, Multinomial.

#include "src/base/checked.h"
#include "src/ops/generator/generator.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kUniform[] = {{"dtype", AttributeKind::integer},
                                     {"high", AttributeKind::number},
                                     {"low", AttributeKind::number},
                                     {"seed", AttributeKind::number},
                                     {"shape", AttributeKind::integers, true}};
constexpr AttributeDef kNormal[] = {{"dtype", AttributeKind::integer},
                                    {"mean", AttributeKind::number},
                                    {"scale", AttributeKind::number},
                                    {"seed", AttributeKind::number},
                                    {"shape", AttributeKind::integers, true}};
constexpr AttributeDef kBernoulli[] = {{"dtype", AttributeKind::integer},
                                       {"seed", AttributeKind::number}};
constexpr AttributeDef kMultinomial[] = {{"dtype", AttributeKind::integer},
                                         {"sample_size", AttributeKind::integer},
                                         {"seed", AttributeKind::number}};

Dtype dtype_or(const InferContext& context, Dtype otherwise) {
  if (!context.node().has_attribute("dtype")) return otherwise;
  return static_cast<Dtype>(context.node().int_or("dtype", 0));
}

void infer_shaped(InferContext& context) {
  ir::Dims dims;
  for (const int64_t size : context.node().ints_or("shape", {})) {
    if (size < 0) context.reject("shape: {} is negative", size);
    dims.emplace_back(size);
  }
  context.set_output(0, dtype_or(context, Dtype::f32), std::move(dims));
}

void infer_like(InferContext& context) {
  const Dtype dtype = dtype_or(context, context.dtype(0));
  if (const ir::Dims* dims = context.dims(0))
    context.set_output(0, dtype, *dims);
  else
    context.set_output(0, dtype);
}

void infer_multinomial(InferContext& context) {
  const auto rank = context.rank(0);
  if (rank && *rank != 2) context.reject("the input has rank {}; expected 2", *rank);
  const int64_t samples = context.node().int_or("sample_size", 1);
  if (samples < 1) context.reject("sample_size is {}; expected at least 1", samples);
  const ir::Dims* dims = context.dims(0);
  context.set_output(0, dtype_or(context, Dtype::i32),
                     {dims != nullptr ? dims->front() : ir::Dim(), ir::Dim(samples)});
}

constexpr OpDef random_op(std::string_view name, int compatible_since, int inputs,
                          std::span<const AttributeDef> attributes,
                          void (*infer)(InferContext& context)) {
  return {.name = name,
          .since = 22,
          .compatible_since = compatible_since,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = attributes,
          .infer = infer,
          .deterministic = false};
}

}  // namespace

constinit const OpDef random_uniform = random_op("RandomUniform", 1, 0, kUniform, infer_shaped);
constinit const OpDef random_normal = random_op("RandomNormal", 1, 0, kNormal, infer_shaped);
constinit const OpDef random_uniform_like =
    random_op("RandomUniformLike", 1, 1, std::span(kUniform).first(4), infer_like);
constinit const OpDef random_normal_like =
    random_op("RandomNormalLike", 1, 1, std::span(kNormal).first(4), infer_like);
constinit const OpDef bernoulli = random_op("Bernoulli", 15, 1, kBernoulli, infer_like);
constinit const OpDef multinomial = random_op("Multinomial", 7, 1, kMultinomial, infer_multinomial);

}  // namespace tercel::ops

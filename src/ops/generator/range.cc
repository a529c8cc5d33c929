#include <cmath>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/ops/generator/generator.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kRangeAttributes[] = {{"stash_type", AttributeKind::integer}};
constexpr AttributeDef kEyeAttributes[] = {{"dtype", AttributeKind::integer},
                                           {"k", AttributeKind::integer}};

std::optional<int64_t> scalar_of(const InferContext& context, int index) {
  const auto numbers = context.numbers(index);
  return numbers && numbers->size() == 1 ? std::optional(numbers->front()) : std::nullopt;
}

std::optional<double> float_scalar_of(const InferContext& context, int index) {
  const Tensor* tensor = context.constant(index);
  if (tensor == nullptr || tensor->size() != 1) return std::nullopt;
  switch (tensor->dtype()) {
    case Dtype::f32:
      return tensor->values<float>().front();
    case Dtype::f64:
      return tensor->values<double>().front();
    case Dtype::f16:
      return to_float(*static_cast<const f16*>(tensor->data()));
    case Dtype::bf16:
      return to_float(*static_cast<const bf16*>(tensor->data()));
    default:
      return std::nullopt;
  }
}

// Unsigned, because the distance between two numbers may not fit.
int64_t element_of(int64_t start, int64_t delta, int64_t i) {
  return static_cast<int64_t>(static_cast<uint64_t>(start) +
                              static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
}

ir::Dim symbolic_count(const InferContext& context) {
  const Contents* start = context.contents(0);
  const Contents* limit = context.contents(1);
  if (start == nullptr || limit == nullptr || scalar_of(context, 2) != 1) return {};
  if (start->size() != 1 || limit->size() != 1) return {};
  return sub(limit->front().dim(), start->front().dim());
}

void infer_range(InferContext& context) {
  for (int i = 1; i < 3; ++i) require_same_dtype(context, 0, i);
  const auto start = scalar_of(context, 0);
  const auto limit = scalar_of(context, 1);
  const auto delta = scalar_of(context, 2);
  if (start && limit && delta) {
    if (*delta == 0) context.reject("delta is 0");
    const int64_t count = range_count(*start, *limit, *delta);
    context.set_output(0, context.dtype(0), {ir::Dim(count)});
    if (count > kMaxContents || !holds_contents(context.dtype(0))) return;
    Contents contents;
    for (int64_t i = 0; i < count; ++i) contents.emplace_back(element_of(*start, *delta, i));
    context.set_contents(0, std::move(contents));
    return;
  }
  const auto from = float_scalar_of(context, 0);
  const auto to = float_scalar_of(context, 1);
  const auto step = float_scalar_of(context, 2);
  const bool known = from && to && step;
  context.set_output(0, context.dtype(0),
                     {known ? ir::Dim(range_count(*from, *to, *step)) : symbolic_count(context)});
}

void infer_eye_like(InferContext& context) {
  const auto rank = context.rank(0);
  if (rank && *rank != 2) context.reject("the input has rank {}; expected 2", *rank);
  const auto dtype = context.node().has_attribute("dtype")
                         ? static_cast<Dtype>(context.node().int_or("dtype", 0))
                         : context.dtype(0);
  context.set_output(0, dtype, context.dims(0) != nullptr ? *context.dims(0) : ir::Dims(2));
}

}  // namespace

int64_t range_count(int64_t start, int64_t limit, int64_t delta) {
  if (delta == 0) fail(Errc::invalid_argument, "the delta of a range is 0");
  if (delta > 0 ? start >= limit : start <= limit) return 0;
  // The distance of two int64 fits in uint64.
  const auto distance = delta > 0 ? static_cast<uint64_t>(limit) - static_cast<uint64_t>(start)
                                  : static_cast<uint64_t>(start) - static_cast<uint64_t>(limit);
  const uint64_t step = delta > 0 ? static_cast<uint64_t>(delta) : -static_cast<uint64_t>(delta);
  const uint64_t count = distance / step + (distance % step != 0 ? 1 : 0);
  if (count > static_cast<uint64_t>(INT64_MAX))
    fail(Errc::invalid_argument, "a range of {} elements is too long", count);
  return static_cast<int64_t>(count);
}

int64_t range_count(double start, double limit, double delta) {
  const double count = std::ceil((limit - start) / delta);
  if (!(count < 0x1p62)) {  // NaN as well
    fail(Errc::invalid_argument, "the range from {} to {} in steps of {} has no length", start,
         limit, delta);
  }
  return count > 0 ? static_cast<int64_t>(count) : 0;
}

const OpDef range{.name = "Range",
                  .since = 27,
                  .compatible_since = 11,
                  .min_inputs = 3,
                  .max_inputs = 3,
                  .min_outputs = 1,
                  .max_outputs = 1,
                  .attributes = kRangeAttributes,
                  .infer = infer_range};

const OpDef eye_like{.name = "EyeLike",
                     .since = 22,
                     .compatible_since = 9,
                     .min_inputs = 1,
                     .max_inputs = 1,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .attributes = kEyeAttributes,
                     .infer = infer_eye_like};

}  // namespace tercel::ops

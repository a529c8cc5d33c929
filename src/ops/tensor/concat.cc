#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

std::optional<Contents> joined(const InferContext& context) {
  Contents all;
  for (int i = 0; i < context.node().num_inputs(); ++i) {
    const auto part = elements_of(context, i);
    if (!part || static_cast<int64_t>(all.size() + part->size()) > kMaxContents)
      return std::nullopt;
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

void infer_concat(InferContext& context) {
  const int count = context.node().num_inputs();
  std::optional<ir::Dims> result;
  ir::Dim total = 0;
  for (int i = 0; i < count; ++i) {
    require_same_dtype(context, 0, i);
    const ir::Dims* dims = context.dims(i);
    if (dims == nullptr) {
      total = {};
      continue;
    }
    const int axis = context.axis(context.node().int_or("axis", 0), static_cast<int>(dims->size()));
    if (result && result->size() != dims->size()) {
      context.reject("input {} has rank {}; the inputs before it have rank {}", i, dims->size(),
                     result->size());
    }
    total = add(total, (*dims)[static_cast<std::size_t>(axis)]);
    if (!result) {
      result = *dims;
      continue;
    }
    for (std::size_t d = 0; d < dims->size(); ++d) {
      if (d != static_cast<std::size_t>(axis))
        (*result)[d] = same_dim(context, (*result)[d], (*dims)[d], "dimensions off the axis");
    }
  }
  if (!result) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const int axis = context.axis(context.node().int_or("axis", 0), static_cast<int>(result->size()));
  (*result)[static_cast<std::size_t>(axis)] = total;
  if (result->size() == 1 && holds_contents(context.dtype(0))) {
    if (auto contents = joined(context)) context.set_contents(0, std::move(*contents));
  }
  context.set_output(0, context.dtype(0), std::move(*result));
}

// How long each output of Split is; unknown ones are Dim().
ir::Dims split_lengths(const InferContext& context, const ir::Dim& whole) {
  const auto count = static_cast<std::size_t>(context.node().num_outputs());
  const int64_t wanted = context.node().int_or("num_outputs", static_cast<int64_t>(count));
  if (wanted != static_cast<int64_t>(count))
    context.reject("num_outputs is {}, but the node has {} outputs", wanted, count);
  ir::Dims lengths(count);
  if (context.has_input(1)) {
    const auto split = context.contents(1);
    if (split == nullptr) return lengths;
    if (split->size() != count)
      context.reject("split names {} lengths for {} outputs", split->size(), count);
    ir::Dim sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Known& length = (*split)[i];
      if (length.is_number() && length.number() < 0)
        context.reject("split names a length of {}", length.number());
      lengths[i] = length.dim();
      sum = add(sum, lengths[i]);
    }
    if (sum.known() && whole.known() && sum.value() != whole.value()) {
      context.reject("the lengths of split add up to {}; the axis has {} elements", sum.value(),
                     whole.value());
    }
    return lengths;
  }
  if (!whole.known()) {
    if (count == 1) lengths[0] = whole;
    return lengths;
  }
  const int64_t chunk = (whole.value() + wanted - 1) / wanted;
  int64_t left = whole.value();
  for (ir::Dim& length : lengths) {
    const int64_t taken = std::min(chunk, left);
    length = taken;
    left -= taken;
  }
  return lengths;
}

void infer_split_concat(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  const Contents* contents = context.contents(0);
  const int count = context.node().num_outputs();
  if (dims == nullptr) {
    for (int i = 0; i < count; ++i) context.set_output(i, context.dtype(0));
    return;
  }
  const auto axis = static_cast<std::size_t>(
      context.axis(context.node().int_or("axis", 0), static_cast<int>(dims->size())));
  const ir::Dims lengths = split_lengths(context, (*dims)[axis]);
  int64_t begin = 0;
  for (int i = 0; i < count; ++i) {
    ir::Dims part = *dims;
    const ir::Dim& length = lengths[static_cast<std::size_t>(i)];
    part[axis] = length;
    context.set_output(i, context.dtype(0), std::move(part));
    if (!length.known()) contents = nullptr;
    if (contents == nullptr) continue;
    const auto first = contents->begin() + begin;
    begin += length.value();
    if (begin > static_cast<int64_t>(contents->size())) break;
    context.set_contents(i, Contents(first, first + length.value()));
  }
}

constexpr AttributeDef kConcatAttributes[] = {{"axis", AttributeKind::integer, true}};
constexpr AttributeDef kConcatSplitAttributes[] = {{"axis", AttributeKind::integer},
                                                   {"num_outputs", AttributeKind::integer}};

}  // namespace

const OpDef concat{.name = "Concat",
                   .since = 13,
                   .compatible_since = 11,
                   .min_inputs = 1,
                   .max_inputs = kVariadic,
                   .min_outputs = 1,
                   .max_outputs = 1,
                   .attributes = kConcatAttributes,
                   .infer = infer_concat};

const OpDef split{.name = "Split",
                  .since = 18,
                  .compatible_since = 18,
                  .min_inputs = 1,
                  .max_inputs = 2,
                  .min_outputs = 1,
                  .max_outputs = kVariadic,
                  .attributes = kConcatSplitAttributes,
                  .infer = infer_split_concat};

}  // namespace tercel::ops

#include <algorithm>

#include "src/base/checked.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

ir::Dim product(const ir::Dims& dims) {
  ir::Dim result = 1;
  for (const ir::Dim& dim : dims) result = mul(result, dim);
  return result;
}

// Numbers first, so that what is left of a quotient is one number and the symbols.
void cancel(ir::Dims& above, ir::Dims& below) {
  for (auto dim = below.begin(); dim != below.end();) {
    const auto same = std::find_if(above.begin(), above.end(),
                                   [&](const ir::Dim& other) { return other.equals(*dim); });
    if (same == above.end()) {
      ++dim;
      continue;
    }
    above.erase(same);
    dim = below.erase(dim);
  }
}

int64_t take_numbers(ir::Dims& dims) {
  int64_t number = 1;
  for (const ir::Dim& dim : dims) {
    if (dim.known()) number = dim.value() == 0 ? 0 : checked_mul(number, dim.value());
    if (number == 0) break;
  }
  dims.erase(
      std::remove_if(dims.begin(), dims.end(), [](const ir::Dim& dim) { return dim.known(); }),
      dims.end());
  return number;
}

// The dimension that -1 stands for: all of the input's elements over the other dimensions.
ir::Dim inferred_dim(const InferContext& context, ir::Dims above, ir::Dims below) {
  cancel(above, below);
  const int64_t number = take_numbers(above);
  const int64_t divisor = take_numbers(below);
  const bool exact = divisor != 0 && number % divisor == 0;
  if (above.empty() && below.empty() && !exact) {
    context.reject("{} elements do not divide into rows of {}; the dimension of -1 has no size",
                   number, divisor);
  }
  if (exact) return div_exact(mul(ir::Dim(number / divisor), product(above)), product(below));
  return div_exact(mul(ir::Dim(number), product(above)), mul(ir::Dim(divisor), product(below)));
}

void check_sizes_reshape(const InferContext& context, const ir::Dims& from, const ir::Dims& to) {
  const auto a = ir::to_shape(from);
  const auto b = ir::to_shape(to);
  if (a && b && element_count(*a) != element_count(*b)) {
    context.reject("shape {} cannot become {}: {} elements against {}", ir::to_string(from),
                   ir::to_string(to), element_count(*a), element_count(*b));
  }
}

ir::Dim copied_dim(const InferContext& context, const ir::Dims* input, std::size_t at) {
  if (input == nullptr) return {};
  if (at >= input->size())
    context.reject("dimension {} is to be copied from an input of rank {}", at, input->size());
  return (*input)[at];
}

void infer_reshape(InferContext& context) {
  const auto target = elements_of(context, 1);
  if (!target || static_cast<int64_t>(target->size()) > kMaxRank) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const bool zero_is_zero = context.node().int_or("allowzero", 0) != 0;
  const ir::Dims* input = context.dims(0);
  ir::Dims dims;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < target->size(); ++i) {
    const Known& element = (*target)[i];
    const int64_t number = element.is_number() ? element.number() : 1;
    if (number < -1) context.reject("shape names a dimension of {}", number);
    if (number == -1) {
      if (open) context.reject("shape has more than one dimension of -1");
      open = i;
    }
    dims.push_back(number == 0 && !zero_is_zero ? copied_dim(context, input, i) : element.dim());
  }
  if (open && input != nullptr) {
    ir::Dims others = dims;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(*open));
    dims[*open] = inferred_dim(context, *input, others);
  } else if (input != nullptr) {
    check_sizes_reshape(context, *input, dims);
  }
  set_same_elements(context, std::move(dims));
}

void infer_flatten(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0), ir::Dims(2));
    return;
  }
  const auto rank = static_cast<int64_t>(dims->size());
  const int64_t given = context.node().int_or("axis", 1);
  if (given < -rank || given > rank)
    context.reject("axis {} is out of range for rank {}", given, rank);
  const auto middle = dims->begin() + (given < 0 ? given + rank : given);
  context.set_output(0, context.dtype(0),
                     {product({dims->begin(), middle}), product({middle, dims->end()})});
}

constexpr AttributeDef kReshapeAttributes[] = {{"allowzero", AttributeKind::integer}};
constexpr AttributeDef kFlattenAttributes[] = {{"axis", AttributeKind::integer}};

}  // namespace

const OpDef reshape{.name = "Reshape",
                    .since = 25,
                    .compatible_since = 14,
                    .min_inputs = 2,
                    .max_inputs = 2,
                    .min_outputs = 1,
                    .max_outputs = 1,
                    .attributes = kReshapeAttributes,
                    .infer = infer_reshape,
                    .view_of_input = true};

const OpDef flatten{.name = "Flatten",
                    .since = 25,
                    .compatible_since = 11,
                    .min_inputs = 1,
                    .max_inputs = 1,
                    .min_outputs = 1,
                    .max_outputs = 1,
                    .attributes = kFlattenAttributes,
                    .infer = infer_flatten,
                    .view_of_input = true};

}  // namespace tercel::ops

#include "src/ops/tensor/shape_rules.h"

#include <algorithm>

namespace tercel::ops {

bool holds_contents(Dtype dtype) {
  return dtype == Dtype::i64 || dtype == Dtype::i32 || dtype == Dtype::boolean;
}

void set_same_elements(InferContext& context, ir::Dims dims) {
  const Contents* contents = context.contents(0);
  if (contents != nullptr && dims.size() <= 1) {
    const auto shape = ir::to_shape(dims);
    if (!shape || element_count(*shape) == static_cast<int64_t>(contents->size()))
      context.set_contents(0, Contents(*contents));
  }
  context.set_output(0, context.dtype(0), std::move(dims));
}

std::optional<int64_t> length_of(const InferContext& context, int index) {
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr || dims->size() != 1 || !dims->front().known()) return std::nullopt;
  const int64_t length = dims->front().value();
  return length <= kMaxContents ? std::optional(length) : std::nullopt;
}

std::optional<Contents> elements_of(const InferContext& context, int index) {
  if (const Contents* contents = context.contents(index)) return *contents;
  const auto rank = context.rank(index);
  if (rank == 0) return Contents(1);
  const auto length = length_of(context, index);
  return length ? std::optional(Contents(static_cast<std::size_t>(*length))) : std::nullopt;
}

std::optional<ir::Dims> dims_from(const InferContext& context, int index) {
  const auto elements = elements_of(context, index);
  if (!elements) return std::nullopt;
  if (static_cast<int64_t>(elements->size()) > kMaxRank) {
    context.reject("input {} names {} dimensions; expected at most {}", index, elements->size(),
                   kMaxRank);
  }
  ir::Dims dims;
  for (const Known& element : *elements) {
    if (element.is_number() && element.number() < 0)
      context.reject("input {} names a dimension of {}", index, element.number());
    dims.push_back(element.dim());
  }
  return dims;
}

std::vector<int> checked_axes(const InferContext& context, const std::vector<int64_t>& axes,
                              int rank) {
  std::vector<int> result;
  for (const int64_t axis : axes) {
    const int checked = context.axis(axis, rank);
    if (std::find(result.begin(), result.end(), checked) != result.end())
      context.reject("axis {} is named twice", axis);
    result.push_back(checked);
  }
  return result;
}

ir::Dim same_dim(const InferContext& context, const ir::Dim& a, const ir::Dim& b,
                 std::string_view what) {
  if (a.known() && b.known() && a.value() != b.value())
    context.reject("{}: {} and {} must be equal", what, a.value(), b.value());
  if (a.known()) return a;
  return b.known() || !a.symbolic() ? b : a;
}

}  // namespace tercel::ops

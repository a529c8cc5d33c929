#include "src/ops/tensor/slice.h"

#include <algorithm>
#include <limits>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {

SliceRange slice_range(int64_t size, int64_t start, int64_t end, int64_t step) {
  const auto position = [&](int64_t at) { return at < 0 ? at + size : at; };
  if (step > 0) {
    start = std::clamp<int64_t>(position(start), 0, size);
    end = std::clamp<int64_t>(position(end), 0, size);
    const int64_t span = std::max<int64_t>(end - start, 0);
    return {start, step, span / step + (span % step != 0 ? 1 : 0)};
  }
  if (size == 0) return {0, step, 0};
  start = std::clamp<int64_t>(position(start), 0, size - 1);
  end = std::clamp<int64_t>(position(end), -1, size - 1);
  const int64_t span = std::max<int64_t>(start - end, 0);
  // The smallest step has no positive counterpart; any that is longer than the span is the same.
  const int64_t stride = -std::max<int64_t>(step, -std::numeric_limits<int64_t>::max());
  return {start, -stride, span / stride + (span % stride != 0 ? 1 : 0)};
}

namespace {

constexpr int64_t kFar =
    std::numeric_limits<int32_t>::max();  // "to the end", as exporters write it

// The length that is left where the positions are not all numbers; nothing where it depends on
// which of two of them is larger.
ir::Dim symbolic_length(const ir::Dim& size, const Known& start, const Known& end, int64_t step) {
  const bool from_first = start.is_number() && start.number() == 0;
  const bool to_last =
      (end.is_number() && end.number() >= kFar) || (!end.is_number() && end.dim().equals(size));
  if (step == -1) {
    const bool from_last = start.is_number() && (start.number() == -1 || start.number() >= kFar);
    return from_last && end.is_number() && end.number() <= -kFar ? size : ir::Dim();
  }
  if (step != 1) return {};
  if (to_last) {
    if (start.is_number() && start.number() < 0) return {};
    return sub(size, start.dim());
  }
  if (end.is_number() && end.number() < 0)
    return from_first && end.number() > -kFar ? sub(size, ir::Dim(-end.number())) : ir::Dim();
  // A table of positions is cut to the length of a sequence: one that is longer than the table does
  // not fit what it is added to. Elsewhere the end may well lie beyond the last element.
  if (!end.is_number() && size.known()) return sub(end.dim(), start.dim());
  return {};
}

ir::Dim sliced(const InferContext& context, const ir::Dim& size, const Known& start,
               const Known& end, const Known& step) {
  if (!step.is_number()) return {};
  if (step.number() == 0) context.reject("a step is 0");
  if (size.known() && start.is_number() && end.is_number())
    return slice_range(size.value(), start.number(), end.number(), step.number()).count;
  return symbolic_length(size, start, end, step.number());
}

std::optional<std::vector<int>> sliced_axes(const InferContext& context, std::size_t count,
                                            int rank) {
  std::vector<int64_t> axes;
  if (context.has_input(3)) {
    const auto given = context.numbers(3);
    if (!given) return std::nullopt;
    axes = *given;
    if (axes.size() != count) context.reject("{} starts for {} axes", count, axes.size());
  } else {
    for (std::size_t i = 0; i < count; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  return checked_axes(context, axes, rank);
}

void slice_contents(InferContext& context) {
  const Contents* contents = context.contents(0);
  const auto start = context.numbers(1);
  const auto end = context.numbers(2);
  const auto step = context.has_input(4) ? context.numbers(4) : std::vector<int64_t>{1};
  if (contents == nullptr || !start || !end || !step) return;
  if (start->size() != 1 || end->size() != 1 || step->size() != 1 || step->front() == 0) return;
  const SliceRange range = slice_range(static_cast<int64_t>(contents->size()), start->front(),
                                       end->front(), step->front());
  Contents kept;
  for (int64_t i = 0; i < range.count; ++i)
    kept.push_back((*contents)[static_cast<std::size_t>(range.start + i * range.step)]);
  context.set_contents(0, std::move(kept));
}

void infer_slice(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const auto starts = elements_of(context, 1);
  const auto ends = elements_of(context, 2);
  const auto axes =
      starts ? sliced_axes(context, starts->size(), static_cast<int>(dims->size())) : std::nullopt;
  if (!axes) {
    context.set_output(0, context.dtype(0), ir::Dims(dims->size()));
    return;
  }
  const auto steps = context.has_input(4) ? elements_of(context, 4)
                                          : std::optional(Contents(axes->size(), Known(1)));
  if ((ends && ends->size() != axes->size()) || (steps && steps->size() != axes->size()))
    context.reject("starts, ends and steps must be of one length; {} starts", axes->size());
  ir::Dims result = *dims;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    ir::Dim& dim = result[static_cast<std::size_t>((*axes)[i])];
    dim = sliced(context, dim, (*starts)[i], ends ? (*ends)[i] : Known(),
                 steps ? (*steps)[i] : Known());
  }
  if (axes->size() == 1) slice_contents(context);
  context.set_output(0, context.dtype(0), std::move(result));
}

}  // namespace

const OpDef slice{.name = "Slice",
                  .since = 13,
                  .compatible_since = 10,
                  .min_inputs = 3,
                  .max_inputs = 5,
                  .min_outputs = 1,
                  .max_outputs = 1,
                  .infer = infer_slice};

}  // namespace tercel::ops

#include <algorithm>
#include <array>
#include <numeric>

#include "src/base/checked.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kPadAttributes[] = {{"mode", AttributeKind::string}};

std::optional<std::vector<int>> padded_axes(const InferContext& context, int rank) {
  if (context.has_input(3)) {
    const auto axes = context.numbers(3);
    return axes ? std::optional(checked_axes(context, *axes, rank)) : std::nullopt;
  }
  std::vector<int> all(static_cast<std::size_t>(rank));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

ir::Dim padded(const InferContext& context, const ir::Dim& dim, const Known& before,
               const Known& after) {
  if (!before.is_number() || !after.is_number()) return {};
  const int64_t both = checked_add(before.number(), after.number());
  if (dim.known() && dim.value() + both < 0)
    context.reject("padding takes {} from a dimension of {}", -both, dim.value());
  return both >= 0 ? add(dim, ir::Dim(both)) : sub(dim, ir::Dim(-both));
}

void infer_pad(InferContext& context) {
  constexpr std::array<std::string_view, 4> kModes{"constant", "reflect", "edge", "wrap"};
  const std::string mode = context.node().string_or("mode", "constant");
  if (std::find(kModes.begin(), kModes.end(), mode) == kModes.end())
    context.reject("mode \"{}\": expected constant, reflect, edge or wrap", mode);
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const auto axes = padded_axes(context, static_cast<int>(dims->size()));
  const auto pads = elements_of(context, 1);
  if (!axes || !pads) {
    context.set_output(0, context.dtype(0), ir::Dims(dims->size()));
    return;
  }
  const std::size_t count = axes->size();
  if (pads->size() != 2 * count)
    context.reject("{} pads for {} axes; expected {}", pads->size(), count, 2 * count);
  ir::Dims result = *dims;
  for (std::size_t i = 0; i < count; ++i) {
    ir::Dim& dim = result[static_cast<std::size_t>((*axes)[i])];
    dim = padded(context, dim, (*pads)[i], (*pads)[count + i]);
  }
  context.set_output(0, context.dtype(0), std::move(result));
}

}  // namespace

const OpDef pad{.name = "Pad",
                .since = 25,
                .compatible_since = 18,
                .min_inputs = 2,
                .max_inputs = 4,
                .min_outputs = 1,
                .max_outputs = 1,
                .attributes = kPadAttributes,
                .infer = infer_pad};

}  // namespace tercel::ops

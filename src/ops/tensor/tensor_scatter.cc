#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kTensorScatterAttributes[] = {{"axis", AttributeKind::integer},
                                                     {"mode", AttributeKind::string}};

void infer_tensor_scatter(InferContext& context) {
  const std::string mode = context.node().string_or("mode", "linear");
  if (mode != "linear" && mode != "circular")
    context.reject("mode \"{}\": expected linear or circular", mode);
  require_same_dtype(context, 0, 1);
  const ir::Dims* cache = context.dims(0);
  const ir::Dims* update = context.dims(1);
  const ir::Dims* indices = context.dims(2);
  if (cache != nullptr) {
    const int axis =
        context.axis(context.node().int_or("axis", -2), static_cast<int>(cache->size()));
    if (axis == 0) context.reject("axis is that of the batch");
    if (update != nullptr) {
      if (update->size() != cache->size())
        context.reject("update has rank {}, the cache {}", update->size(), cache->size());
      for (std::size_t d = 0; d < cache->size(); ++d) {
        const ir::Dim& a = (*cache)[d];
        const ir::Dim& b = (*update)[d];
        if (static_cast<int>(d) != axis)
          same_dim(context, a, b, "dimensions of the cache and the update");
        else if (a.known() && b.known() && b.value() > a.value())
          context.reject("the update has {} steps, the cache {}", b.value(), a.value());
      }
    }
    if (indices != nullptr) {
      if (indices->size() != 1)
        context.reject("write_indices has rank {}; expected 1", indices->size());
      same_dim(context, indices->front(), cache->front(), "write_indices and the batch");
    }
  }
  infer_same_type(context);
}

}  // namespace

const OpDef tensor_scatter{.name = "TensorScatter",
                           .since = 24,
                           .compatible_since = 24,
                           .min_inputs = 2,
                           .max_inputs = 3,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attributes = kTensorScatterAttributes,
                           .infer = infer_tensor_scatter};

}  // namespace tercel::ops

#include "src/base/checked.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kDepthSpaceAttributes[] = {{"blocksize", AttributeKind::integer, true},
                                                  {"mode", AttributeKind::string}};

const ir::Dims* checked_input(const InferContext& context) {
  const std::string mode = context.node().string_or("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") context.reject("mode \"{}\": expected DCR or CRD", mode);
  if (context.node().int_or("blocksize", 0) < 1) context.reject("blocksize must be 1 or more");
  const ir::Dims* dims = context.dims(0);
  if (dims != nullptr && dims->size() != 4)
    context.reject("the input has rank {}; expected 4", dims->size());
  return dims;
}

ir::Dim divided(const InferContext& context, const ir::Dim& dim, int64_t by) {
  if (dim.known() && dim.value() % by != 0)
    context.reject("a dimension of {} does not divide by {}", dim.value(), by);
  return div_exact(dim, ir::Dim(by));
}

void infer_depth_to_space(InferContext& context) {
  const ir::Dims* dims = checked_input(context);
  const int64_t block = context.node().int_or("blocksize", 1);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0), ir::Dims(4));
    return;
  }
  context.set_output(0, context.dtype(0),
                     {(*dims)[0], divided(context, (*dims)[1], checked_mul(block, block)),
                      mul((*dims)[2], block), mul((*dims)[3], block)});
}

void infer_space_to_depth(InferContext& context) {
  const ir::Dims* dims = checked_input(context);
  const int64_t block = context.node().int_or("blocksize", 1);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0), ir::Dims(4));
    return;
  }
  context.set_output(0, context.dtype(0),
                     {(*dims)[0], mul((*dims)[1], checked_mul(block, block)),
                      divided(context, (*dims)[2], block), divided(context, (*dims)[3], block)});
}

}  // namespace

const OpDef depth_to_space{.name = "DepthToSpace",
                           .since = 28,
                           .compatible_since = 11,
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attributes = kDepthSpaceAttributes,
                           .infer = infer_depth_to_space};

const OpDef space_to_depth{.name = "SpaceToDepth",
                           .since = 28,
                           .compatible_since = 28,
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attributes = kDepthSpaceAttributes,
                           .infer = infer_space_to_depth};

}  // namespace tercel::ops

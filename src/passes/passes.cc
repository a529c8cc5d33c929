#include "src/passes/passes.h"

#include <array>

#include "src/ir/verify.h"
#include "src/ops/infer.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr std::array kPasses{
    Pass{"inline_functions", inline_functions},
    Pass{"fold_constants", fold_constants},
    Pass{"inline_if", inline_if},
    Pass{"eliminate_identity", eliminate_identity},
    Pass{"merge_transposes", merge_transposes},
    Pass{"simplify_shapes", simplify_shapes},
    Pass{"unflatten_rows", unflatten_rows},
    Pass{"eliminate_common", eliminate_common},
    Pass{"eliminate_dead", eliminate_dead},
    Pass{"fold_batch_norm", fold_batch_norm},
    Pass{"widen_products", widen_products},
    Pass{"fuse_qlinear_conv", fuse_qlinear_conv},
    Pass{"fold_conv_weights", fold_conv_weights},
    Pass{"fuse_qlinear", fuse_qlinear},
    Pass{"fuse_layer_norm", fuse_layer_norm},
    Pass{"fuse_gelu", fuse_gelu},
    Pass{"fuse_attention", fuse_attention},
    Pass{"fuse_heads", fuse_heads},
    Pass{"simplify_masks", simplify_masks},
};

constexpr int kMaxRounds = 8;

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

void optimize(ir::Model& model, const PassContext& outer) {
  std::shared_ptr<const ops::Facts> facts;
  const PassContext context{outer.evaluate, &facts};
  bool changed = true;
  for (int round = 0; changed && round < kMaxRounds; ++round) {
    changed = false;
    for (const Pass& pass : kPasses) {
      if (!pass.run(model, context)) continue;
      facts.reset();
      ir::verify(model, Errc::internal);
      changed = true;
    }
  }
  if (eliminate_dead(model, context)) ir::verify(model, Errc::internal);
  if (unpad(model, context)) ir::verify(model, Errc::internal);
  ops::infer_types(model);
}

void legalize(ir::Model& model, const PassContext& context) {
  if (inline_functions(model, context)) ir::verify(model, Errc::internal);
}

}  // namespace tercel::passes

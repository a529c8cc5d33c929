#include "src/ops/nn/nn.h"
#include "src/ops/nn/window.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kCol2imAttributes[] = {{"dilations", AttributeKind::integers},
                                              {"pads", AttributeKind::integers},
                                              {"strides", AttributeKind::integers}};

void infer_col2im(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  if (x != nullptr && x->size() != 3)
    context.reject("the input has rank {}; expected 3 (batch, channels x block, blocks)",
                   x->size());
  const auto image = dims_from(context, 1);
  const auto block = context.numbers(2);
  if (!image) {
    context.set_output(0, context.dtype(0));
    return;
  }
  ir::Dims out{x != nullptr ? (*x)[0] : ir::Dim(), ir::Dim()};
  out.insert(out.end(), image->begin(), image->end());
  if (block && block->size() != image->size())
    context.reject("image_shape has {} values, block_shape {}", image->size(), block->size());
  if (block && x != nullptr) {
    const Window window = window_of(context.node(), block->size(), *block);
    ir::Dim blocks(1);
    ir::Dim size(1);
    for (std::size_t d = 0; d < window.rank(); ++d) {
      blocks = mul(blocks, slid_dim(context.node(), window, d, (*image)[d]));
      size = mul(size, ir::Dim(window.kernel[d]));
    }
    same_dim(context, (*x)[2], blocks, "blocks of the input and the image");
    if ((*x)[1].known() && (*x)[1].value() % size.value() != 0) {
      context.reject("{} channels do not divide into blocks of {}", (*x)[1].value(), size.value());
    }
    out[1] = div_exact((*x)[1], size);
  }
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

constinit const OpDef col2im{.name = "Col2Im",
                             .since = 18,
                             .compatible_since = 18,
                             .min_inputs = 3,
                             .max_inputs = 3,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attributes = kCol2imAttributes,
                             .infer = infer_col2im};

}  // namespace tercel::ops

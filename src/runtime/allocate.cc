#include "src/runtime/allocate.h"

#include "src/ops/cpu.h"

namespace tercel::runtime {

Tensor allocate_output(const ir::Node& node, int index, const ops::Facts& facts, Allocator& memory,
                       const Accelerator* accelerator) {
  const ir::Type* type = facts.type(node.output(index));
  const auto shape = type != nullptr ? type->shape() : std::nullopt;
  if (!shape || type->dtype == Dtype::undefined) {
    fail(Errc::unsupported, "{} the shape of output {} cannot be told before it runs", node.label(),
         index);
  }
  const Dtype dtype = accelerator != nullptr ? accelerator->kept_as(type->dtype) : type->dtype;
  return ops::allocate_tensor(dtype, *shape, memory, node.op_type().c_str());
}

bool all_empty(std::span<const Tensor> tensors) {
  bool any = false;
  for (const Tensor& tensor : tensors) {
    if (tensor.defined() && tensor.size() > 0) return false;
    any = any || tensor.defined();
  }
  return any;
}

}  // namespace tercel::runtime

#include "src/runtime/allocate.h"

#include "src/ops/cpu.h"

namespace tercel::runtime {

Tensor allocate_output(const ir::Value& output, const ops::Facts& facts, Allocator& memory,
                       Dtype floats) {
  const ir::Node& node = *output.producer();
  const ir::Type* type = facts.type(&output);
  const auto shape = type != nullptr ? type->shape() : std::nullopt;
  if (!shape || type->dtype == Dtype::undefined) {
    fail(Errc::unsupported, "{} the shape of its output \"{}\" cannot be told before it runs",
         node.label(), output.name());
  }
  const Dtype dtype = type->dtype == Dtype::f32 ? floats : type->dtype;
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

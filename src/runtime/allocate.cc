#include "src/runtime/allocate.h"

namespace tercel::runtime {

Tensor allocate_tensor(Dtype dtype, const Shape& shape, Allocator& memory, const char* what) {
  if (dtype == Dtype::string) return {dtype, shape};
  auto buffer = memory.allocate(bytes_of(dtype, element_count(shape)), what);
  const std::byte* data = buffer->data();
  return Tensor::view_of(data, dtype, shape, std::move(buffer));
}

Tensor allocate_output(const ir::Node& node, int index, const ops::Facts& facts,
                       Allocator& memory) {
  const ir::Type* type = facts.type(node.output(index));
  const auto shape = type != nullptr ? type->shape() : std::nullopt;
  if (!shape || type->dtype == Dtype::undefined) {
    fail(Errc::unsupported, "{} the shape of output {} cannot be told before it runs", node.label(),
         index);
  }
  return allocate_tensor(type->dtype, *shape, memory, node.op_type().c_str());
}

}  // namespace tercel::runtime

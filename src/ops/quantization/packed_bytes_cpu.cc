#include "src/ops/quantization/packed_bytes_cpu.h"

#include <algorithm>
#include <vector>

#include "src/device/lasting_memory.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {
namespace {

bool is_byte(Dtype dtype) { return dtype == Dtype::i8 || dtype == Dtype::u8; }

bool is_per_column(const Tensor& tensor, int64_t n) {
  return !tensor.defined() || tensor.size() == 1 || (tensor.rank() == 1 && tensor.size() == n);
}

int32_t byte_at(const Tensor& tensor, int64_t index) {
  return tensor.dtype() == Dtype::i8 ? elements<int8_t>(tensor)[index]
                                     : elements<uint8_t>(tensor)[index];
}

}  // namespace

std::optional<QuantizedMatrix> dequantized_constant(const KernelContext& context, int index) {
  const ir::Value* value = context.node.input(index);
  const ir::Node* node = value != nullptr ? value->producer() : nullptr;
  if (node == nullptr || !node->is("DequantizeLinear") || node->int_or("block_size", 0) != 0)
    return std::nullopt;
  for (const ir::Value* input : node->inputs()) {
    if (input != nullptr && !input->is_constant()) return std::nullopt;
  }
  QuantizedMatrix matrix{node->input(0)->initializer(), node->input(1)->initializer(), {}};
  if (node->input(2) != nullptr) matrix.zero = node->input(2)->initializer();
  const int64_t axis = node->int_or("axis", 1);
  const bool by_column = axis == 1 || axis == -1;
  if (matrix.values.rank() != 2 || (!by_column && matrix.scale.size() != 1)) return std::nullopt;
  return matrix;
}

std::string PackedBytes::refuse(const QuantizedMatrix& matrix) {
  if (!is_byte(matrix.values.dtype()) || matrix.values.rank() != 2)
    return "the weight is not a matrix of bytes";
  const int64_t n = matrix.values.shape()[1];
  if (matrix.scale.defined() && matrix.scale.dtype() != Dtype::f32) return "scales are not f32";
  if (matrix.zero.defined() && matrix.zero.dtype() != matrix.values.dtype())
    return "zero points are of another type";
  if (!is_per_column(matrix.scale, n) || !is_per_column(matrix.zero, n))
    return "scales or zero points are not by column";
  return {};
}

PackedBytes::PackedBytes(const KernelContext& context, const QuantizedMatrix& matrix)
    : k_(matrix.values.shape()[0]), n_(matrix.values.shape()[1]) {
  const auto& gemm = kernels::gemm_int8_kernels(context.isa);
  std::vector<float> scales;
  std::vector<int32_t> zeros;
  for (int64_t j = 0; j < n_; ++j) {
    if (matrix.scale.defined())
      scales.push_back(elements<float>(matrix.scale)[matrix.scale.size() == 1 ? 0 : j]);
    if (matrix.zero.defined())
      zeros.push_back(byte_at(matrix.zero, matrix.zero.size() == 1 ? 0 : j));
  }
  data_ = allocate_lasting(context.memory, gemm.packed_bytes(k_, n_), "packed weight");
  gemm.pack_b({.k = k_,
               .n = n_,
               .b = matrix.values.data(),
               .is_signed = matrix.values.dtype() == Dtype::i8,
               .k_stride = n_,
               .scale = scales.empty() ? nullptr : scales.data(),
               .zero = zeros.empty() ? nullptr : zeros.data(),
               .out = data_->data()},
              context.pool);
}

void PackedBytes::fill(kernels::Int8GemmArgs& args) const {
  args.n = n_;
  args.k = k_;
  args.packed_b = data_->data();
}

}  // namespace tercel::ops

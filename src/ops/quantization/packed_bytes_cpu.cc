#include "src/ops/quantization/packed_bytes_cpu.h"

#include <algorithm>
#include <vector>

#include "src/device/lasting_memory.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {
namespace {

bool is_byte(Dtype dtype) { return dtype == Dtype::i8 || dtype == Dtype::u8; }

bool is_per_column(const Tensor& tensor, int64_t n) {
  return !tensor.defined() || tensor.size() == 1 || (tensor.rank() == 1 && tensor.size() == n);
}

bool is_matrix(const Tensor& values) { return values.rank() == 2; }
int64_t columns_of(const Tensor& values) { return values.shape()[is_matrix(values) ? 1 : 0]; }

// [N, channels, taps] to [taps, channels, N].
Tensor turned(const Tensor& values) {
  const int64_t n = values.shape()[0], channels = values.shape()[1];
  const int64_t taps = product(values.shape(), 2, values.rank());
  Tensor result(values.dtype(), {taps * channels, n});
  const auto* from = static_cast<const std::byte*>(values.data());
  auto* to = static_cast<std::byte*>(result.data());
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) to[(t * channels + c) * n + j] = *from++;
    }
  }
  return result;
}

}  // namespace

std::optional<QuantizedWeight> dequantized_constant(const KernelContext& context, int index) {
  const ir::Value* value = context.node.input(index);
  const ir::Node* node = value != nullptr ? value->producer() : nullptr;
  if (node == nullptr || !node->is("DequantizeLinear") || node->int_or("block_size", 0) != 0)
    return std::nullopt;
  for (const ir::Value* input : node->inputs()) {
    if (input != nullptr && !input->is_constant()) return std::nullopt;
  }
  QuantizedWeight weight{node->input(0)->initializer(), node->input(1)->initializer(), {}};
  if (node->input(2) != nullptr) weight.zero = node->input(2)->initializer();
  const int64_t rank = weight.values.rank();
  const int64_t axis = node->int_or("axis", 1);
  const bool by_column = (axis < 0 ? axis + rank : axis) == (is_matrix(weight.values) ? 1 : 0);
  if (rank < 2 || (!by_column && weight.scale.size() != 1)) return std::nullopt;
  return weight;
}

std::string PackedBytes::refuse(const QuantizedWeight& weight) {
  if (!is_byte(weight.values.dtype())) return "the weight is not of bytes";
  if (weight.values.rank() < 2) return "the weight is not a matrix";
  const int64_t n = columns_of(weight.values);
  if (weight.scale.defined() && weight.scale.dtype() != Dtype::f32) return "scales are not f32";
  if (weight.zero.defined() && weight.zero.dtype() != weight.values.dtype())
    return "zero points are of another type";
  if (!is_per_column(weight.scale, n) || !is_per_column(weight.zero, n))
    return "scales or zero points are not by column";
  return {};
}

PackedBytes::PackedBytes(const KernelContext& context, const QuantizedWeight& weight,
                         const kernels::PackedConvArgs* conv) {
  const Tensor values = is_matrix(weight.values) ? weight.values : turned(weight.values);
  k_ = values.shape()[0];
  n_ = values.shape()[1];
  const auto& gemm = kernels::gemm_int8_kernels(context.isa);
  const auto& convs = kernels::conv_int8_kernels(context.isa);
  std::vector<float> scales;
  std::vector<int32_t> zeros;
  for (int64_t j = 0; j < n_; ++j) {
    if (weight.scale.defined())
      scales.push_back(elements<float>(weight.scale)[weight.scale.size() == 1 ? 0 : j]);
    if (weight.zero.defined())
      zeros.push_back(byte_at(weight.zero, weight.zero.size() == 1 ? 0 : j));
  }
  data_ = allocate_lasting(context.memory,
                           conv != nullptr ? convs.packed_bytes(*conv) : gemm.packed_bytes(k_, n_),
                           "packed weight");
  const kernels::PackInt8Args args{.k = k_,
                                   .n = n_,
                                   .b = values.data(),
                                   .is_signed = values.dtype() == Dtype::i8,
                                   .k_stride = n_,
                                   .scale = scales.empty() ? nullptr : scales.data(),
                                   .zero = zeros.empty() ? nullptr : zeros.data(),
                                   .out = data_->data()};
  if (conv != nullptr)
    convs.pack(*conv, args, context.pool);
  else
    gemm.pack_b(args, context.pool);
}

void PackedBytes::fill(kernels::Int8GemmArgs& args) const {
  args.n = n_;
  args.k = k_;
  args.packed_b = data_->data();
}

}  // namespace tercel::ops

#include "src/ops/quantization/grouped_weight_cpu.h"

#include <vector>

#include "src/device/lasting_memory.h"
#include "src/ops/quantization/element_cpu.h"

namespace tercel::ops {
namespace {

bool is_grouped_dtype(Dtype dtype) {
  return dtype == Dtype::i4 || dtype == Dtype::u4 || dtype == Dtype::i8 || dtype == Dtype::u8;
}

// Where the scale of a step of K and a column is, and for how many steps.
struct Grouping {
  int64_t k_axis, k, n;
  int64_t group, scale_group = 0, scale_n = 0;

  Grouping(const DequantizedMatrix& matrix, bool transposed)
      : k_axis(matrix.transposed != transposed ? 1 : 0),
        k(matrix.values.shape()[static_cast<std::size_t>(k_axis)]),
        n(matrix.values.shape()[static_cast<std::size_t>(1 - k_axis)]),
        group(std::max<int64_t>(k, 1)) {
    if (matrix.block > 0) {
      group = matrix.block;
      const int64_t row = matrix.scale.shape()[1];
      scale_group = k_axis == 0 ? row : 1;
      scale_n = k_axis == 0 ? 1 : row;
    } else if (matrix.scale.size() != 1) {
      scale_n = 1;
    }
  }
};

template <class T, class From>
std::vector<T> numbers_of(const Tensor& tensor, From from) {
  std::vector<T> numbers(static_cast<std::size_t>(tensor.size()));
  for (int64_t i = 0; i < tensor.size(); ++i)
    numbers[static_cast<std::size_t>(i)] = static_cast<T>(from(tensor.data(), tensor.dtype(), i));
  return numbers;
}

}  // namespace

std::optional<DequantizedMatrix> dequantized_matrix(const KernelContext& context, int index) {
  const ir::Value* value = context.node.input(index);
  DequantizedMatrix matrix;
  const ir::Node* node = value != nullptr ? value->producer() : nullptr;
  while (node != nullptr && node->is("Transpose")) {
    if (node->ints_or("perm", {1, 0}) != std::vector<int64_t>{1, 0}) return std::nullopt;
    matrix.transposed = !matrix.transposed;
    node = node->input(0)->producer();
  }
  if (node == nullptr || !node->is("DequantizeLinear")) return std::nullopt;
  for (const ir::Value* input : node->inputs()) {
    if (input != nullptr && !input->is_constant()) return std::nullopt;
  }
  matrix.values = node->input(0)->initializer();
  if (matrix.values.rank() != 2) return std::nullopt;
  matrix.scale = node->input(1)->initializer();
  if (node->input(2) != nullptr) matrix.zero = node->input(2)->initializer();
  matrix.block = node->int_or("block_size", 0);
  matrix.axis = node->int_or("axis", 1);
  if (matrix.axis < 0) matrix.axis += 2;
  return matrix;
}

std::string refuse_grouped(const DequantizedMatrix& matrix, bool transposed) {
  if (!is_grouped_dtype(matrix.values.dtype())) return "the weight is not of 4 or 8 bits";
  if (std::string reason = refuse_element(matrix.scale.dtype()); !reason.empty()) return reason;
  if (matrix.zero.defined() && matrix.zero.size() != matrix.scale.size())
    return "zero points are not as many as scales";
  const Grouping grouping(matrix, transposed);
  const bool whole = matrix.block == 0 && matrix.scale.size() == 1;
  if (matrix.block > 0 && matrix.axis != grouping.k_axis) return "blocks are not along K";
  if (matrix.block == 0 && !whole && matrix.axis == grouping.k_axis) return "scales are along K";
  if (grouping.group < grouping.k && grouping.group % kernels::kGroupUnit != 0)
    return fmt::format("blocks are not a multiple of {}", kernels::kGroupUnit);
  return {};
}

Dtype grouped_dtype(Dtype stored) { return bits_of(stored) == 4 ? Dtype::i4 : Dtype::i8; }

GroupedWeight pack_grouped(const KernelContext& context, const DequantizedMatrix& matrix,
                           bool transposed) {
  const kernels::GemmKernels& gemm = kernels::cpu_kernels(context.isa).gemm;
  const Grouping grouping(matrix, transposed);
  const auto scale = numbers_of<float>(matrix.scale, read_element);
  std::vector<int32_t> zero;
  if (matrix.zero.defined()) zero = numbers_of<int32_t>(matrix.zero, read_element);
  const int64_t row = matrix.values.shape()[1];
  kernels::PackGroupedArgs args{.k = grouping.k,
                                .n = grouping.n,
                                .b = matrix.values.data(),
                                .source = matrix.values.dtype(),
                                .k_stride = grouping.k_axis == 0 ? row : 1,
                                .n_stride = grouping.k_axis == 0 ? 1 : row,
                                .group = grouping.group,
                                .scale = scale.data(),
                                .zero = zero.empty() ? nullptr : zero.data(),
                                .scale_group = grouping.scale_group,
                                .scale_n = grouping.scale_n};
  GroupedWeight weight{grouping.k, grouping.n, grouped_dtype(args.source), nullptr};
  weight.data = allocate_lasting(context.memory, gemm.grouped_bytes(args), "packed weight");
  args.out = weight.data->data();
  gemm.pack_grouped(args, context.pool);
  return weight;
}

}  // namespace tercel::ops

#pragma once
// A constant factor of 4- or 8-bit integers that a DequantizeLinear makes numbers of, and that
// stays integers: for products of f32.

#include <memory>
#include <optional>
#include <string>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu.h"

namespace tercel::ops {

// What a DequantizeLinear of constants is made from.
struct DequantizedMatrix {
  Tensor values;            // [K, N], or [N, K] when transposed
  Tensor scale;             // as DequantizeLinear has it
  Tensor zero;              // may be undefined
  int64_t axis = 0;         // of `values`, 0 or 1
  int64_t block = 0;        // 0: by tensor or by index of the axis
  bool transposed = false;  // the last two dimensions are swapped behind it
};

// What input `index` is the dequantisation of, seen through Transpose nodes; nothing when it is not
// that of a constant matrix.
std::optional<DequantizedMatrix> dequantized_matrix(const KernelContext& context, int index);

// Empty when pack_grouped takes the matrix (`transposed`: the node multiplies by its transpose),
// otherwise the reason why not.
std::string refuse_grouped(const DequantizedMatrix& matrix, bool transposed);

// What weights of this type are packed as: i4 or i8.
Dtype grouped_dtype(Dtype stored);

struct GroupedWeight {
  int64_t k = 0, n = 0;
  Dtype packed = Dtype::undefined;  // for GemmArgs::packed
  std::shared_ptr<Buffer> data;
};
GroupedWeight pack_grouped(const KernelContext& context, const DequantizedMatrix& matrix,
                           bool transposed);

}  // namespace tercel::ops

#pragma once
// A constant factor of 8-bit integers, packed once: a matrix, or the weight of a convolution.

#include <optional>
#include <string>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu.h"

namespace tercel::ops {

// 8-bit integers with one scale or zero point for all, or one a column. Scales and zero points may
// be undefined: 1 and 0.
struct QuantizedWeight {
  Tensor values;  // i8 or u8: [K, N], or of a convolution [N, channels, taps…]
  Tensor scale;   // f32
  Tensor zero;    // as values
};

// What input `index` is the dequantisation of; nothing when it is not such a constant.
std::optional<QuantizedWeight> dequantized_constant(const KernelContext& context, int index);

class PackedBytes {
 public:
  // Empty when the weight can be packed, otherwise the reason why not.
  static std::string refuse(const QuantizedWeight& weight);

  // For gemm_int8; with the sizes of a convolution, for conv_int8.
  PackedBytes(const KernelContext& context, const QuantizedWeight& weight,
              const kernels::PackedConvArgs* conv = nullptr);

  int64_t k() const { return k_; }
  int64_t n() const { return n_; }
  const void* data() const { return data_->data(); }
  // The matrix as the second factor of `args`.
  void fill(kernels::Int8GemmArgs& args) const;

 private:
  int64_t k_ = 0;
  int64_t n_ = 0;
  std::shared_ptr<Buffer> data_;
};

}  // namespace tercel::ops

#pragma once
// Random weights of integers with groups.

#include <algorithm>

#include "src/base/packed.h"
#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {

struct GroupedCase {
  int64_t k, n, group;
};

// Random integer weights, [K, N] or [N, K], and what they stand for.
struct GroupedWeight {
  GroupedWeight(std::mt19937& random, const GroupedCase& sizes, Dtype dtype, bool transposed,
                bool with_zero)
      : bytes(bytes_of(dtype, sizes.k * sizes.n)), values() {
    const auto& [k, n, group] = sizes;
    const int bits = bits_of(dtype);
    const bool is_signed = dtype == Dtype::i4 || dtype == Dtype::i8;
    const int low = is_signed ? -(1 << (bits - 1)) : 0;
    std::uniform_int_distribution<int> uniform(low, low + (1 << bits) - 1);
    const int64_t groups = (k + group - 1) / group;
    scale = random_floats(random, groups * n, 0.001F, 0.1F);
    if (with_zero)
      std::generate_n(std::back_inserter(zero), groups * n, [&] { return uniform(random); });
    values.resize(static_cast<std::size_t>(k * n));
    args = {.k = k, .n = n, .b = bytes.data(), .source = dtype, .group = group};
    args.k_stride = transposed ? 1 : n;
    args.n_stride = transposed ? k : 1;
    args.scale = scale.data();
    args.zero = with_zero ? zero.data() : nullptr;
    args.scale_group = transposed ? 1 : n;
    args.scale_n = transposed ? groups : 1;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const int q = uniform(random);
        const int64_t at = i * args.k_stride + j * args.n_stride;
        set_packed_element(bytes.data(), at, bits, static_cast<uint8_t>(q));
        const auto g = static_cast<std::size_t>(i / group * args.scale_group + j * args.scale_n);
        const int shifted = q - (with_zero ? zero[g] : 0);
        values[static_cast<std::size_t>(i * n + j)] = static_cast<float>(shifted) * scale[g];
      }
    }
  }

  // As it is stored, without the zero point.
  int integer(int64_t i, int64_t j) const {
    const int bits = bits_of(args.source);
    const int code = packed_element(bytes.data(), i * args.k_stride + j * args.n_stride, bits);
    const bool negative =
        (args.source == Dtype::i4 || args.source == Dtype::i8) && code >= 1 << (bits - 1);
    return negative ? code - (1 << bits) : code;
  }

  std::vector<uint8_t> bytes;
  std::vector<float> scale;
  std::vector<int32_t> zero;
  std::vector<float> values;  // [K, N]
  PackGroupedArgs args;
};

}  // namespace tercel::kernels

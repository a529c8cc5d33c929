#pragma once
// A plain matrix product for the element types that have no GEMM.

#include "src/ops/cpu_util.h"

namespace tercel::ops {

using ProductTypes = decltype(FloatTypes{} + Types<int32_t, int64_t, uint32_t, uint64_t>{});

// A[m, k] at m * a_row + k * a_column, B[k, n] at k * b_row + n * b_column, C contiguous.
template <class T>
struct NaiveArgs {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t a_row = 0, a_column = 1;
  const T* b = nullptr;
  int64_t b_row = 0, b_column = 1;
  T* c = nullptr;
};

// Each element is summed over ascending k, half types in f32; integers wrap around.
template <class T>
void naive_product(const NaiveArgs<T>& args, ThreadPool& pool) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                 std::type_identity<ComputeType<T>>>;
  using Value = typename Sum::type;
  pool.parallel_for(args.m * args.n, rows_per_grain(args.k), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* a = args.a + i / args.n * args.a_row;
      const T* b = args.b + i % args.n * args.b_column;
      Value sum{};
      for (int64_t k = 0; k < args.k; ++k) {
        sum += static_cast<Value>(load(a[k * args.a_column])) *
               static_cast<Value>(load(b[k * args.b_row]));
      }
      args.c[i] = store<T>(static_cast<ComputeType<T>>(sum));
    }
  });
}

}  // namespace tercel::ops

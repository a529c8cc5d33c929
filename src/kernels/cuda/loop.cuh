#pragma once
// A loop over the places of an array, with several operands read by strides: dimensions of one
// element are dropped and neighbours merged where every operand allows it, then split again by fast
// division on the device.

#include <utility>

#include "src/kernels/cuda/element.cuh"

namespace tercel::kernels::cuda {

// Division by a number known at launch: one multiplication and a shift, exact for dividends below
// 2^31 (Granlund and Montgomery, 1994).
struct Divisor {
  uint32_t value = 1, magic = 0, shift = 0;

  Divisor() = default;
  explicit Divisor(uint32_t divisor) : value(divisor) {
    while (shift < 32 && (uint64_t{1} << shift) < divisor) ++shift;
    magic = static_cast<uint32_t>(
        ((uint64_t{1} << 32) * ((uint64_t{1} << shift) - divisor)) / divisor + 1);
  }
  __device__ __forceinline__ uint32_t quotient(uint32_t dividend) const {
    return (__umulhi(dividend, magic) + dividend) >> shift;
  }
};

template <int Operands>
struct Loop {
  int rank = 0;  // at least 1
  int64_t count = 0;
  bool small = false;  // count < 2^31: by Divisor
  int64_t dims[kMaxRank] = {};
  Divisor divisors[kMaxRank];
  int64_t strides[Operands][kMaxRank] = {};

  // Sets at[o] to the place in operand o of the element with this index.
  __device__ __forceinline__ void locate(int64_t index, int64_t (&at)[Operands]) const {
#pragma unroll
    for (int o = 0; o < Operands; ++o) at[o] = 0;
    if (small) {
      auto rest = static_cast<uint32_t>(index);
#pragma unroll
      for (int d = kMaxRank - 1; d >= 0; --d) {
        if (d >= rank) continue;
        const uint32_t up = divisors[d].quotient(rest);
        step(d, rest - up * divisors[d].value, at);
        rest = up;
      }
    } else {
#pragma unroll
      for (int d = kMaxRank - 1; d >= 0; --d) {
        if (d >= rank) continue;
        const int64_t up = index / dims[d];
        step(d, index - up * dims[d], at);
        index = up;
      }
    }
  }

 private:
  __device__ __forceinline__ void step(int d, int64_t place, int64_t (&at)[Operands]) const {
#pragma unroll
    for (int o = 0; o < Operands; ++o) at[o] += place * strides[o][d];
  }
};

// `vector` elements of the innermost dimension are one step of the loop; it must divide it.
template <int Operands>
Loop<Operands> make_loop(const Extents& dims, const Extents* const (&strides)[Operands]) {
  Loop<Operands> loop;
  loop.count = count_of(dims);
  for (int d = 0; d < dims.rank; ++d) {
    if (dims.at[d] == 1) continue;
    bool merges = loop.rank > 0;
    for (int o = 0; o < Operands && merges; ++o)
      merges = loop.strides[o][loop.rank - 1] == strides[o]->at[d] * dims.at[d];
    if (!merges) loop.dims[loop.rank++] = 1;
    loop.dims[loop.rank - 1] *= dims.at[d];
    for (int o = 0; o < Operands; ++o) loop.strides[o][loop.rank - 1] = strides[o]->at[d];
  }
  if (loop.rank == 0) loop.dims[loop.rank++] = 1;
  loop.small = loop.count < (int64_t{1} << 31);
  return loop;
}

// The last step before the launch: packs of `vector` elements, and the divisors.
template <int Operands>
void finish_loop(Loop<Operands>& loop, int vector) {
  const int last = loop.rank - 1;
  loop.dims[last] /= vector;
  loop.count /= vector;
  for (int o = 0; o < Operands; ++o) loop.strides[o][last] *= vector;
  for (int d = 0; d < loop.rank && loop.small; ++d)
    loop.divisors[d] = Divisor(static_cast<uint32_t>(std::max<int64_t>(loop.dims[d], 1)));
}

// Whether packs of N elements can be read from operand `o` at every step: its elements lie one
// after another (or, with `scalar`, are all one), and every row of them begins aligned.
template <class T, int N, int Operands>
bool loop_packs(const Loop<Operands>& loop, int o, const void* pointer, bool scalar = true) {
  const int last = loop.rank - 1;
  if (loop.dims[last] % N != 0) return false;
  if (loop.strides[o][last] == 0 && scalar) return true;
  if (loop.strides[o][last] != 1) return false;
  bool aligned = packs<T, N>(pointer);
  for (int d = 0; d < last; ++d) aligned = aligned && loop.strides[o][d] % N == 0;
  return aligned;
}

}  // namespace tercel::kernels::cuda

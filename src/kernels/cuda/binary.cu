#include "src/kernels/cuda/elementwise.h"
#include "src/kernels/cuda/loop.cuh"

namespace tercel::kernels::cuda {
namespace {

template <class C>
__device__ C real(BinaryOp op, C a, C b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::sub:
      return a - b;
    case BinaryOp::mul:
      return a * b;
    case BinaryOp::div:
      return a / b;
    case BinaryOp::pow:
      return pow(a, b);
    case BinaryOp::min:
      return isnan(a) || a < b ? a : b;
    case BinaryOp::max:
      return isnan(a) || a > b ? a : b;
    case BinaryOp::mod: {
      const C rest = fmod(a, b);
      if (rest == 0) return copysign(C(0), b);
      return (rest < 0) != (b < 0) ? rest + b : rest;
    }
    case BinaryOp::fmod:
      return fmod(a, b);
    case BinaryOp::prelu:
      return a < 0 ? a * b : a;
    default:
      return a;
  }
}

template <class C>
__device__ C remainder(C a, C b) {
  if (b == 0 || (std::is_signed_v<C> && b == C(-1))) return 0;
  return a % b;
}

template <class C>
__device__ C power(C base, C exponent) {
  if (std::is_signed_v<C> && exponent < 0) {
    if (base == 1) return 1;
    return base == C(-1) ? (exponent % 2 == 0 ? C(1) : C(-1)) : C(0);
  }
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (auto rest = static_cast<uint64_t>(exponent); rest != 0; rest >>= 1, factor *= factor)
    if ((rest & 1) != 0) result *= factor;
  return static_cast<C>(result);
}

// Sums and products wrap around; `bits` is the width of the element, for shifts.
template <class C>
__device__ C whole(BinaryOp op, C a, C b, int bits) {
  const auto ua = static_cast<uint64_t>(a);
  const auto ub = static_cast<uint64_t>(b);
  switch (op) {
    case BinaryOp::add:
      return static_cast<C>(ua + ub);
    case BinaryOp::sub:
      return static_cast<C>(ua - ub);
    case BinaryOp::mul:
      return static_cast<C>(ua * ub);
    case BinaryOp::div:
      if (b == 0) return 0;
      return std::is_signed_v<C> && b == C(-1) ? static_cast<C>(0 - ua) : a / b;
    case BinaryOp::pow:
      return power(a, b);
    case BinaryOp::min:
      return a < b ? a : b;
    case BinaryOp::max:
      return a > b ? a : b;
    case BinaryOp::mod: {
      const C rest = remainder(a, b);
      if constexpr (std::is_signed_v<C>) {
        if (rest != 0 && (rest < 0) != (b < 0)) return rest + b;
      }
      return rest;
    }
    case BinaryOp::fmod:
      return remainder(a, b);
    case BinaryOp::prelu:
      return std::is_signed_v<C> && a < 0 ? static_cast<C>(ua * ub) : a;
    case BinaryOp::bit_and:
      return a & b;
    case BinaryOp::bit_or:
      return a | b;
    case BinaryOp::bit_xor:
      return a ^ b;
    case BinaryOp::shift_left:
      return ub >= static_cast<uint64_t>(bits) ? C(0) : static_cast<C>(ua << ub);
    case BinaryOp::shift_right:
      if (ub >= static_cast<uint64_t>(bits)) return std::is_signed_v<C> && a < 0 ? C(-1) : C(0);
      return a >> b;
    default:
      return a;
  }
}

template <class C>
__device__ bool compare(BinaryOp op, C a, C b) {
  switch (op) {
    case BinaryOp::equal:
      return a == b;
    case BinaryOp::greater:
      return a > b;
    case BinaryOp::greater_equal:
      return a >= b;
    case BinaryOp::less:
      return a < b;
    case BinaryOp::less_equal:
      return a <= b;
    case BinaryOp::logical_and:
      return a != 0 && b != 0;
    case BinaryOp::logical_or:
      return a != 0 || b != 0;
    case BinaryOp::logical_xor:
      return (a != 0) != (b != 0);
    default:
      return false;
  }
}

// One copy of the table in the code: what a pack's elements call.
template <class C>
__device__ __noinline__ C real_call(BinaryOp op, C a, C b) {
  return real<C>(op, a, b);
}

template <class T>
struct Arithmetic {
  using Out = T;
  static __device__ __forceinline__ T apply(BinaryOp op, T a, T b) {
    using C = Wide<T>;
    if constexpr (std::is_integral_v<T>) {
      return narrow<T>(whole<C>(op, widen(a), widen(b), 8 * sizeof(T)));
    } else {
      // The usual ones without a call.
      const C x = widen(a);
      const C y = widen(b);
      if (op == BinaryOp::add) return narrow<T>(x + y);
      if (op == BinaryOp::mul) return narrow<T>(x * y);
      return narrow<T>(real_call<C>(op, x, y));
    }
  }
};

template <class T>
struct Comparison {
  using Out = uint8_t;
  static __device__ __forceinline__ uint8_t apply(BinaryOp op, T a, T b) {
    return compare(op, widen(a), widen(b)) ? 1 : 0;
  }
};

template <class T, int N>
__device__ __forceinline__ Pack<T, N> load(const T* from, bool scalar) {
  if (!scalar) return *reinterpret_cast<const Pack<T, N>*>(from);
  Pack<T, N> pack;
#pragma unroll
  for (int j = 0; j < N; ++j) pack.at[j] = *from;
  return pack;
}

template <class T, template <class> class Table, int N>
__global__ void binary_kernel(BinaryOp op, Loop<2> loop, const T* a, const T* b,
                              typename Table<T>::Out* out) {
  using Out = typename Table<T>::Out;
  const bool a_scalar = loop.strides[0][loop.rank - 1] == 0;
  const bool b_scalar = loop.strides[1][loop.rank - 1] == 0;
  for (int64_t i = global_thread(); i < loop.count; i += all_threads()) {
    int64_t at[2];
    loop.locate(i, at);
    const auto x = load<T, N>(a + at[0], a_scalar);
    const auto y = load<T, N>(b + at[1], b_scalar);
    Pack<Out, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) result.at[j] = Table<T>::apply(op, x.at[j], y.at[j]);
    reinterpret_cast<Pack<Out, N>*>(out)[i] = result;
  }
}

// Short integers are rare here, and not worth the code.
template <class T>
constexpr int kPacks = std::is_integral_v<T> && sizeof(T) < 4 ? 1 : kPackOf<T>;

template <class T, template <class> class Table>
void run(const BinaryArgs& args, cudaStream_t stream) {
  using Out = typename Table<T>::Out;
  constexpr int kPack = kPacks<T>;
  const auto* a = static_cast<const T*>(args.a);
  const auto* b = static_cast<const T*>(args.b);
  auto* out = static_cast<Out*>(args.out);
  auto loop = make_loop<2>(args.dims, {&args.a_strides, &args.b_strides});
  const bool packed = loop_packs<T, kPack>(loop, 0, a) && loop_packs<T, kPack>(loop, 1, b) &&
                      packs<Out, kPack>(out);
  finish_loop(loop, packed ? kPack : 1);
  const unsigned blocks = blocks_for(loop.count);
  if (packed)
    binary_kernel<T, Table, kPack><<<blocks, kThreads, 0, stream>>>(args.op, loop, a, b, out);
  else
    binary_kernel<T, Table, 1><<<blocks, kThreads, 0, stream>>>(args.op, loop, a, b, out);
  check_launch("binary");
}

bool takes(BinaryOp op, Dtype type) {
  const bool real =
      type == Dtype::f32 || type == Dtype::f16 || type == Dtype::bf16 || type == Dtype::f64;
  if (op >= BinaryOp::logical_and) return type == Dtype::boolean;
  if (type == Dtype::boolean) return op == BinaryOp::equal;
  return !real || op < BinaryOp::bit_and || op > BinaryOp::shift_right;
}

}  // namespace

void binary(const BinaryArgs& args, cudaStream_t stream) {
  if (!takes(args.op, args.type)) unsupported_type("binary", args.type);
  if (count_of(args.dims) == 0) return;
  with_numeric_type("binary", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.op >= BinaryOp::equal)
      run<T, Comparison>(args, stream);
    else
      run<T, Arithmetic>(args, stream);
  });
}

}  // namespace tercel::kernels::cuda

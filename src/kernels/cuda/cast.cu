#include <limits>

#include <cuda_fp8.h>

#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/elementwise.h"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

struct Bool {
  uint8_t value;
};
template <__nv_fp8_interpretation_t Kind>
struct Fp8 {
  __nv_fp8_storage_t bits;
};
using E4m3 = Fp8<__NV_E4M3>;
using E5m2 = Fp8<__NV_E5M2>;

template <class T>
constexpr bool kIsFp8 = std::is_same_v<T, E4m3> || std::is_same_v<T, E5m2>;

// An element as the number to convert from: f32, f64, i64 or u64.
template <class T>
__device__ __forceinline__ auto number(T x) {
  if constexpr (std::is_same_v<T, Bool>)
    return static_cast<uint64_t>(x.value != 0);
  else if constexpr (std::is_same_v<T, E4m3>)
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(x.bits, __NV_E4M3)));
  else if constexpr (std::is_same_v<T, E5m2>)
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(x.bits, __NV_E5M2)));
  else
    return widen(x);
}

// A floating-point number truncated to T, saturated, NaN as 0.
template <class T, class C>
__device__ __forceinline__ T truncated(C x) {
  using Limits = std::numeric_limits<T>;
  if (isnan(x)) return 0;
  // The bounds as powers of two, which every floating-point type has.
  constexpr double kBeyond = 2.0 * static_cast<double>(uint64_t{1} << (Limits::digits - 1));
  if (x >= static_cast<C>(kBeyond)) return Limits::max();
  if (Limits::is_signed ? x < static_cast<C>(-kBeyond) : x <= C(-1)) return Limits::min();
  return static_cast<T>(x);
}

// Into the range of T, but for infinities and NaN.
template <class T, class C>
__device__ __forceinline__ C kept_finite(C x) {
  constexpr C kLargest = std::is_same_v<T, Half> ? C(65504.0) : C(3.3895313892515355e38);
  return isinf(x) ? x : x > kLargest ? kLargest : x < -kLargest ? -kLargest : x;
}

template <class T, class C>
__device__ __forceinline__ T converted(C x, const CastArgs& args) {
  if constexpr (std::is_same_v<T, Bool>) {
    return {static_cast<uint8_t>(x != C(0))};
  } else if constexpr (kIsFp8<T>) {
    constexpr auto kKind = std::is_same_v<T, E4m3> ? __NV_E4M3 : __NV_E5M2;
    return {__nv_cvt_float_to_fp8(static_cast<float>(x),
                                  args.saturate ? __NV_SATFINITE : __NV_NOSAT, kKind)};
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_integral_v<C>)
      return static_cast<T>(x);
    else
      return truncated<T>(x);
  } else if constexpr (std::is_same_v<T, Half> && std::is_same_v<C, double>) {
    return __double2half(args.finite ? kept_finite<T>(x) : x);
  } else if constexpr (std::is_same_v<T, Bfloat> && std::is_same_v<C, double>) {
    return __double2bfloat16(args.finite ? kept_finite<T>(x) : x);
  } else if constexpr ((std::is_same_v<T, Half> ||
                        std::is_same_v<T, Bfloat>)&&std::is_same_v<C, float>) {
    return narrow<T>(args.finite ? kept_finite<T>(x) : x);
  } else {
    return narrow<T>(static_cast<Wide<T>>(x));
  }
}

// Weights and activations: compiled for each pair, by packs.
template <class To, class From, int N>
__global__ void cast_kernel(int64_t count, const From* from, To* to, CastArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const auto in = reinterpret_cast<const Pack<From, N>*>(from)[i];
    Pack<To, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.at[j] = converted<To>(number(in.at[j]), args);
    reinterpret_cast<Pack<To, N>*>(to)[i] = out;
  }
}

template <class To, class From>
void run(const CastArgs& args, cudaStream_t stream) {
  constexpr int kPack = 8;
  const auto* from = static_cast<const From*>(args.from);
  auto* to = static_cast<To*>(args.to);
  int64_t done = 0;
  if (packs<From, kPack>(from) && packs<To, kPack>(to) && args.count >= kPack) {
    const int64_t whole = args.count / kPack;
    launch_early("cast", cast_kernel<To, From, kPack>, blocks_for(whole), kThreads, 0, stream,
                 whole, from, to, args);
    done = whole * kPack;
  }
  if (done < args.count) {
    const int64_t rest = args.count - done;
    launch_early("cast", cast_kernel<To, From, 1>, blocks_for(rest), kThreads, 0, stream, rest,
                 from + done, to + done, args);
  }
}

template <class Body>
__host__ __device__ __forceinline__ bool with_any_type(Dtype type, Body&& body) {
  switch (type) {
    case Dtype::boolean:
      return body(Tag<Bool>{}), true;
    case Dtype::u8:
      return body(Tag<uint8_t>{}), true;
    case Dtype::i8:
      return body(Tag<int8_t>{}), true;
    case Dtype::u16:
      return body(Tag<uint16_t>{}), true;
    case Dtype::i16:
      return body(Tag<int16_t>{}), true;
    case Dtype::u32:
      return body(Tag<uint32_t>{}), true;
    case Dtype::i32:
      return body(Tag<int32_t>{}), true;
    case Dtype::u64:
      return body(Tag<uint64_t>{}), true;
    case Dtype::i64:
      return body(Tag<int64_t>{}), true;
    case Dtype::f16:
      return body(Tag<Half>{}), true;
    case Dtype::bf16:
      return body(Tag<Bfloat>{}), true;
    case Dtype::f32:
      return body(Tag<float>{}), true;
    case Dtype::f64:
      return body(Tag<double>{}), true;
    case Dtype::f8e4m3fn:
      return body(Tag<E4m3>{}), true;
    case Dtype::f8e5m2:
      return body(Tag<E5m2>{}), true;
    default:
      return false;
  }
}

// All other pairs, in one kernel: every thread takes the same branches.
struct Number {
  enum Kind { real, integer, natural } kind;
  double as_real;
  uint64_t bits;
};

__device__ __forceinline__ Number load(const void* from, Dtype type, int64_t i) {
  Number result{};
  with_any_type(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto x = number(static_cast<const T*>(from)[i]);
    if constexpr (!std::is_integral_v<decltype(x)>)
      result = {Number::real, static_cast<double>(x), 0};
    else
      result = {std::is_signed_v<decltype(x)> ? Number::integer : Number::natural, 0.0,
                static_cast<uint64_t>(x)};
  });
  return result;
}

__global__ void cast_any_kernel(CastArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t i = global_thread(); i < args.count; i += all_threads()) {
    const Number x = load(args.from, args.from_type, i);
    with_any_type(args.to_type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T& to = static_cast<T*>(args.to)[i];
      if (x.kind == Number::real)
        to = converted<T>(x.as_real, args);
      else if (x.kind == Number::integer)
        to = converted<T>(static_cast<int64_t>(x.bits), args);
      else
        to = converted<T>(x.bits, args);
    });
  }
}

bool is_short_float(Dtype type) {
  return type == Dtype::f32 || type == Dtype::f16 || type == Dtype::bf16;
}

}  // namespace

void cast(const CastArgs& args, cudaStream_t stream) {
  for (const Dtype type : {args.from_type, args.to_type})
    if (!with_any_type(type, [](auto) {})) unsupported_type("cast", type);
  if (args.count == 0) return;
  if (is_short_float(args.from_type) && is_short_float(args.to_type)) {
    with_float_type("cast", args.from_type, [&](auto from) {
      with_float_type("cast", args.to_type, [&](auto to) {
        run<typename decltype(to)::type, typename decltype(from)::type>(args, stream);
      });
    });
  } else {
    launch_early("cast", cast_any_kernel, blocks_for(args.count), kThreads, 0, stream, args);
  }
}

}  // namespace tercel::kernels::cuda

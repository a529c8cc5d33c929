#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/elementwise.h"

namespace tercel::kernels::cuda {
namespace {

template <class C>
__device__ C softplus(C x) {
  return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

template <class C>
__device__ C clamp_unit(C x) {
  return x < 0 ? C(0) : x > 1 ? C(1) : x;
}

template <class C>
__device__ C real(UnaryOp op, C x, C alpha, C beta) {
  switch (op) {
    case UnaryOp::abs:
      return fabs(x);
    case UnaryOp::neg:
      return -x;
    case UnaryOp::sign:
      return x > 0 ? C(1) : x < 0 ? C(-1) : x;
    case UnaryOp::relu:
      return x < 0 ? C(0) : x;
    case UnaryOp::floor:
      return floor(x);
    case UnaryOp::ceil:
      return ceil(x);
    case UnaryOp::round:
      return rint(x);
    case UnaryOp::sqrt:
      return sqrt(x);
    case UnaryOp::reciprocal:
      return C(1) / x;
    case UnaryOp::exp:
      return exp(x);
    case UnaryOp::log:
      return log(x);
    case UnaryOp::sin:
      return sin(x);
    case UnaryOp::cos:
      return cos(x);
    case UnaryOp::tan:
      return tan(x);
    case UnaryOp::asin:
      return asin(x);
    case UnaryOp::acos:
      return acos(x);
    case UnaryOp::atan:
      return atan(x);
    case UnaryOp::sinh:
      return sinh(x);
    case UnaryOp::cosh:
      return cosh(x);
    case UnaryOp::asinh:
      return asinh(x);
    case UnaryOp::acosh:
      return acosh(x);
    case UnaryOp::atanh:
      return atanh(x);
    case UnaryOp::erf:
      return erf(x);
    case UnaryOp::tanh:
      return tanh(x);
    case UnaryOp::sigmoid:
      return C(1) / (C(1) + exp(-x));
    case UnaryOp::softplus:
      return softplus(x);
    case UnaryOp::softsign:
      return x / (C(1) + fabs(x));
    case UnaryOp::mish:
      return x * tanh(softplus(x));
    case UnaryOp::hard_swish:
      return x * clamp_unit(x / C(6) + C(0.5));
    case UnaryOp::gelu:
      return C(0.5) * x * (C(1) + erf(x * C(0.70710678118654752440)));
    case UnaryOp::gelu_tanh:
      return C(0.5) * x * (C(1) + tanh(C(0.79788456080286535588) * (x + C(0.044715) * x * x * x)));
    case UnaryOp::swish:
      return x / (C(1) + exp(-alpha * x));
    case UnaryOp::leaky_relu:
      return x < 0 ? alpha * x : x;
    case UnaryOp::elu:
      return x < 0 ? alpha * expm1(x) : x;
    case UnaryOp::celu:
      return x < 0 ? alpha * expm1(x / alpha) : x;
    case UnaryOp::selu:
      return beta * (x > 0 ? x : alpha * expm1(x));
    case UnaryOp::hard_sigmoid:
      return clamp_unit(alpha * x + beta);
    case UnaryOp::shrink:
      return x < -alpha ? x + beta : x > alpha ? x - beta : C(0);
    case UnaryOp::thresholded_relu:
      return x > alpha ? x : C(0);
    default:
      return x;
  }
}

template <class C>
__device__ C whole(UnaryOp op, C x) {
  switch (op) {
    case UnaryOp::abs:
      return std::is_signed_v<C> && x < 0 ? static_cast<C>(-static_cast<uint64_t>(x)) : x;
    case UnaryOp::neg:
      return static_cast<C>(-static_cast<uint64_t>(x));
    case UnaryOp::sign:
      return static_cast<C>(C(x > 0) - C(std::is_signed_v<C> && x < 0));
    case UnaryOp::relu:
      return std::is_signed_v<C> && x < 0 ? C(0) : x;
    case UnaryOp::bitwise_not:
      return ~x;
    case UnaryOp::logical_not:
      return C(x == 0);
    default:
      return x;
  }
}

// One copy of each table of operations in the code: what a pack's elements call.
template <class C>
__device__ __noinline__ C real_call(UnaryOp op, C x, C alpha, C beta) {
  return real<C>(op, x, alpha, beta);
}

template <class T>
__device__ __forceinline__ T apply(UnaryOp op, T x, float alpha, float beta) {
  if constexpr (std::is_integral_v<T>)
    return narrow<T>(whole(op, widen(x)));
  else
    return narrow<T>(real_call<Wide<T>>(op, widen(x), alpha, beta));
}

template <class T, int N>
__global__ void unary_kernel(UnaryOp op, int64_t count, const T* x, T* y, float alpha, float beta) {
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    Pack<T, N> pack = reinterpret_cast<const Pack<T, N>*>(x)[i];
#pragma unroll
    for (int j = 0; j < N; ++j) pack.at[j] = apply(op, pack.at[j], alpha, beta);
    reinterpret_cast<Pack<T, N>*>(y)[i] = pack;
  }
}

template <class T>
__global__ void special_kernel(UnaryOp op, int64_t count, const T* x, uint8_t* y, bool negative,
                               bool positive) {
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const auto value = widen(x[i]);
    y[i] = op == UnaryOp::is_nan ? isnan(value) : isinf(value) && (value < 0 ? negative : positive);
  }
}

template <class T>
void run(const UnaryArgs& args, cudaStream_t stream) {
  constexpr int kPack = kPackOf<T>;
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  int64_t done = 0;
  if (packs<T, kPack>(x) && packs<T, kPack>(y) && args.count >= kPack) {
    const int64_t whole_packs = args.count / kPack;
    unary_kernel<T, kPack><<<blocks_for(whole_packs), kThreads, 0, stream>>>(
        args.op, whole_packs, x, y, args.alpha, args.beta);
    check_launch("unary");
    done = whole_packs * kPack;
  }
  if (done == args.count) return;
  const int64_t rest = args.count - done;
  unary_kernel<T, 1><<<blocks_for(rest), kThreads, 0, stream>>>(args.op, rest, x + done, y + done,
                                                                args.alpha, args.beta);
  check_launch("unary");
}

bool takes_integers(UnaryOp op) {
  return op == UnaryOp::abs || op == UnaryOp::neg || op == UnaryOp::sign || op == UnaryOp::relu ||
         op == UnaryOp::bitwise_not;
}

bool is_float(Dtype type) {
  return type == Dtype::f32 || type == Dtype::f16 || type == Dtype::bf16 || type == Dtype::f64;
}

}  // namespace

void unary(const UnaryArgs& args, cudaStream_t stream) {
  const bool special = args.op == UnaryOp::is_nan || args.op == UnaryOp::is_inf;
  const bool boolean = args.op == UnaryOp::logical_not;
  const bool real = is_float(args.type) && args.op != UnaryOp::bitwise_not && !boolean;
  const bool integer = takes_integers(args.op) && !is_float(args.type);
  if (boolean ? args.type != Dtype::boolean : !real && (!integer || args.type == Dtype::boolean))
    unsupported_type("unary", args.type);
  if (args.count == 0) return;
  with_numeric_type("unary", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_integral_v<T>) {
      if (special) {
        special_kernel<T><<<blocks_for(args.count), kThreads, 0, stream>>>(
            args.op, args.count, static_cast<const T*>(args.x), static_cast<uint8_t*>(args.y),
            args.alpha != 0.0F, args.beta != 0.0F);
        return check_launch("unary");
      }
    }
    run<T>(args, stream);
  });
}

}  // namespace tercel::kernels::cuda

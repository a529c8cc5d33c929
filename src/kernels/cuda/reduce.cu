#include <limits>

#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/reduce.h"

namespace tercel::kernels::cuda {
namespace {

template <class C>
__device__ C lowest() {
  if constexpr (std::is_integral_v<C>)
    return std::numeric_limits<C>::min();
  else
    return static_cast<C>(-INFINITY);
}
template <class C>
__device__ C largest() {
  if constexpr (std::is_integral_v<C>)
    return std::numeric_limits<C>::max();
  else
    return static_cast<C>(INFINITY);
}

template <class C>
__device__ __forceinline__ bool is_nan(C x) {
  return x != x;
}

template <class C>
__device__ C neutral(ReduceOp op) {
  switch (op) {
    case ReduceOp::prod:
      return C(1);
    case ReduceOp::max:
      return lowest<C>();
    case ReduceOp::min:
      return largest<C>();
    default:
      return C(0);
  }
}

template <class C>
__device__ __forceinline__ C prepared(ReduceOp op, C x, C most) {
  switch (op) {
    case ReduceOp::sum_square:
    case ReduceOp::l2:
      return x * x;
    case ReduceOp::l1:
      if constexpr (std::is_signed_v<C> || !std::is_integral_v<C>) return x < 0 ? -x : x;
      return x;
    case ReduceOp::log_sum_exp:
      if constexpr (!std::is_integral_v<C>) return exp(x - most);
      return x;
    default:
      return x;
  }
}

template <class C>
__device__ __forceinline__ C combined(ReduceOp op, C a, C b) {
  switch (op) {
    case ReduceOp::prod:
      return a * b;
    case ReduceOp::max:
      return is_nan(a) || a > b ? a : b;
    case ReduceOp::min:
      return is_nan(a) || a < b ? a : b;
    default:
      return a + b;
  }
}

template <class C>
__device__ C finished(ReduceOp op, C value, int64_t count, C most) {
  if constexpr (std::is_integral_v<C>) {
    return op == ReduceOp::mean && count > 0 ? value / static_cast<C>(count) : value;
  } else {
    if (op == ReduceOp::mean) return value / static_cast<C>(count);
    if (op == ReduceOp::l2) return sqrt(value);
    if (op == ReduceOp::log_sum) return log(value);
    if (op == ReduceOp::log_sum_exp) return log(value) + most;
    return value;
  }
}

// The value in every lane of the warp, and then of the block when it has several.
template <class C>
__device__ C all_combined(ReduceOp op, C value) {
  for (int step = kWarp / 2; step > 0; step /= 2)
    value = combined(op, value, __shfl_xor_sync(~0U, value, step));
  if (blockDim.x == kWarp) return value;
  __shared__ C parts[kWarp];
  __syncthreads();
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = parts[0];
  for (int w = 1; w < static_cast<int>(blockDim.x) / kWarp; ++w)
    value = combined(op, value, parts[w]);
  return value;
}

// A line's elements begin, begin + step, …: four at a time where there are as many.
template <class T, class C>
__device__ C partial(ReduceOp op, const T* x, int64_t begin, int64_t step, const ReduceArgs& args,
                     C most) {
  C value = neutral<C>(op);
  int64_t i = begin;
  for (; i + 3 * step < args.axis; i += 4 * step) {
    T loaded[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) loaded[j] = x[(i + j * step) * args.inner];
#pragma unroll
    for (int j = 0; j < 4; ++j)
      value = combined(op, value, prepared<C>(op, widen(loaded[j]), most));
  }
  for (; i < args.axis; i += step)
    value = combined(op, value, prepared<C>(op, widen(x[i * args.inner]), most));
  return value;
}

// A line is reduced by a thread alone where lines lie side by side, else by a block.
template <class T, bool Alone>
__global__ void reduce_kernel(ReduceArgs args) {
  using C = Wide<T>;
  const int64_t lines = args.outer * args.inner;
  const int64_t step = Alone ? 1 : blockDim.x;
  const int64_t begin = Alone ? 0 : threadIdx.x;
  const int64_t stride = Alone ? all_threads() : gridDim.x;
  for (int64_t line = Alone ? global_thread() : blockIdx.x; line < lines; line += stride) {
    const int64_t start = line / args.inner * args.axis * args.inner + line % args.inner;
    const T* x = static_cast<const T*>(args.x) + start;
    const auto all = [&](ReduceOp op, C most) {
      const C value = partial<T, C>(op, x, begin, step, args, most);
      if constexpr (Alone) return value;
      return all_combined(op, value);
    };
    C most = 0;
    if constexpr (!std::is_integral_v<C>) {
      if (args.op == ReduceOp::log_sum_exp) {
        most = all(ReduceOp::max, C(0));
        if (isinf(most)) most = 0;
      }
    }
    const C value = finished(args.op, all(args.op, most), args.axis, most);
    if (Alone || threadIdx.x == 0) static_cast<T*>(args.y)[line] = narrow<T>(value);
  }
}

template <class C>
struct Best {
  C value;
  int64_t place;  // -1: none yet
};

// NaN is the best of all, the first one of them. Of equals the first, or the last.
template <class C>
__device__ __forceinline__ bool better(const Best<C>& a, const Best<C>& b, bool max, bool last) {
  if (a.place < 0 || b.place < 0) return a.place >= 0;
  const bool a_nan = is_nan(a.value), b_nan = is_nan(b.value);
  if (a_nan || b_nan) return a_nan && (!b_nan || a.place < b.place);
  if (a.value == b.value) return last ? a.place > b.place : a.place < b.place;
  return max ? a.value > b.value : a.value < b.value;
}

template <class C>
__device__ Best<C> best_of_block(Best<C> best, bool max, bool last) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Best<C> other{__shfl_xor_sync(~0U, best.value, step),
                        __shfl_xor_sync(~0U, best.place, step)};
    if (better(other, best, max, last)) best = other;
  }
  __shared__ Best<C> parts[kWarp];
  __syncthreads();
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = best;
  __syncthreads();
  best = parts[0];
  for (int w = 1; w < static_cast<int>(blockDim.x) / kWarp; ++w)
    if (better(parts[w], best, max, last)) best = parts[w];
  return best;
}

template <class T>
__global__ void arg_kernel(ArgReduceArgs args) {
  using C = Wide<T>;
  for (int64_t line = blockIdx.x; line < args.outer * args.inner; line += gridDim.x) {
    const int64_t start = line / args.inner * args.axis * args.inner + line % args.inner;
    const T* x = static_cast<const T*>(args.x) + start;
    Best<C> best{C(0), -1};
    for (int64_t i = threadIdx.x; i < args.axis; i += blockDim.x) {
      const Best<C> next{widen(x[i * args.inner]), i};
      if (better(next, best, args.max, args.last)) best = next;
    }
    best = best_of_block(best, args.max, args.last);
    if (threadIdx.x == 0) args.y[line] = best.place;
  }
}

// The best of those that come behind the one found before, k times.
template <class T>
__global__ void top_k_kernel(TopKArgs args) {
  using C = Wide<T>;
  for (int64_t line = blockIdx.x; line < args.outer * args.inner; line += gridDim.x) {
    const int64_t outer = line / args.inner, inner = line % args.inner;
    const T* x = static_cast<const T*>(args.x) + outer * args.axis * args.inner + inner;
    Best<C> found{C(0), -1};
    for (int64_t k = 0; k < args.k; ++k) {
      Best<C> best{C(0), -1};
      for (int64_t i = threadIdx.x; i < args.axis; i += blockDim.x) {
        const Best<C> next{widen(x[i * args.inner]), i};
        const bool behind = found.place < 0 ||
                            (next.place != found.place && better(found, next, args.largest, false));
        if (behind && better(next, best, args.largest, false)) best = next;
      }
      found = best_of_block(best, args.largest, false);
      if (threadIdx.x != 0) continue;
      const int64_t at = (outer * args.k + k) * args.inner + inner;
      static_cast<T*>(args.values)[at] = narrow<T>(found.value);
      args.indices[at] = found.place;
    }
  }
}

// Chains of additions side by side: shorter ones, so less rounding, and as many loads under way.
constexpr int kPoolParts = 8;

// A block a sequence; each thread some columns.
template <class T>
__global__ void ragged_kernel(RaggedPoolArgs args) {
  const int64_t b = blockIdx.x;
  const int64_t begin = args.offsets[b];
  int64_t count = args.offsets[b + 1] - begin;
  if (args.pool == RaggedPool::first && count > 1) count = 1;
  const T* x = static_cast<const T*>(args.x) + begin * args.x_row;
  T* y = static_cast<T*>(args.y) + b * args.columns;
  const auto pooled = [&](int64_t c) {
    const bool max = args.pool == RaggedPool::max && count > 0;
    const auto combined = [&](float a, float b) { return max ? Max::of(a, b) : a + b; };
    float parts[kPoolParts];
    for (float& part : parts) part = max ? -INFINITY : 0.0F;
    for (int64_t i = 0; i < count; i += kPoolParts) {
#pragma unroll
      for (int j = 0; j < kPoolParts; ++j)
        if (i + j < count) parts[j] = combined(parts[j], widen(x[(i + j) * args.x_row + c]));
    }
#pragma unroll
    for (int step = kPoolParts / 2; step > 0; step /= 2)
#pragma unroll
      for (int j = 0; j < step; ++j) parts[j] = combined(parts[j], parts[j + step]);
    return args.pool == RaggedPool::mean && count > 0 ? parts[0] / static_cast<float>(count)
                                                      : parts[0];
  };
  float inverse = 1.0F;
  if (args.normalize) {
    float squares = 0.0F;
    for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x) {
      const float value = pooled(c);
      squares += value * value;
    }
    squares = group_reduce<Sum>(squares);
    if (squares > 0.0F) inverse = 1.0F / sqrtf(squares);
  }
  for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x)
    y[c] = narrow<T>(pooled(c) * inverse);
}

unsigned line_blocks(int64_t lines) {
  return static_cast<unsigned>(std::min<int64_t>(lines, 1 << 30));
}

int line_threads(int64_t axis) { return axis <= 256 ? kWarp : axis <= 8192 ? kThreads : 1024; }

bool needs_float(ReduceOp op) {
  return op == ReduceOp::l2 || op == ReduceOp::log_sum || op == ReduceOp::log_sum_exp;
}

}  // namespace

void reduce(const ReduceArgs& args, cudaStream_t stream) {
  const bool boolean = args.type == Dtype::boolean;
  if (boolean && args.op != ReduceOp::max && args.op != ReduceOp::min)
    unsupported_type("reduce", args.type);
  const int64_t lines = args.outer * args.inner;
  const auto launch = [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (std::is_integral_v<T> && needs_float(args.op)) unsupported_type("reduce", args.type);
    if (lines == 0) return;
    if (args.inner >= kWarp)
      reduce_kernel<T, true><<<blocks_for(lines), kThreads, 0, stream>>>(args);
    else
      reduce_kernel<T, false><<<line_blocks(lines), line_threads(args.axis), 0, stream>>>(args);
    check_launch("reduce");
  };
  switch (args.type) {
    case Dtype::u16:
    case Dtype::i16:
      unsupported_type("reduce", args.type);
    default:
      with_numeric_type("reduce", args.type, launch);
  }
}

void arg_reduce(const ArgReduceArgs& args, cudaStream_t stream) {
  const int64_t lines = args.outer * args.inner;
  if (lines == 0) return;
  if (args.axis == 0) unsupported_size("arg_reduce", "axis", 0);
  with_numeric_type("arg_reduce", args.type, [&](auto tag) {
    arg_kernel<typename decltype(tag)::type>
        <<<line_blocks(lines), line_threads(args.axis), 0, stream>>>(args);
  });
  check_launch("arg_reduce");
}

void top_k(const TopKArgs& args, cudaStream_t stream) {
  const int64_t lines = args.outer * args.inner;
  const auto launch = [&](auto tag) {
    if (lines == 0 || args.k == 0) return;
    top_k_kernel<typename decltype(tag)::type>
        <<<line_blocks(lines), line_threads(args.axis), 0, stream>>>(args);
    check_launch("top_k");
  };
  if (args.k > args.axis) unsupported_size("top_k", "k", args.k);
  if (args.type == Dtype::i32 || args.type == Dtype::i64)
    with_index_type("top_k", args.type, launch);
  else
    with_float_type("top_k", args.type, launch);
}

void ragged_pool(const RaggedPoolArgs& args, cudaStream_t stream) {
  if (args.batch == 0 || args.columns == 0) return;
  with_float_type("ragged_pool", args.type, [&](auto tag) {
    ragged_kernel<typename decltype(tag)::type>
        <<<static_cast<unsigned>(args.batch), kThreads, 0, stream>>>(args);
  });
  check_launch("ragged_pool");
}

}  // namespace tercel::kernels::cuda

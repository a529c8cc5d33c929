#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/resize.h"

namespace tercel::kernels::cuda {
namespace {

__device__ __forceinline__ double source_of(const ResizeAxis& axis, int64_t out) {
  return (static_cast<double>(out) + axis.shift) * axis.times / axis.over + axis.offset;
}
__device__ __forceinline__ int64_t inside(const ResizeAxis& axis, int64_t at) {
  return at < 0 ? 0 : at < axis.in ? at : axis.in - 1;
}
__device__ __forceinline__ double nearest_of(NearestMode mode, double x) {
  switch (mode) {
    case NearestMode::round_prefer_floor:
      return ceil(x - 0.5);
    case NearestMode::round_prefer_ceil:
      return floor(x + 0.5);
    case NearestMode::floor:
      return floor(x);
    case NearestMode::ceil:
      return ceil(x);
  }
  return x;
}

// The axes from the innermost on; each resized one has a neighbour on either side.
template <class T>
__global__ void resize_kernel(ResizeArgs args, int64_t count) {
  const T* x = static_cast<const T*>(args.x);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    int64_t rest = i, stride = 1, base = 0;
    int64_t steps[kMaxRank];  // from the neighbour in front to the one behind
    float parts[kMaxRank];
    int neighbours = 0;
    for (int d = args.rank - 1; d >= 0; --d) {
      const ResizeAxis& axis = args.axes[d];
      const int64_t up = rest / axis.out;
      const int64_t out = rest - up * axis.out;
      rest = up;
      if (!axis.resized) {
        base += out * stride;
      } else if (!args.linear) {
        const double at = nearest_of(args.nearest, source_of(axis, out));
        base += inside(axis, static_cast<int64_t>(at)) * stride;
      } else {
        const double at = source_of(axis, out);
        const auto low = static_cast<int64_t>(floor(at));
        base += inside(axis, low) * stride;
        steps[neighbours] = (inside(axis, low + 1) - inside(axis, low)) * stride;
        parts[neighbours++] = static_cast<float>(at - floor(at));
      }
      stride *= axis.in;
    }
    float sum = 0;
    for (int corner = 0; corner < 1 << neighbours; ++corner) {
      int64_t at = base;
      float weight = 1;
      for (int k = 0; k < neighbours; ++k) {
        const bool behind = (corner >> k & 1) != 0;
        at += behind ? steps[k] : 0;
        weight *= behind ? parts[k] : 1 - parts[k];
      }
      if (weight != 0) sum += weight * widen(x[at]);
    }
    static_cast<T*>(args.y)[i] = narrow<T>(sum);
  }
}

}  // namespace

void resize(const ResizeArgs& args, cudaStream_t stream) {
  int64_t count = 1;
  for (int d = 0; d < args.rank; ++d) count *= args.axes[d].out;
  if (count == 0) return;
  with_float_type("resize", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    resize_kernel<T><<<blocks_for(count), kThreads, 0, stream>>>(args, count);
  });
  check_launch("resize");
}

}  // namespace tercel::kernels::cuda

#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/indexing.h"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

// T moves several elements at once where rows allow it; sizes are in T.
template <class T, class Index>
__global__ void gather_kernel(GatherArgs args) {
  wait_for_earlier();
  let_next_start();
  const int64_t count = args.outer * args.count * args.inner;
  const auto* indices = static_cast<const Index*>(args.indices);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t row = i / args.inner;
    const int64_t outer = row / args.count;
    const int64_t from = checked_index(indices[row - outer * args.count], args.axis, args.error);
    const int64_t at = (outer * args.axis + from) * args.inner + i - row * args.inner;
    static_cast<T*>(args.out)[i] = from < 0 ? T{} : static_cast<const T*>(args.in)[at];
  }
}

// The place in an array of `dims` of element i of an array of `index_dims`, `axis` replaced.
__device__ int64_t replaced(int64_t i, const Extents& index_dims, const Extents& dims, int axis,
                            int64_t index) {
  int64_t at = 0, stride = 1;
  for (int d = index_dims.rank - 1; d >= 0; --d) {
    const int64_t up = i / index_dims.at[d];
    at += (d == axis ? index : i - up * index_dims.at[d]) * stride;
    stride *= dims.at[d];
    i = up;
  }
  return at;
}

template <class T, class Index>
__global__ void gather_elements_kernel(GatherElementsArgs args, int64_t count) {
  const auto* indices = static_cast<const Index*>(args.indices);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t from = checked_index(indices[i], args.in_dims.at[args.axis], args.error);
    const int64_t at = replaced(i, args.index_dims, args.in_dims, args.axis, from);
    static_cast<T*>(args.out)[i] = from < 0 ? T{} : static_cast<const T*>(args.in)[at];
  }
}

// The number of the slice that an index of `depth` parts names, or -1.
template <class Index>
__device__ int64_t slice_of(const Index* index, int depth, const Extents& dims, int* error) {
  int64_t at = 0;
  for (int d = 0; d < depth; ++d) {
    const int64_t place = checked_index(index[d], dims.at[d], error);
    if (place < 0) return -1;
    at = at * dims.at[d] + place;
  }
  return at;
}

template <class T, class Index>
__global__ void gather_nd_kernel(GatherNdArgs args, int64_t slices) {
  const int64_t count = args.batch * args.count * args.slice;
  const auto* indices = static_cast<const Index*>(args.indices);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t row = i / args.slice;
    const int64_t from = slice_of(indices + row * args.depth, args.depth, args.dims, args.error);
    const int64_t at = (row / args.count * slices + from) * args.slice + i - row * args.slice;
    static_cast<T*>(args.out)[i] = from < 0 ? T{} : static_cast<const T*>(args.in)[at];
  }
}

template <class T, class Index>
__global__ void one_hot_kernel(OneHotArgs args) {
  const int64_t count = args.outer * args.depth * args.inner;
  const auto* indices = static_cast<const Index*>(args.indices);
  const auto* values = static_cast<const T*>(args.values);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t plane = args.depth * args.inner;
    const int64_t outer = i / plane;
    int64_t index = indices[outer * args.inner + i % args.inner];
    if (index < 0) index += args.depth;
    static_cast<T*>(args.out)[i] = values[index == i % plane / args.inner ? 1 : 0];
  }
}

template <class T>
__global__ void range_kernel(RangeArgs args) {
  for (int64_t i = global_thread(); i < args.count; i += all_threads()) {
    T& out = static_cast<T*>(args.out)[i];
    if constexpr (std::is_integral_v<T>)
      out = static_cast<T>(static_cast<int64_t>(args.start) + i * static_cast<int64_t>(args.step));
    else
      out = narrow<T>(static_cast<Wide<T>>(args.start + static_cast<double>(i) * args.step));
  }
}

template <class C>
__device__ __forceinline__ C combined(bool product, C a, C b) {
  return product ? a * b : a + b;
}

// One warp a line: each lane scans a piece of it, 32 pieces at a time.
template <class T>
__global__ void cumulative_kernel(CumulativeArgs args) {
  using C = Wide<T>;
  const int lane = threadIdx.x % 32;
  const int64_t lines = args.outer * args.inner;
  for (int64_t line = global_thread() / 32; line < lines; line += all_threads() / 32) {
    const int64_t start = line / args.inner * args.axis * args.inner + line % args.inner;
    const auto* x = static_cast<const T*>(args.x) + start;
    auto* y = static_cast<T*>(args.y) + start;
    const C neutral = args.product ? C(1) : C(0);
    C carried = neutral;
    for (int64_t begin = 0; begin < args.axis; begin += 32) {
      const int64_t j = begin + lane;
      const int64_t at = (args.reverse ? args.axis - 1 - j : j) * args.inner;
      const bool inside = j < args.axis;
      C value = inside ? widen(x[at]) : neutral;
      for (int step = 1; step < 32; step *= 2) {
        const C before = __shfl_up_sync(~0U, value, step);
        if (lane >= step) value = combined(args.product, before, value);
      }
      C result = combined(args.product, carried, value);
      if (args.exclusive) {
        const C before = __shfl_up_sync(~0U, result, 1);
        if (inside) y[at] = narrow<T>(lane == 0 ? carried : before);
      } else if (inside) {
        y[at] = narrow<T>(result);
      }
      carried = __shfl_sync(~0U, result, 31);
    }
  }
}

// Sizes in units of the widest element that rows and pointers allow.
int coarsest(int element, int64_t row, const void* in, const void* out) {
  int bytes = 16;
  while (bytes > element &&
         (row * element % bytes != 0 || reinterpret_cast<uintptr_t>(in) % bytes != 0 ||
          reinterpret_cast<uintptr_t>(out) % bytes != 0))
    bytes /= 2;
  return bytes;
}

}  // namespace

void gather(const GatherArgs& given, cudaStream_t stream) {
  GatherArgs args = given;
  const int bytes = coarsest(args.element_bytes, args.inner, args.in, args.out);
  args.inner /= bytes / args.element_bytes;
  const int64_t count = args.outer * args.count * args.inner;
  if (count == 0) return;
  with_index_type("gather", args.index_type, [&](auto index) {
    with_element("gather", bytes, [&](auto tag) {
      launch_early("gather",
                   gather_kernel<typename decltype(tag)::type, typename decltype(index)::type>,
                   blocks_for(count), kThreads, 0, stream, args);
    });
  });
}

void gather_elements(const GatherElementsArgs& args, cudaStream_t stream) {
  const int64_t count = count_of(args.index_dims);
  if (count == 0) return;
  with_index_type("gather_elements", args.index_type, [&](auto index) {
    with_element("gather_elements", args.element_bytes, [&](auto tag) {
      gather_elements_kernel<typename decltype(tag)::type, typename decltype(index)::type>
          <<<blocks_for(count), kThreads, 0, stream>>>(args, count);
    });
  });
  check_launch("gather_elements");
}

void gather_nd(const GatherNdArgs& given, cudaStream_t stream) {
  GatherNdArgs args = given;
  const int bytes = coarsest(args.element_bytes, args.slice, args.in, args.out);
  args.slice /= bytes / args.element_bytes;
  const int64_t count = args.batch * args.count * args.slice;
  if (count == 0) return;
  int64_t slices = 1;
  for (int d = 0; d < args.depth; ++d) slices *= args.dims.at[d];
  with_index_type("gather_nd", args.index_type, [&](auto index) {
    with_element("gather_nd", bytes, [&](auto tag) {
      gather_nd_kernel<typename decltype(tag)::type, typename decltype(index)::type>
          <<<blocks_for(count), kThreads, 0, stream>>>(args, slices);
    });
  });
  check_launch("gather_nd");
}

void one_hot(const OneHotArgs& args, cudaStream_t stream) {
  const int64_t count = args.outer * args.depth * args.inner;
  if (count == 0) return;
  with_index_type("one_hot", args.index_type, [&](auto index) {
    with_element("one_hot", args.element_bytes, [&](auto tag) {
      one_hot_kernel<typename decltype(tag)::type, typename decltype(index)::type>
          <<<blocks_for(count), kThreads, 0, stream>>>(args);
    });
  });
  check_launch("one_hot");
}

void range(const RangeArgs& args, cudaStream_t stream) {
  if (args.count == 0) return;
  const auto launch = [&](auto tag) {
    range_kernel<typename decltype(tag)::type>
        <<<blocks_for(args.count), kThreads, 0, stream>>>(args);
  };
  if (args.type == Dtype::i32 || args.type == Dtype::i64)
    with_index_type("range", args.type, launch);
  else if (args.type == Dtype::f64)
    launch(Tag<double>{});
  else
    with_float_type("range", args.type, launch);
  check_launch("range");
}

void cumulative(const CumulativeArgs& args, cudaStream_t stream) {
  const int64_t lines = args.outer * args.inner;
  const auto launch = [&](auto tag) {
    if (lines == 0 || args.axis == 0) return;
    cumulative_kernel<typename decltype(tag)::type>
        <<<blocks_for(lines * 32), kThreads, 0, stream>>>(args);
    check_launch("cumulative");
  };
  switch (args.type) {
    case Dtype::f64:
      return launch(Tag<double>{});
    case Dtype::i32:
      return launch(Tag<int32_t>{});
    case Dtype::i64:
      return launch(Tag<int64_t>{});
    case Dtype::u32:
      return launch(Tag<uint32_t>{});
    case Dtype::u64:
      return launch(Tag<uint64_t>{});
    default:
      return with_float_type("cumulative", args.type, launch);
  }
}

}  // namespace tercel::kernels::cuda

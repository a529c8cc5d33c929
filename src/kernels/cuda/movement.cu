#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/loop.cuh"
#include "src/kernels/cuda/movement.h"

namespace tercel::kernels::cuda {
namespace {

template <class T>
__global__ void strided_kernel(Loop<2> loop, const T* in, T* out) {
  wait_for_earlier();
  let_next_start();
  for (int64_t i = global_thread(); i < loop.count; i += all_threads()) {
    int64_t at[2];
    loop.locate(i, at);
    out[at[1]] = in[at[0]];
  }
}

// Two dimensions change places: in is contiguous along the rows of a tile, out along its columns.
struct Planes {
  Loop<2> others;  // the remaining dimensions
  int64_t rows = 0, columns = 0;
  int64_t in_column = 0;  // stride of in along the columns; along the rows it is 1
  int64_t out_row = 0;    // stride of out along the rows; along the columns it is 1
  int64_t row_tiles = 0, column_tiles = 0;
};

constexpr int kTile = 32;
constexpr int kTileThreads = 8;

template <class T>
__global__ void transpose_kernel(Planes planes, const T* in, T* out) {
  __shared__ T tile[kTile][kTile + 1];
  wait_for_earlier();
  let_next_start();
  const int64_t tiles = planes.row_tiles * planes.column_tiles;
  for (int64_t i = blockIdx.x; i < tiles * planes.others.count; i += gridDim.x) {
    const int64_t plane = i / tiles;
    const int64_t place = i - plane * tiles;
    const int64_t row = place / planes.column_tiles * kTile;
    const int64_t column = place % planes.column_tiles * kTile;
    int64_t at[2];
    planes.others.locate(plane, at);
    for (int y = threadIdx.y; y < kTile; y += kTileThreads)
      if (row + threadIdx.x < planes.rows && column + y < planes.columns)
        tile[y][threadIdx.x] = in[at[0] + row + threadIdx.x + (column + y) * planes.in_column];
    __syncthreads();
    for (int y = threadIdx.y; y < kTile; y += kTileThreads)
      if (column + threadIdx.x < planes.columns && row + y < planes.rows)
        out[at[1] + column + threadIdx.x + (row + y) * planes.out_row] = tile[threadIdx.x][y];
    __syncthreads();
  }
}

// The dimension along which `in` is contiguous while `out` is not; -1 when there is none that pays.
int transposed_dimension(const Loop<2>& loop) {
  const int last = loop.rank - 1;
  if (loop.strides[1][last] != 1 || loop.strides[0][last] == 1 || loop.dims[last] < 8) return -1;
  for (int d = 0; d < last; ++d)
    if (loop.strides[0][d] == 1 && loop.dims[d] >= 8) return d;
  return -1;
}

Planes make_planes(const Loop<2>& loop, int rows) {
  Planes planes;
  const int last = loop.rank - 1;
  planes.rows = loop.dims[rows];
  planes.columns = loop.dims[last];
  planes.in_column = loop.strides[0][last];
  planes.out_row = loop.strides[1][rows];
  planes.row_tiles = (planes.rows + kTile - 1) / kTile;
  planes.column_tiles = (planes.columns + kTile - 1) / kTile;
  Extents dims, strides[2];
  for (int d = 0; d < last; ++d) {
    if (d == rows) continue;
    dims.at[dims.rank++] = loop.dims[d];
    for (int o = 0; o < 2; ++o) strides[o].at[strides[o].rank++] = loop.strides[o][d];
  }
  planes.others = make_loop<2>(dims, {&strides[0], &strides[1]});
  finish_loop(planes.others, 1);
  return planes;
}

// The widest unit, in bytes, of which all rows and pointers are multiples.
int widest(const Loop<2>& loop, int element, const void* in, const void* out) {
  const int last = loop.rank - 1;
  if (loop.strides[0][last] != 1 || loop.strides[1][last] != 1) return element;
  for (int bytes = 16; bytes > element; bytes /= 2) {
    const auto fits = [&](int64_t elements) { return elements * element % bytes == 0; };
    bool all = fits(loop.dims[last]) && reinterpret_cast<uintptr_t>(in) % bytes == 0 &&
               reinterpret_cast<uintptr_t>(out) % bytes == 0;
    for (int d = 0; d < last && all; ++d)
      all = fits(loop.strides[0][d]) && fits(loop.strides[1][d]);
    if (all) return bytes;
  }
  return element;
}

// From elements to units of `factor` elements.
void coarsen(Loop<2>& loop, int factor) {
  const int last = loop.rank - 1;
  loop.dims[last] /= factor;
  loop.count /= factor;
  for (int d = 0; d < last; ++d)
    for (auto& strides : loop.strides) strides[d] /= factor;
}

template <class T>
__global__ void fill_kernel(int64_t count, T value, T* out) {
  for (int64_t i = global_thread(); i < count; i += all_threads()) out[i] = value;
}

template <class T>
__global__ void concat_kernel(ConcatArgs args) {
  const int part = blockIdx.y;
  int64_t begin = args.begin;
  for (int p = 0; p < part; ++p) begin += args.axis[p];
  const int64_t row = args.axis[part] * args.inner;
  const auto* in = static_cast<const T*>(args.in[part]);
  auto* out = static_cast<T*>(args.out) + begin * args.inner;
  const int64_t out_row = args.total * args.inner;
  for (int64_t i = global_thread(); i < args.outer * row; i += all_threads()) {
    const int64_t outer = i / row;
    out[outer * out_row + i - outer * row] = in[i];
  }
}

__device__ int64_t source_of(int64_t at, int64_t size, PadMode mode) {
  if (at >= 0 && at < size) return at;
  if (mode == PadMode::constant || size == 0) return -1;
  if (mode == PadMode::edge) return at < 0 ? 0 : size - 1;
  if (mode == PadMode::wrap) return (at % size + size) % size;
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  const int64_t folded = (at % period + period) % period;
  return folded < size ? folded : period - folded;
}

template <class T>
__global__ void pad_kernel(PadArgs args, int64_t count) {
  const auto* value = static_cast<const T*>(args.value);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    int64_t rest = i, from = 0, stride = 1;
    bool inside = true;
    for (int d = args.out_dims.rank - 1; d >= 0; --d) {
      const int64_t up = rest / args.out_dims.at[d];
      const int64_t place = rest - up * args.out_dims.at[d] - args.before.at[d];
      const int64_t source = source_of(place, args.in_dims.at[d], args.mode);
      inside = inside && source >= 0;
      from += source * stride;
      stride *= args.in_dims.at[d];
      rest = up;
    }
    T element{};
    if (inside)
      element = static_cast<const T*>(args.in)[from];
    else if (value != nullptr)
      element = *value;
    static_cast<T*>(args.out)[i] = element;
  }
}

template <class T>
__global__ void tile_kernel(TileArgs args, int64_t count) {
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    int64_t rest = i, from = 0, stride = 1;
    for (int d = args.out_dims.rank - 1; d >= 0; --d) {
      const int64_t up = rest / args.out_dims.at[d];
      from += (rest - up * args.out_dims.at[d]) % args.in_dims.at[d] * stride;
      stride *= args.in_dims.at[d];
      rest = up;
    }
    static_cast<T*>(args.out)[i] = static_cast<const T*>(args.in)[from];
  }
}

template <class T>
__global__ void trilu_kernel(TriluArgs args) {
  const int64_t plane = args.rows * args.columns;
  for (int64_t i = global_thread(); i < args.batch * plane; i += all_threads()) {
    const int64_t row = i % plane / args.columns;
    const int64_t distance = i % args.columns - row;
    const bool keep = args.upper ? distance >= args.k : distance <= args.k;
    static_cast<T*>(args.out)[i] = keep ? static_cast<const T*>(args.in)[i] : T{};
  }
}

}  // namespace

Extents row_major(const Extents& dims) {
  Extents strides{dims.rank};
  int64_t stride = 1;
  for (int d = dims.rank - 1; d >= 0; --d) {
    strides.at[d] = stride;
    stride *= dims.at[d];
  }
  return strides;
}

void strided_copy(const StridedCopyArgs& args, cudaStream_t stream) {
  auto loop = make_loop<2>(args.dims, {&args.in_strides, &args.out_strides});
  if (loop.count == 0) return;
  const int rows = transposed_dimension(loop);
  if (rows >= 0) {
    const Planes planes = make_planes(loop, rows);
    const int64_t tiles = planes.others.count * planes.row_tiles * planes.column_tiles;
    const auto blocks = static_cast<unsigned>(std::min<int64_t>(tiles, 1 << 30));
    return with_element("strided_copy", args.element_bytes, [&](auto tag) {
      using T = typename decltype(tag)::type;
      launch_early("strided_copy", transpose_kernel<T>, blocks, dim3(kTile, kTileThreads), 0,
                   stream, planes, static_cast<const T*>(args.in), static_cast<T*>(args.out));
    });
  }
  const int bytes = widest(loop, args.element_bytes, args.in, args.out);
  coarsen(loop, bytes / args.element_bytes);
  finish_loop(loop, 1);
  with_element("strided_copy", bytes, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_early("strided_copy", strided_kernel<T>, blocks_for(loop.count), kThreads, 0, stream,
                 loop, static_cast<const T*>(args.in), static_cast<T*>(args.out));
  });
}

void fill(const FillArgs& args, cudaStream_t stream) {
  if (args.count == 0) return;
  with_element("fill", args.element_bytes, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T value;
    if constexpr (std::is_same_v<T, Bytes16>)
      value = {args.value[0], args.value[1]};
    else
      value = static_cast<T>(args.value[0]);
    fill_kernel<T><<<blocks_for(args.count), kThreads, 0, stream>>>(args.count, value,
                                                                    static_cast<T*>(args.out));
  });
  check_launch("fill");
}

void concat(const ConcatArgs& given, cudaStream_t stream) {
  ConcatArgs args = given;
  int64_t most = 0;
  int bytes = 16;
  const auto fits = [&](int64_t elements) { return elements * args.element_bytes % bytes == 0; };
  const auto all_fit = [&] {
    bool all = fits(args.inner) && reinterpret_cast<uintptr_t>(args.out) % bytes == 0;
    for (int p = 0; p < args.parts; ++p)
      all = all && reinterpret_cast<uintptr_t>(args.in[p]) % bytes == 0;
    return all;
  };
  while (bytes > args.element_bytes && !all_fit()) bytes /= 2;
  args.inner /= bytes / args.element_bytes;
  for (int p = 0; p < args.parts; ++p)
    most = std::max(most, args.outer * args.axis[p] * args.inner);
  if (most == 0) return;
  with_element("concat", bytes, [&](auto tag) {
    const dim3 blocks(blocks_for(most), static_cast<unsigned>(args.parts));
    concat_kernel<typename decltype(tag)::type><<<blocks, kThreads, 0, stream>>>(args);
  });
  check_launch("concat");
}

void pad(const PadArgs& args, cudaStream_t stream) {
  const int64_t count = count_of(args.out_dims);
  if (count == 0) return;
  with_element("pad", args.element_bytes, [&](auto tag) {
    pad_kernel<typename decltype(tag)::type>
        <<<blocks_for(count), kThreads, 0, stream>>>(args, count);
  });
  check_launch("pad");
}

void tile(const TileArgs& args, cudaStream_t stream) {
  const int64_t count = count_of(args.out_dims);
  if (count == 0) return;
  with_element("tile", args.element_bytes, [&](auto tag) {
    tile_kernel<typename decltype(tag)::type>
        <<<blocks_for(count), kThreads, 0, stream>>>(args, count);
  });
  check_launch("tile");
}

void trilu(const TriluArgs& args, cudaStream_t stream) {
  const int64_t count = args.batch * args.rows * args.columns;
  if (count == 0) return;
  with_element("trilu", args.element_bytes, [&](auto tag) {
    trilu_kernel<typename decltype(tag)::type><<<blocks_for(count), kThreads, 0, stream>>>(args);
  });
  check_launch("trilu");
}

}  // namespace tercel::kernels::cuda

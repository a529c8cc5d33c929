#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/norm.h"

namespace tercel::kernels::cuda {
namespace {

template <class T, int N>
__device__ __forceinline__ void add(const T* from, float (&values)[N]) {
  const auto pack = *reinterpret_cast<const Pack<T, N>*>(from);
#pragma unroll
  for (int j = 0; j < N; ++j) values[j] += widen(pack.at[j]);
}

template <class T, int N>
__device__ __forceinline__ void put(T* to, const float (&values)[N]) {
  Pack<T, N> pack;
#pragma unroll
  for (int j = 0; j < N; ++j) pack.at[j] = narrow<T>(values[j]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// What is normalised: sources add up N elements of a row from `column` on.
template <class T>
struct RowSource {
  NormArgs args;

  template <int N>
  __device__ __forceinline__ void load(int64_t row, int64_t column, float (&values)[N]) const {
    if (args.partial_sums != nullptr) {
      const float* from = args.partial_sums + row * args.columns + column;
      const int64_t distance = args.rows * args.columns;
      constexpr int kWidth = N % 4 == 0 ? 4 : 1;
      constexpr int kTogether = 4;  // on their way at once
      for (int p = 0; p < args.partials; p += kTogether, from += kTogether * distance) {
        Pack<float, kWidth> parts[kTogether][N / kWidth];
#pragma unroll
        for (int q = 0; q < kTogether; ++q)
#pragma unroll
          for (int j = 0; j < N / kWidth; ++j)
            parts[q][j] = p + q < args.partials ? *reinterpret_cast<const Pack<float, kWidth>*>(
                                                      from + q * distance + j * kWidth)
                                                : Pack<float, kWidth>{};
#pragma unroll
        for (int q = 0; q < kTogether; ++q)
#pragma unroll
          for (int j = 0; j < N; ++j) values[j] += parts[q][j / kWidth].at[j % kWidth];
      }
    } else {
      add(static_cast<const T*>(args.x) + row * args.x_row + column, values);
    }
    if (args.bias != nullptr) add(static_cast<const T*>(args.bias) + column, values);
    if (args.residual != nullptr)
      add(static_cast<const T*>(args.residual) + row * args.residual_row + column, values);
    if (args.sum != nullptr) put(static_cast<T*>(args.sum) + row * args.sum_row + column, values);
  }
};

template <class T, class Index>
struct EmbeddingSource {
  EmbeddingNormArgs args;

  template <int N>
  __device__ __forceinline__ void load(int64_t row, int64_t column, float (&values)[N]) const {
#pragma unroll
    for (const EmbeddingTable& table : args.tables) {
      if (table.rows == nullptr) continue;
      const int64_t place = checked_index(id(table, row), table.size, args.error);
      if (place >= 0)
        add(static_cast<const T*>(table.rows) + place * args.columns + column, values);
    }
  }

  // -size - 1, which no table has, when `pick` points at no id.
  __device__ __forceinline__ int64_t id(const EmbeddingTable& table, int64_t row) const {
    if (table.ids == nullptr) return 0;
    int64_t at = row < table.count ? row : row % table.count;
    if (table.pick != nullptr) at = checked_index(table.pick[at], table.ids_count, args.error);
    return at < 0 ? -table.size - 1
                  : static_cast<int64_t>(static_cast<const Index*>(table.ids)[at]);
  }
};

// What becomes of it.
struct Target {
  int64_t rows, columns;
  bool rms, plain;  // plain: the sum itself
  const void* scale;
  const void* shift;
  float epsilon;
  void* y;
  int64_t y_row;
  float* mean;
  float* inv_deviation;
};

template <class T, int N>
__device__ __forceinline__ void finish(const Target& target, int64_t row, int64_t column,
                                       float mean, float inverse, float (&values)[N]) {
  float scale[N], shift[N];
#pragma unroll
  for (int j = 0; j < N; ++j) scale[j] = shift[j] = 0.0F;
  if (target.scale != nullptr) add(static_cast<const T*>(target.scale) + column, scale);
  if (target.shift != nullptr) add(static_cast<const T*>(target.shift) + column, shift);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    float value = (values[j] - mean) * inverse;
    if (target.scale != nullptr) value *= scale[j];
    values[j] = value + shift[j];
  }
  put(static_cast<T*>(target.y) + row * target.y_row + column, values);
}

__device__ __forceinline__ void put_statistics(const Target& target, int64_t row, float mean,
                                               float inverse) {
  if (threadIdx.x != 0) return;
  if (target.mean != nullptr) target.mean[row] = mean;
  if (target.inv_deviation != nullptr) target.inv_deviation[row] = inverse;
}

// A row in the registers of a group.
template <class T, int N, int Packs, class Source>
__global__ void norm_kernel(Source source, Target target) {
  wait_for_earlier();
  let_next_start();
  const auto columns = static_cast<float>(target.columns);
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < target.rows;
       first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
    const int64_t row = first + threadIdx.y;
    const bool here = row < target.rows;
    float values[Packs][N];
    float sum = 0.0F;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
#pragma unroll
      for (int j = 0; j < N; ++j) values[p][j] = 0.0F;
      if (here && column < target.columns) source.load(row, column, values[p]);
#pragma unroll
      for (int j = 0; j < N; ++j) sum += values[p][j];
    }
    float mean = 0.0F, inverse = 1.0F;
    if (!target.plain) {
      if (!target.rms) mean = group_reduce<Sum>(sum) / columns;
      float squares = 0.0F;
#pragma unroll
      for (int p = 0; p < Packs; ++p) {
        const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const float difference = column < target.columns ? values[p][j] - mean : 0.0F;
          squares += difference * difference;
        }
      }
      inverse = 1.0F / sqrtf(group_reduce<Sum>(squares) / columns + target.epsilon);
    }
    if (!here) continue;
    put_statistics(target, row, mean, inverse);
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
      if (column < target.columns) finish<T>(target, row, column, mean, inverse, values[p]);
    }
  }
}

// Rows of any length, an element at a time; what is normalised is read three times.
template <class T, class Source>
__global__ void long_norm_kernel(Source source, Target target) {
  wait_for_earlier();
  let_next_start();
  const auto columns = static_cast<float>(target.columns);
  for (int64_t row = blockIdx.x; row < target.rows; row += gridDim.x) {
    float mean = 0.0F, inverse = 1.0F;
    if (!target.plain) {
      float sum = 0.0F, squares = 0.0F;
      for (int64_t c = threadIdx.x; c < target.columns && !target.rms; c += blockDim.x) {
        float value[1] = {};
        source.load(row, c, value);
        sum += value[0];
      }
      if (!target.rms) mean = group_reduce<Sum>(sum) / columns;
      for (int64_t c = threadIdx.x; c < target.columns; c += blockDim.x) {
        float value[1] = {};
        source.load(row, c, value);
        squares += (value[0] - mean) * (value[0] - mean);
      }
      inverse = 1.0F / sqrtf(group_reduce<Sum>(squares) / columns + target.epsilon);
    }
    put_statistics(target, row, mean, inverse);
    for (int64_t c = threadIdx.x; c < target.columns; c += blockDim.x) {
      float value[1] = {};
      source.load(row, c, value);
      finish<T>(target, row, c, mean, inverse, value);
    }
  }
}

// `wide`: a pack for each thread where a block has as many, as few rows have little else to hide
// their latency behind.
template <class T, class Source>
void run(const Source& source, const Target& target, bool packed, bool wide, cudaStream_t stream) {
  constexpr int kPack = kPackOf<T>;
  const Groups groups = groups_for(target.rows, target.columns / kPack, wide ? 1 : kMaxPacks);
  const auto launch = [&](auto kernel, const Groups& shape) {
    launch_early("norm", kernel, shape.blocks, shape.block(), 0, stream, source, target);
  };
  if (packed && groups.packs == 1)
    launch(norm_kernel<T, kPack, 1, Source>, groups);
  else if (packed && groups.packs == 2)
    launch(norm_kernel<T, kPack, 2, Source>, groups);
  else if (packed && groups.packs == 3)
    launch(norm_kernel<T, kPack, 3, Source>, groups);
  else if (packed && groups.packs == 4)
    launch(norm_kernel<T, kPack, 4, Source>, groups);
  else
    launch(long_norm_kernel<T, Source>,
           Groups{std::min(groups.size * 4, 1024), 1, 0,
                  static_cast<unsigned>(std::min<int64_t>(target.rows, 1 << 30))});
}

}  // namespace

void norm(const NormArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("norm", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.x, args.x_row) &&
                        packs<T, kPack>(args.residual, args.residual_row) &&
                        packs<T, kPack>(args.bias) && packs<T, kPack>(args.sum, args.sum_row) &&
                        packs<T, kPack>(args.scale) && packs<T, kPack>(args.shift) &&
                        packs<T, kPack>(args.y, args.y_row) && packs<float, 4>(args.partial_sums);
    const Target target{args.rows,         args.columns,
                        args.rms,          false,
                        args.scale,        args.rms ? nullptr : args.shift,
                        args.epsilon,      args.y,
                        args.y_row,        args.mean,
                        args.inv_deviation};
    // What split products leave depends on the number of rows anyway.
    run<T>(RowSource<T>{args}, target, packed, args.partial_sums != nullptr, stream);
  });
}

void embedding_norm(const EmbeddingNormArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("embedding_norm", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.scale) &&
                  packs<T, kPack>(args.shift) && packs<T, kPack>(args.y);
    for (const EmbeddingTable& table : args.tables) packed = packed && packs<T, kPack>(table.rows);
    const bool plain = args.scale == nullptr && args.shift == nullptr;
    const Target target{args.rows,    args.columns, args.rms,
                        plain,        args.scale,   args.rms ? nullptr : args.shift,
                        args.epsilon, args.y,       args.columns,
                        nullptr,      nullptr};
    with_index_type("embedding_norm", args.index_type, [&](auto index) {
      using Index = typename decltype(index)::type;
      run<T>(EmbeddingSource<T, Index>{args}, target, packed, false, stream);
    });
  });
}

}  // namespace tercel::kernels::cuda

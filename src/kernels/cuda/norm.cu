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

// Bias and residual; and the sum is kept where it is wanted.
template <class T, int N>
__device__ __forceinline__ void add_rest(const NormArgs& args, int64_t row, int64_t column,
                                         float (&values)[N]) {
  if (args.bias != nullptr) add(static_cast<const T*>(args.bias) + column, values);
  if (args.residual != nullptr)
    add(static_cast<const T*>(args.residual) + row * args.residual_row + column, values);
  if (args.sum != nullptr) put(static_cast<T*>(args.sum) + row * args.sum_row + column, values);
}

// What is normalised. A source finds out where a row lies and may fetch N elements of it from
// `column` on; it adds them up later, when they have come.
template <class T, bool Bare>  // Bare: x alone
struct RowSource {
  NormArgs args;

  struct Place {};
  template <int N>
  using Fetched = Held<T, N>;

  __device__ __forceinline__ Place find(int64_t) const { return {}; }

  template <int N>
  __device__ __forceinline__ void fetch(int64_t row, int64_t column, Held<T, N>& fetched) const {
    fetched.read(args.x, row * args.x_row + column);
  }

  template <int N>
  __device__ __forceinline__ void sum(const Place&, int64_t row, int64_t column,
                                      const Held<T, N>& fetched, float (&values)[N]) const {
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] = fetched.at(j);
    if constexpr (!Bare) add_rest<T>(args, row, column, values);
  }
};

// The parts of a product with split K: few rows, each thread's only one.
template <class T>
struct PartialSource {
  NormArgs args;

  struct Place {};
  template <int N>
  struct Fetched {};

  __device__ __forceinline__ Place find(int64_t) const { return {}; }

  template <int N>
  __device__ __forceinline__ void fetch(int64_t, int64_t, Fetched<N>&) const {}

  template <int N>
  __device__ __forceinline__ void sum(const Place&, int64_t row, int64_t column, const Fetched<N>&,
                                      float (&values)[N]) const {
    const float* from = args.partial_sums + row * args.columns + column;
    const int64_t distance = args.rows * args.columns;
    constexpr int kWidth = N % 4 == 0 ? 4 : 1;
    constexpr int kTogether = 4;  // on their way at once
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] = 0.0F;
    for (int p = 0; p < args.partials; p += kTogether, from += kTogether * distance) {
      Pack<float, kWidth> parts[kTogether][N / kWidth];
#pragma unroll
      for (int q = 0; q < kTogether; ++q)
#pragma unroll
        for (int j = 0; j < N / kWidth; ++j)
          parts[q][j] =
              p + q < args.partials
                  ? *reinterpret_cast<const Pack<float, kWidth>*>(from + q * distance + j * kWidth)
                  : Pack<float, kWidth>{};
#pragma unroll
      for (int q = 0; q < kTogether; ++q)
#pragma unroll
        for (int j = 0; j < N; ++j) values[j] += parts[q][j / kWidth].at[j % kWidth];
    }
    add_rest<T>(args, row, column, values);
  }
};

template <class T, class Index>
struct EmbeddingSource {
  EmbeddingNormArgs args;

  struct Place {
    int64_t of[EmbeddingNormArgs::kMaxTables];  // in each table; -1: none
  };
  template <int N>
  struct Fetched {};

  // What is read for one table does not wait for the others.
  __device__ __forceinline__ Place find(int64_t row) const {
    constexpr int kTables = EmbeddingNormArgs::kMaxTables;
    Place place;
#pragma unroll
    for (int t = 0; t < kTables; ++t) {
      const EmbeddingTable& table = args.tables[t];
      place.of[t] = table.ids == nullptr || row < table.count ? row : row % table.count;
      if (table.rows == nullptr || row >= args.rows) place.of[t] = -1;
    }
    bool outside = false;
    const auto check = [&](int64_t& index, int64_t size) {
      if (index < 0) index += size;
      if (index < 0 || index >= size) {
        outside = true;
        index = -1;
      }
    };
#pragma unroll
    for (int t = 0; t < kTables; ++t)
      if (place.of[t] >= 0 && args.tables[t].pick != nullptr) {
        place.of[t] = args.tables[t].pick[place.of[t]];
        check(place.of[t], args.tables[t].ids_count);
      }
#pragma unroll
    for (int t = 0; t < kTables; ++t) {
      const EmbeddingTable& table = args.tables[t];
      if (place.of[t] < 0) continue;
      place.of[t] =
          table.ids == nullptr ? 0 : int64_t{static_cast<const Index*>(table.ids)[place.of[t]]};
      check(place.of[t], table.size);
    }
    if (outside && args.error != nullptr) *args.error = 1;
    return place;
  }

  template <int N>
  __device__ __forceinline__ void fetch(int64_t, int64_t, Fetched<N>&) const {}

  template <int N>
  __device__ __forceinline__ void sum(const Place& place, int64_t, int64_t column,
                                      const Fetched<N>&, float (&values)[N]) const {
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] = 0.0F;
#pragma unroll
    for (int t = 0; t < EmbeddingNormArgs::kMaxTables; ++t)
      if (place.of[t] >= 0)
        add(static_cast<const T*>(args.tables[t].rows) + place.of[t] * args.columns + column,
            values);
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

// Scale and shift of N columns, absent ones as 1 and 0.
template <class T, int N>
struct Affine {
  Held<T, N> scale, shift;

  __device__ __forceinline__ void fetch(const Target& target, int64_t column) {
    scale.fill(1.0F);
    shift.fill(0.0F);
    if (target.scale != nullptr) scale.read(target.scale, column);
    if (target.shift != nullptr) shift.read(target.shift, column);
  }

  __device__ __forceinline__ void finish(const Target& target, int64_t row, int64_t column,
                                         float mean, float inverse, float (&values)[N]) const {
#pragma unroll
    for (int j = 0; j < N; ++j)
      values[j] = fmaf((values[j] - mean) * inverse, scale.at(j), shift.at(j));
    put(static_cast<T*>(target.y) + row * target.y_row + column, values);
  }
};

__device__ __forceinline__ void put_statistics(const Target& target, int64_t row, float mean,
                                               float inverse) {
  if (threadIdx.x != 0) return;
  if (target.mean != nullptr) target.mean[row] = mean;
  if (target.inv_deviation != nullptr) target.inv_deviation[row] = inverse;
}

// A row in the registers of a group, the next one on its way.
template <class T, int N, int Packs, class Source>
__global__ void __maxnreg__(kResidentRegisters) norm_kernel(Source source, Target target) {
  wait_for_earlier();
  let_next_start();
  const float part = 1.0F / static_cast<float>(target.columns);
  const GroupColumns<N, Packs> columns(target.columns);
  typename Source::template Fetched<N> fetched[Packs];
  const auto fetch = [&](int64_t row) {
#pragma unroll
    for (int p = 0; p < Packs; ++p)
      if (row < target.rows && columns.inside[p]) source.fetch(row, columns.at[p], fetched[p]);
  };
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  typename Source::Place place = source.find(row);
  fetch(row);
  // All threads of a block together.
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < target.rows;
       first += step, row += step) {
    const bool here = row < target.rows;
    float values[Packs][N];
    float sum = 0.0F;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
#pragma unroll
      for (int j = 0; j < N; ++j) values[p][j] = 0.0F;
      if (here && columns.inside[p]) source.sum(place, row, columns.at[p], fetched[p], values[p]);
#pragma unroll
      for (int j = 0; j < N; ++j) sum += values[p][j];
    }
    place = source.find(row + step);
    fetch(row + step);
    Affine<T, N> affine[Packs];
#pragma unroll
    for (int p = 0; p < Packs; ++p)
      if (columns.inside[p]) affine[p].fetch(target, columns.at[p]);
    float mean = 0.0F, inverse = 1.0F;
    if (!target.plain) {
      if (!target.rms) mean = group_reduce<Sum>(sum) * part;
      float squares = 0.0F;
#pragma unroll
      for (int p = 0; p < Packs; ++p) {
        if (!columns.inside[p]) continue;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const float difference = values[p][j] - mean;
          squares = fmaf(difference, difference, squares);
        }
      }
      inverse = rsqrtf(fmaf(group_reduce<Sum>(squares), part, target.epsilon));
    }
    if (!here) continue;
    put_statistics(target, row, mean, inverse);
#pragma unroll
    for (int p = 0; p < Packs; ++p)
      if (columns.inside[p]) affine[p].finish(target, row, columns.at[p], mean, inverse, values[p]);
  }
}

// Rows of any length, an element at a time; what is normalised is read three times.
template <class T, class Source>
__global__ void long_norm_kernel(Source source, Target target) {
  wait_for_earlier();
  let_next_start();
  const auto columns = static_cast<float>(target.columns);
  for (int64_t row = blockIdx.x; row < target.rows; row += gridDim.x) {
    const auto value_at = [&](int64_t column) {
      typename Source::template Fetched<1> fetched;
      float value[1];
      source.fetch(row, column, fetched);
      source.sum(source.find(row), row, column, fetched, value);
      return value[0];
    };
    float mean = 0.0F, inverse = 1.0F;
    if (!target.plain) {
      float sum = 0.0F, squares = 0.0F;
      for (int64_t c = threadIdx.x; c < target.columns && !target.rms; c += blockDim.x)
        sum += value_at(c);
      if (!target.rms) mean = group_reduce<Sum>(sum) / columns;
      for (int64_t c = threadIdx.x; c < target.columns; c += blockDim.x) {
        const float difference = value_at(c) - mean;
        squares += difference * difference;
      }
      inverse = 1.0F / sqrtf(group_reduce<Sum>(squares) / columns + target.epsilon);
    }
    put_statistics(target, row, mean, inverse);
    for (int64_t c = threadIdx.x; c < target.columns; c += blockDim.x) {
      float value[1] = {value_at(c)};
      Affine<T, 1> affine;
      affine.fetch(target, c);
      affine.finish(target, row, c, mean, inverse, value);
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
    if (args.partial_sums != nullptr)
      run<T>(PartialSource<T>{args}, target, packed, true, stream);
    else if (args.bias == nullptr && args.residual == nullptr && args.sum == nullptr)
      run<T>(RowSource<T, true>{args}, target, packed, false, stream);
    else
      run<T>(RowSource<T, false>{args}, target, packed, false, stream);
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

#include "src/kernels/cpu/gemm.h"

#include "src/kernels/cpu/gemm_tile.h"
#include "src/kernels/cpu/isa_tables.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

constexpr double kFlopsPerNanosecond = 50;
constexpr double kBytesPerNanosecond = 20;
constexpr double kNanosecondsWorthSharing = 8000;

int64_t element_bytes(Dtype packed) {
  if (packed == Dtype::f32) return 4;
  if (packed == Dtype::f16 || packed == Dtype::bf16) return 2;
  fail_dtype("GEMM", packed);
}

std::size_t packed_bytes(int64_t k, int64_t n, Dtype packed) {
  return checked_bytes(k, ceil_div(n, kPanel), kPanel * element_bytes(packed));
}

template <class Source, class Packed>
void pack_all(const PackBArgs& args, ThreadPool& pool) {
  const auto* b = static_cast<const Source*>(args.b);
  auto* out = static_cast<Packed*>(args.out);
  const double cost = static_cast<double>(args.k) * kPanel / 2;
  for_ranges(pool, ceil_div(args.n, kPanel), cost, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t columns = least<int64_t>(kPanel, args.n - p * kPanel);
      pack_panel(b + p * kPanel * args.n_stride, args.k_stride, args.n_stride, args.k, columns,
                 out + p * args.k * kPanel);
    }
  });
}

template <class Source>
void pack_from(const PackBArgs& args, ThreadPool& pool) {
  switch (args.packed) {
    case Dtype::f32:
      return pack_all<Source, float>(args, pool);
    case Dtype::f16:
      return pack_all<Source, f16>(args, pool);
    case Dtype::bf16:
      return pack_all<Source, bf16>(args, pool);
    default:
      fail_dtype("GEMM", args.packed);
  }
}

void pack_b(const PackBArgs& args, ThreadPool& pool) {
  switch (args.source) {
    case Dtype::f32:
      return pack_from<float>(args, pool);
    case Dtype::f16:
      return pack_from<f16>(args, pool);
    case Dtype::bf16:
      return pack_from<bf16>(args, pool);
    default:
      fail_dtype("GEMM", args.source);
  }
}

template <class Function>
void finish_row(float* c, const float* bias, const float* residual, int64_t columns,
                Function activation) {
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t left = columns - j;
    const auto read = [&](const float* from) {
      return left >= kLanes ? load(from + j) : load_some(from + j, left);
    };
    Vec value = read(c);
    if (bias != nullptr) value += read(bias);
    value = activation(value);
    if (residual != nullptr) value += read(residual);
    if (left >= kLanes) {
      store(c + j, value);
    } else {
      store_some(c + j, value, left);
    }
  }
}

// On C[rows, columns] whose first element is C[row, column] of the whole.
void finish(float* c, int64_t c_row, int64_t row, int64_t rows, int64_t column, int64_t columns,
            const GemmEpilogue& e) {
  if (e.bias == nullptr && e.residual == nullptr && e.activation == Activation::none) return;
  const float* bias = e.bias == nullptr ? nullptr : e.bias + column;
  for (int64_t r = 0; r < rows; ++r, c += c_row) {
    const float* residual =
        e.residual == nullptr ? nullptr : e.residual + (row + r) * e.residual_stride + column;
    const auto with = [&](auto activation) { finish_row(c, bias, residual, columns, activation); };
    switch (e.activation) {
      case Activation::none:
        with([](Vec x) { return x; });
        break;
      case Activation::relu:
        with([](Vec x) { return relu(x); });
        break;
      case Activation::gelu:
        with([](Vec x) { return gelu(x); });
        break;
      case Activation::gelu_tanh:
        with([](Vec x) { return gelu_tanh(x); });
        break;
      case Activation::silu:
        with([](Vec x) { return silu(x); });
        break;
      case Activation::tanh:
        with([](Vec x) { return tanh(x); });
        break;
      case Activation::sigmoid:
        with([](Vec x) { return sigmoid(x); });
        break;
    }
  }
}

struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Part i of n of [0, whole), parts as equal as can be.
Range part(int64_t whole, int64_t i, int64_t n) { return {whole * i / n, whole * (i + 1) / n}; }

// How C is cut into tasks: by columns first, so that each core keeps its own part of B; by rows
// when there are too few columns.
struct Grid {
  int64_t rows = 1, groups = 1;

  Grid(int64_t m, int64_t panels, int64_t threads) {
    groups = ceil_div(panels, kGroupPanels);
    if (threads > 1) {
      groups = least(round_up(groups, threads), panels);
      if (groups * 4 <= panels) groups *= 2;
      if (groups < 2 * threads) {
        rows = least(ceil_div(2 * threads, groups), ceil_div(m, kTileRows));
      }
    }
  }
};

// One task: rows [m), panels [p) of C, all of K. B's element (k, panel p) is at
// block(k0, kc) + (p - panels.begin) * stride.
template <class BlockOfB>
void run_task(const GemmArgs& args, Range m, Range panels, const BlockOfB& block) {
  ABlock a;
  const int64_t column = panels.begin * kPanel;
  const int64_t columns = least(panels.end * kPanel, args.n) - column;
  const int64_t blocks = most<int64_t>(1, ceil_div(args.k, kBlockK));
  const int64_t tiles = ceil_div(m.size(), kTileRows);
  for (int64_t i = 0; i < blocks; ++i) {
    const Range k = part(args.k, i, blocks);
    int64_t stride = 0;
    const auto* b = block(k, stride);
    for (int64_t t = 0; t < tiles; ++t) {
      const Range tile = part(m.size(), t, tiles);
      const int64_t row = m.begin + tile.begin;
      const int rows = static_cast<int>(tile.size());
      float* c = args.c + row * args.c_row + column;
      copy_a(args.a + row * args.a_row + k.begin * args.a_column, args.a_row, args.a_column, rows,
             k.size(), a.values);
      gemm_strip(rows, a.values, b, stride, k.size(), c, args.c_row, columns, i == 0);
      if (i == blocks - 1) finish(c, args.c_row, row, rows, column, columns, args.epilogue);
    }
  }
}

template <class T>
void gemm_packed(const GemmArgs& args, ThreadPool& pool) {
  const auto* b = static_cast<const T*>(args.packed_b);
  const int64_t panels = ceil_div(args.n, kPanel);
  const Grid grid(args.m, panels, pool_size(pool));
  const double size = static_cast<double>(args.n) * static_cast<double>(args.k);
  const double cost = most(2 * size * static_cast<double>(args.m) / kFlopsPerNanosecond,
                           size * sizeof(T) / kBytesPerNanosecond);
  const double grain_cost = cost < kNanosecondsWorthSharing ? 0 : kNanosecondsWorthSharing;
  for_ranges(pool, grid.rows * grid.groups, grain_cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Range p = part(panels, i % grid.groups, grid.groups);
      run_task(args, part(args.m, i / grid.groups, grid.rows), p, [&](Range k, int64_t& stride) {
        stride = args.k * kPanel;
        return b + p.begin * stride + k.begin * kPanel;
      });
    }
  });
}

void gemm(const GemmArgs& args, ThreadPool& pool) {
  if (args.m <= 0 || args.n <= 0) return;
  switch (args.packed) {
    case Dtype::f32:
      return gemm_packed<float>(args, pool);
    case Dtype::f16:
      return gemm_packed<f16>(args, pool);
    case Dtype::bf16:
      return gemm_packed<bf16>(args, pool);
    default:
      fail_dtype("GEMM", args.packed);
  }
}

constexpr int64_t kGroupFloats = int64_t{kBlockK} * kGroupPanels * kPanel;

std::size_t batched_gemm_workspace(int threads) {
  return checked_bytes(threads, kGroupFloats, sizeof(float));
}

// The matrices of item i of a batch.
GemmArgs batch_item(const BatchedGemmArgs& args, int64_t i) {
  GemmArgs one{.m = args.m, .n = args.n, .k = args.k};
  one.a = args.a + (args.a_offsets != nullptr ? args.a_offsets[i] : i * args.a_batch);
  one.a_row = args.a_row;
  one.a_column = args.a_column;
  one.c = args.c + i * args.c_batch;
  one.c_row = args.c_row;
  return one;
}

void batched_gemm(const BatchedGemmArgs& args, ThreadPool& pool) {
  if (args.batch <= 0 || args.m <= 0 || args.n <= 0) return;
  const int64_t panels = ceil_div(args.n, kPanel);
  Grid grid(args.m, panels, 1);
  if (args.batch * grid.groups < pool_size(pool)) grid = Grid(args.m, panels, pool_size(pool));
  const int64_t tasks = grid.rows * grid.groups;
  const double cost = 2.0 * static_cast<double>(args.batch * args.m) *
                      static_cast<double>(args.n * args.k) / kFlopsPerNanosecond;
  for_items(pool, args.batch * tasks, cost, [&](int64_t item, int64_t slot) {
    const int64_t i = item / tasks;
    const float* b = args.b + (args.b_offsets != nullptr ? args.b_offsets[i] : i * args.b_batch);
    float* packed = static_cast<float*>(args.workspace) + slot * kGroupFloats;
    const Range p = part(panels, item % grid.groups, grid.groups);
    const Range m = part(args.m, item % tasks / grid.groups, grid.rows);
    run_task(batch_item(args, i), m, p, [&](Range k, int64_t& stride) -> const float* {
      stride = k.size() * kPanel;
      if (k.size() == 0) return packed;  // b may be null
      for (int64_t j = p.begin; j < p.end; ++j) {
        const int64_t columns = least<int64_t>(kPanel, args.n - j * kPanel);
        pack_panel(b + k.begin * args.b_k + j * kPanel * args.b_n, args.b_k, args.b_n, k.size(),
                   columns, packed + (j - p.begin) * stride);
      }
      return packed;
    });
  });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(GemmKernels, gemm_kernels, packed_bytes, pack_b, gemm, batched_gemm_workspace,
                 batched_gemm)

#pragma once
// What surrounds the tiles of a matrix product: how it is cut into tasks, the walk over the blocks
// of one task, and the epilogue. Only for sources of tercel_isa_sources.

#include "src/kernels/cpu/gemm.h"
#include "src/kernels/cpu/gemm_tile.h"
#include "src/kernels/cpu/row.h"

TERCEL_ISA_BEGIN

constexpr double kFlopsPerNanosecond = 50;
constexpr int64_t kGroupFloats = int64_t{kBlockK} * kGroupPanels * kPanel;

template <class C, class Function, class Put>
inline void finish_row(const float* sums, C* c, const float* bias, const float* row_bias,
                       const float* residual, int64_t columns, Function activation, Put put) {
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t left = columns - j;
    const auto read = [&](const float* from) {
      return left >= kLanes ? load(from + j) : load_some(from + j, left);
    };
    Vec value = read(sums);
    if (bias != nullptr) value += read(bias);
    if (row_bias != nullptr) value += splat(*row_bias);
    value = activation(value);
    if (residual != nullptr) value += read(residual);
    put(c + j, value, left);
  }
}

// use(function) with the function of `activation`, `own_gelu` for GELU.
template <class Gelu, class Use>
inline void with_activation(Activation activation, Gelu own_gelu, const Use& use) {
  switch (activation) {
    case Activation::none:
      return use([](Vec x) { return x; });
    case Activation::relu:
      return use([](Vec x) { return relu(x); });
    case Activation::gelu:
      return use(own_gelu);
    case Activation::gelu_tanh:
      return use([](Vec x) { return gelu_tanh(x); });
    case Activation::silu:
      return use([](Vec x) { return silu(x); });
    case Activation::tanh:
      return use([](Vec x) { return tanh(x); });
    case Activation::sigmoid:
      return use([](Vec x) { return sigmoid(x); });
  }
}

// From sums, `stride` between their rows, to C[rows, columns] whose first element is C[row, column]
// of the whole. put(to, value, left) writes a vector, or its first `left` elements.
template <class C, class Gelu, class Put>
inline void finish_rows(const float* sums, int64_t stride, C* c, int64_t c_row, int64_t row,
                        int64_t rows, int64_t column, int64_t columns, const GemmEpilogue& e,
                        Gelu own_gelu, Put put) {
  const float* bias = e.bias == nullptr ? nullptr : e.bias + column;
  with_activation(e.activation, own_gelu, [&](auto activation) {
    for (int64_t r = 0; r < rows; ++r, c += c_row, sums += stride) {
      const float* row_bias = e.row_bias == nullptr ? nullptr : e.row_bias + row + r;
      const float* residual =
          e.residual == nullptr ? nullptr : e.residual + (row + r) * e.residual_stride + column;
      finish_row(sums, c, bias, row_bias, residual, columns, activation, put);
    }
  });
}

// In place, with `own_gelu` for GELU.
template <class Gelu>
inline void finish(float* c, int64_t c_row, int64_t row, int64_t rows, int64_t column,
                   int64_t columns, const GemmEpilogue& e, Gelu own_gelu) {
  if (e.bias == nullptr && e.row_bias == nullptr && e.residual == nullptr &&
      e.activation == Activation::none)
    return;
  const auto put = [](float* to, Vec value, int64_t left) {
    if (left >= kLanes) {
      store(to, value);
    } else {
      store_some(to, value, left);
    }
  };
  finish_rows(c, c_row, c, c_row, row, rows, column, columns, e, own_gelu, put);
}
inline void finish(float* c, int64_t c_row, int64_t row, int64_t rows, int64_t column,
                   int64_t columns, const GemmEpilogue& e) {
  finish(c, c_row, row, rows, column, columns, e, [](Vec x) { return gelu(x); });
}

struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Rows [m) of a C that is finished but for the normalisation.
template <class Args>
inline void normalize_rows(const Args& args, Range m) {
  if (!args.epilogue.normalize) return;
  for (int64_t r = m.begin; r < m.end; ++r) {
    auto* row = static_cast<float*>(args.c) + r * args.c_row;
    normalize_row(row, row, args.n, args.epilogue.norm, true);
  }
}

// All rows of all products.
template <class Args>
inline void normalize_all(const Args& args, ThreadPool& pool) {
  constexpr double kNanosecondsPerElement = 0.4;
  for (const Args* own = &args; own != nullptr; own = own->also) {
    if (!own->epilogue.normalize) continue;
    for_ranges(pool, own->m, kNanosecondsPerElement * static_cast<double>(own->n),
               [&](int64_t begin, int64_t end) {
                 normalize_rows(*own, {begin, end});
               });
  }
}

// How many panels of `width` columns the products have together, side by side.
template <class Args>
inline int64_t count_panels(const Args& args, int64_t width) {
  int64_t panels = 0;
  for (const Args* own = &args; own != nullptr; own = own->also) panels += ceil_div(own->n, width);
  return panels;
}

// body(product, its own panels) for those of the panels [p) of all products that it has.
template <class Args, class Body>
inline void for_products(const Args& args, int64_t width, Range p, const Body& body) {
  int64_t first = 0;
  for (const Args* own = &args; own != nullptr; own = own->also) {
    const int64_t panels = ceil_div(own->n, width);
    const Range part{most(p.begin, first) - first, least(p.end, first + panels) - first};
    if (part.size() > 0) body(*own, part);
    first += panels;
  }
}

// Part i of n of [0, whole), parts as equal as can be.
inline Range part(int64_t whole, int64_t i, int64_t n) {
  return {whole * i / n, whole * (i + 1) / n};
}

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

// What tile `t` of `tiles` fetches of a panel's next `steps` of k.
template <class T>
inline Ahead share_ahead(const T* next, int64_t steps, int64_t t, int64_t tiles) {
  constexpr int64_t kLines = kStepsAhead * kPanel * sizeof(T) / kLine;  // in kStepsAhead steps
  const int64_t lines = ceil_div(kLines, tiles);
  if (next == nullptr || t * lines >= kLines) return {};
  const int64_t bytes = steps / kStepsAhead * lines * kLine;
  return {reinterpret_cast<const char*>(next) + t * bytes, lines};
}

// The part of a row-major matrix that a tile will read or write, into L1.
template <class T>
inline void fetch_tile(const T* from, int64_t row, int64_t rows, int64_t columns) {
  constexpr int64_t kLineElements = kLine / sizeof(T);
  for (int64_t r = 0; r < rows; ++r, from += row) {
    for (int64_t j = 0; j < columns; j += kLineElements) fetch_to_l1(from + j);
  }
}

// One panel of C, for the block k; `a` are its rows [m), `b` its part of the panel of B and `next`
// of the one that follows.
template <class T>
void run_panel(const GemmArgs& args, Range m, int64_t panel, Range k, const float* a, const T* b,
               const T* next) {
  const bool first = k.begin == 0;
  const bool last = k.end == args.k;
  const GemmEpilogue& e = args.epilogue;
  const int64_t column = panel * kPanel;
  const int64_t columns = least<int64_t>(kPanel, args.n - column);
  const int64_t tiles = ceil_div(m.size(), kTileRows);
  const auto rows_of = [&](int64_t t) { return part(m.size(), t, tiles); };
  if (columns == kPanel && m.size() > kTileRows && m.size() <= kTallRows) {
    float* c = args.c + m.begin * args.c_row + column;
    for (int half = 0; half < 2; ++half) {
      const auto tall =
          m.size() == kTallRows ? gemm_tile<kTallRows, 1, T> : gemm_tile<kTallRows - 1, 1, T>;
      tall(a, b + half * kLanes, 0, k.size(), c + half * kLanes, args.c_row, first,
           share_ahead(next, k.size(), half, 2));
    }
    if (last) finish(c, args.c_row, m.begin, m.size(), column, columns, e);
    return;
  }
  fetch_tile(args.c + m.begin * args.c_row + column, args.c_row, rows_of(0).size(), columns);
  for (int64_t t = 0; t < tiles; ++t, a += rows_of(t - 1).size() * kStrideA) {
    const int64_t row = m.begin + rows_of(t).begin;
    const int rows = static_cast<int>(rows_of(t).size());
    float* c = args.c + row * args.c_row + column;
    if (t + 1 < tiles)
      fetch_tile(c + rows * args.c_row, args.c_row, rows_of(t + 1).size(), columns);
    if (last && e.residual != nullptr)
      fetch_tile(e.residual + row * e.residual_stride + column, e.residual_stride, rows, columns);
    const Ahead ahead = share_ahead(next, k.size(), t, tiles);
    if (columns == kPanel) {
      kGemmTiles<T>.one[rows - 1](a, b, 0, k.size(), c, args.c_row, first, ahead);
    } else {
      gemm_edge(rows, a, b, k.size(), c, args.c_row, columns, first, ahead);
    }
    if (last) finish(c, args.c_row, row, rows, column, columns, e);
  }
}

// Rows of A that a thread copies at a time for run_panels: with their part of C and two panels of B
// they fit into an L2 of 1 MB.
constexpr int64_t kChunkRows = 140 / kTileRows * kTileRows;

// Panel `p` of all products side by side, from step k on; null behind the last.
template <class T>
inline const T* panel_at(const GemmArgs& args, int64_t p, int64_t k) {
  for (const GemmArgs* own = &args; own != nullptr; own = own->also) {
    const int64_t panels = ceil_div(own->n, kPanel);
    if (p < panels) return static_cast<const T*>(own->packed_b) + (p * own->k + k) * kPanel;
    p -= panels;
  }
  return nullptr;
}

// run_task for Bs that are packed whole, with memory for m rows of A at kStrideA. Panel after panel
// is read from memory once, while the one before is in use. `after` is what the thread probably
// reads next, or null.
template <class T>
void run_panels(const GemmArgs& args, Range m, Range panels, const T* after, float* a) {
  const int64_t blocks = most<int64_t>(1, ceil_div(args.k, kBlockK));
  for (int64_t i = 0; i < blocks; ++i) {
    const Range k = part(args.k, i, blocks);
    copy_a(args.a + m.begin * args.a_row + k.begin * args.a_column, args.a_row, args.a_column,
           static_cast<int>(m.size()), k.size(), a);
    int64_t place = panels.begin;
    for_products(args, kPanel, panels, [&](const GemmArgs& own, Range of_own) {
      for (int64_t p = of_own.begin; p < of_own.end; ++p, ++place) {
        const T* next = after;
        if (place + 1 < panels.end) {
          next = panel_at<T>(args, place + 1, k.begin);
        } else if (i + 1 < blocks) {
          next = panel_at<T>(args, panels.begin, k.end);
        }
        run_panel(own, m, p, k, a, panel_at<T>(own, p, k.begin), next);
      }
    });
  }
}

TERCEL_ISA_END

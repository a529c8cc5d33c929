#pragma once
// What surrounds the tiles of a matrix product: how it is cut into tasks, the walk over the blocks
// of one task, and the epilogue. Only for sources of tercel_isa_sources.

#include "src/kernels/cpu/gemm.h"
#include "src/kernels/cpu/gemm_tile.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

constexpr double kFlopsPerNanosecond = 50;
constexpr int64_t kGroupFloats = int64_t{kBlockK} * kGroupPanels * kPanel;

template <class Function>
inline void finish_row(float* c, const float* bias, const float* row_bias, const float* residual,
                       int64_t columns, Function activation) {
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t left = columns - j;
    const auto read = [&](const float* from) {
      return left >= kLanes ? load(from + j) : load_some(from + j, left);
    };
    Vec value = read(c);
    if (bias != nullptr) value += read(bias);
    if (row_bias != nullptr) value += splat(*row_bias);
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
inline void finish(float* c, int64_t c_row, int64_t row, int64_t rows, int64_t column,
                   int64_t columns, const GemmEpilogue& e) {
  if (e.bias == nullptr && e.row_bias == nullptr && e.residual == nullptr &&
      e.activation == Activation::none)
    return;
  const float* bias = e.bias == nullptr ? nullptr : e.bias + column;
  for (int64_t r = 0; r < rows; ++r, c += c_row) {
    const float* row_bias = e.row_bias == nullptr ? nullptr : e.row_bias + row + r;
    const float* residual =
        e.residual == nullptr ? nullptr : e.residual + (row + r) * e.residual_stride + column;
    const auto with = [&](auto activation) {
      finish_row(c, bias, row_bias, residual, columns, activation);
    };
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

TERCEL_ISA_END

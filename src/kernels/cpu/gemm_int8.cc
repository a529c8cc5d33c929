#include "src/kernels/cpu/gemm_int8.h"

#include "src/kernels/cpu/gemm_int8_pack.h"
#include "src/kernels/cpu/gemm_int8_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

// --- B -------------------------------------------------------------------------------------------

std::size_t int8_packed_bytes(int64_t k, int64_t n) { return packed_matrix_bytes(k, n, false); }

void int8_pack_b(const PackInt8Args& args, ThreadPool& pool) { pack_matrix(args, false, pool); }

// --- A -------------------------------------------------------------------------------------------

// Rows [row, row + ROWS), as the header says; each has room for whole vectors beyond k. One row's
// scale is found while the next is looked at.
template <int ROWS>
inline void quantize_rows(const float* a, int64_t a_row, int64_t k, RowElement* out, int64_t stride,
                          const RowFacts& facts, int64_t row) {
  Steps steps[ROWS];
#pragma GCC unroll 4
  for (int r = 0; r < ROWS; ++r) {
    Extremes extremes;
    extremes.look(a + r * a_row, k);
    steps[r] = Steps(extremes.low(), extremes.high());
    facts.scales[row + r] = steps[r].scale() + extremes.poison();
    facts.zeros[row + r] = steps[r].zero();
    facts.rests[row + r] = 0;
  }
  const int64_t whole = k / kLanes * kLanes;
  for (int r = 0; r < ROWS; ++r, a += a_row, out += stride) {
    for (int64_t i = 0; i < whole; i += kLanes) store_clamped(out + i, steps[r].whole(load(a + i)));
    if (whole < k) store_clamped(out + whole, steps[r].whole(load_some(a + whole, k - whole)));
  }
}

inline void copy_row(const Int8GemmArgs& args, int64_t from, RowElement* out, const RowFacts& facts,
                     int64_t row) {
  const int offset = args.a_signed ? 128 : 0;
  const auto* bytes = static_cast<const uint8_t*>(args.a_bytes) + from * args.a_row;
  const auto flip = static_cast<uint8_t>(offset);
  int32_t sum = 0;
  for (int64_t k = 0; k < args.k; ++k) {
    const auto value = static_cast<uint8_t>(bytes[k] ^ flip);  // of a signed byte: plus 128
    out[k] = static_cast<RowElement>(value);
    sum += value;
  }
  facts.scales[row] = 1;
  facts.zeros[row] = (args.a_zero != nullptr ? args.a_zero[from] : 0) + offset;
  facts.rests[row] =
      static_cast<int32_t>(static_cast<uint32_t>(sum) -
                           static_cast<uint32_t>(args.k) * static_cast<uint32_t>(facts.zeros[row]));
}

// Rows [block) of A, at `stride`.
void make_rows(const Int8GemmArgs& args, Range block, int64_t stride, const RowFacts& facts,
               RowElement* out) {
  constexpr int kTogether = 4;
  int64_t r = 0;
  while (args.a != nullptr && r < block.size()) {
    const bool several = r + kTogether <= block.size();
    const auto quantize = several ? quantize_rows<kTogether> : quantize_rows<1>;
    quantize(args.a + (block.begin + r) * args.a_row, args.a_row, args.k, out + r * stride, stride,
             facts, r);
    r += several ? kTogether : 1;
  }
  for (; r < block.size(); ++r) copy_row(args, block.begin + r, out + r * stride, facts, r);
  for (r = 0; r < block.size(); ++r)
    for (int64_t k = args.k; k < round_up(args.k, kPadK); ++k) out[r * stride + k] = 0;
}

// --- The product ---------------------------------------------------------------------------------

std::size_t int8_workspace(int64_t m, int64_t k, int threads) { return rows_bytes(m, k, threads); }

// Rows [m) by panels [p) of all products; `whole_rows`: by all of them.
void run_part(const Int8GemmArgs& args, Range m, Range panels, bool whole_rows,
              const RowsLayout& layout, char* memory) {
  auto* rows = reinterpret_cast<RowElement*>(memory);
  const RowFacts row_facts = layout.facts_in(memory);
  Tiles tiles;
  tiles.set_rows(kMostTileRows);
  const int64_t blocks = ceil_div(m.size(), layout.rows);
  for (int64_t i = 0; i < blocks; ++i) {
    const Range within = part(m.size(), i, blocks);
    const Range block{m.begin + within.begin, m.begin + within.end};
    make_rows(args, block, layout.stride, row_facts, rows);
    const Block one{rows, layout.stride, row_facts, block};
    for_products(args, kInt8Panel, panels, [&](const Int8GemmArgs& own, Range of_own) {
      if (own.sums != nullptr) {
        const Target<int32_t> sums{own.sums, own.c_row};
        multiply(own, one, of_own, sums, [](Range, int64_t, int64_t, int32_t*) {});
        return;
      }
      const Target<float> numbers{own.c, own.c_row};
      GemmEpilogue rest = own.epilogue;
      rest.bias = nullptr;
      multiply(own, one, of_own, numbers,
               [&](Range rows, int64_t column, int64_t columns, float* c) {
                 finish(c, own.c_row, rows.begin, rows.size(), column, columns, rest,
                        [](Vec x) { return quick_gelu(x); });
               });
      if (whole_rows) normalize_rows(own, block);
    });
  }
}

// By rows, so that each is quantised once; by columns where there are too few rows.
void int8_gemm(const Int8GemmArgs& args, ThreadPool& pool) {
  const int64_t panels = count_panels(args, kInt8Panel);
  if (args.m <= 0 || panels == 0) return;
  const RowsLayout layout(args.m, args.k);
  const Int8Cut cut(args.m, panels, pool_size(pool), layout);
  for_items(pool, cut.tasks(), int8_cost(args.m, panels, args.k), [&](int64_t item, int64_t slot) {
    run_part(args, part(args.m, item / cut.columns, cut.rows),
             part(panels, item % cut.columns, cut.columns), cut.columns == 1, layout,
             static_cast<char*>(args.workspace) + slot * layout.bytes);
  });
  if (cut.columns > 1) normalize_all(args, pool);
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(GemmInt8Kernels, gemm_int8_kernels, int8_packed_bytes, int8_pack_b, int8_workspace,
                 int8_gemm)

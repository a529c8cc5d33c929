#include "src/kernels/cpu/gemm.h"

#include "src/kernels/cpu/gemm_grouped.h"
#include "src/kernels/cpu/gemm_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

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
  if (args.k == 0) return;  // b may be null
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

int64_t floats_of_a(int64_t m) { return least(m, kChunkRows) * kStrideA; }

std::size_t gemm_workspace(int64_t m, int threads) {
  return checked_bytes(threads, floats_of_a(m), sizeof(float));
}

// How C is cut when A has room for kChunkRows rows. By rows where there are enough, so that a
// thread reads the rows that it wrote in the step before; else by columns, where a copy of A should
// serve kFewPanels at least. C is read again for every block of k, so that its part of kMostPanels
// should stay in L2.
constexpr int64_t kFewPanels = 384 / kPanel;
constexpr int64_t kMostPanels = 768 / kPanel;
struct ChunkGrid {
  int64_t rows = 1, groups = 1;

  ChunkGrid(int64_t m, int64_t panels, int64_t k, int64_t threads) {
    rows = ceil_div(m, kChunkRows);
    if (k > kBlockK) groups = ceil_div(panels, kMostPanels);
    if (m >= 4 * threads * kTileRows) rows = round_up(rows, threads);
    if (rows % threads == 0) return;
    const int64_t most_groups = most<int64_t>(1, panels / kFewPanels);
    groups = most(groups, least(ceil_div(4 * threads, rows), most_groups));
    if (rows * groups % threads != 0) groups = least(round_up(groups, threads), panels);
    if (rows * groups < threads) rows = least(ceil_div(threads, groups), ceil_div(m, kTileRows));
  }
};

// run(rows, panels, the panel that the thread probably reads next or -1, memory for A).
template <class Run>
void gemm_chunks(const GemmArgs& args, double cost, ThreadPool& pool, const Run& run) {
  const int64_t panels = count_panels(args, kPanel);
  const int threads = pool_size(pool);
  const ChunkGrid grid(args.m, panels, args.k, threads);
  const int64_t tasks = grid.rows * grid.groups;
  for_items(pool, tasks, cost, [&](int64_t i, int64_t slot) {
    const int64_t next =
        i + threads < tasks ? part(panels, (i + threads) % grid.groups, grid.groups).begin : -1;
    const Range m = part(args.m, i / grid.groups, grid.rows);
    run(m, part(panels, i % grid.groups, grid.groups), next,
        static_cast<float*>(args.workspace) + slot * floats_of_a(args.m));
    if (grid.groups > 1) return;
    for (const GemmArgs* own = &args; own != nullptr; own = own->also) normalize_rows(*own, m);
  });
  if (grid.groups > 1) normalize_all(args, pool);
}

// About the nanoseconds of all products, by weights of so many bytes.
double cost_of(const GemmArgs& args, double bytes) {
  double columns = 0;
  for (const GemmArgs* own = &args; own != nullptr; own = own->also)
    columns += static_cast<double>(own->n);
  const double size = columns * static_cast<double>(args.k);
  return most(2 * size * static_cast<double>(args.m) / kFlopsPerNanosecond,
              size * bytes / kBytesPerNanosecond);
}

template <class T>
void gemm_without_memory(const GemmArgs& args, double cost, ThreadPool& pool) {
  const auto* b = static_cast<const T*>(args.packed_b);
  const int64_t panels = ceil_div(args.n, kPanel);
  const Grid grid(args.m, panels, pool_size(pool));
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

template <class T>
void gemm_packed(const GemmArgs& args, ThreadPool& pool) {
  if (count_panels(args, kPanel) == 0) return;
  const double cost = cost_of(args, sizeof(T));
  if (args.workspace != nullptr) {
    return gemm_chunks(args, cost, pool, [&](Range m, Range panels, int64_t next, float* a) {
      run_panels(args, m, panels, next < 0 ? nullptr : panel_at<T>(args, next, 0), a);
    });
  }
  for (const GemmArgs* own = &args; own != nullptr; own = own->also) {
    if (own->n > 0) gemm_without_memory<T>(*own, cost, pool);
  }
  normalize_all(args, pool);
}

template <int BITS>
void gemm_grouped(const GemmArgs& args, ThreadPool& pool) {
  const int64_t panels = count_panels(args, kPanel);
  if (panels == 0) return;
  const double cost = cost_of(args, kBytesPerNanosecond / kUnpackedPerNanosecond);
  if (args.m > kGroupedRows || args.a_column != 1) {
    return gemm_chunks(args, cost, pool, [&](Range m, Range own, int64_t, float* a) {
      run_grouped_panels<BITS>(args, m, own, a);
    });
  }
  const double panel_cost = cost / static_cast<double>(panels);
  for_ranges(pool, panels, panel_cost, [&](int64_t begin, int64_t end) {
    for_products(args, kPanel, {begin, end}, multiply_few_rows<BITS>);
  });
  normalize_all(args, pool);
}

void gemm(const GemmArgs& args, ThreadPool& pool) {
  if (args.m <= 0) return;
  switch (args.packed) {
    case Dtype::i4:
      return gemm_grouped<4>(args, pool);
    case Dtype::i8:
      return gemm_grouped<8>(args, pool);
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

TERCEL_ISA_TABLE(GemmKernels, gemm_kernels, packed_bytes, pack_b, grouped_bytes, pack_grouped,
                 gemm_workspace, gemm, batched_gemm_workspace, batched_gemm)

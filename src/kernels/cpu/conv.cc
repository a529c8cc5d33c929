#include "src/kernels/cpu/conv.h"

#include "src/kernels/cpu/gemm_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

std::size_t workspace(int threads) { return checked_bytes(threads, kGroupFloats, sizeof(float)); }

// Consecutive output positions of one row, by the input coordinates that their first tap sees.
struct Run {
  int64_t coordinate[3];
  int64_t begin = 0, count = 0;  // columns of the panel
};

inline int64_t count_runs(const ConvArgs& args, int64_t first, int64_t columns, Run* runs) {
  const ConvAxis* axes = args.axes;
  int64_t count = 0;
  for (int64_t at = 0; at < columns; ++count) {
    const int64_t position = first + at;
    const int64_t x = position % axes[2].out;
    const int64_t y = position / axes[2].out % axes[1].out;
    const int64_t z = position / axes[2].out / axes[1].out;
    Run& run = runs[count];
    run.begin = at;
    run.count = least(axes[2].out - x, columns - at);
    run.coordinate[0] = z * axes[0].stride - axes[0].pad;
    run.coordinate[1] = y * axes[1].stride - axes[1].pad;
    run.coordinate[2] = x * axes[2].stride - axes[2].pad;
    at += run.count;
  }
  return count;
}

// The input's index for a coordinate; negative when it sees none.
inline int64_t seen(const ConvAxis& axis, int64_t coordinate) {
  if (coordinate < 0 || coordinate % axis.inflate != 0) return -1;
  const int64_t index = coordinate / axis.inflate;
  return index < axis.in ? index : -1;
}

// out[j] = line[(at + j * stride) / inflate] where the input has it; the rest stays as it is.
inline void copy_run(const float* line, const ConvAxis& axis, int64_t at, int64_t count,
                     float* out) {
  if (axis.inflate > 1) {
    for (int64_t j = 0; j < count; ++j) {
      const int64_t index = seen(axis, at + j * axis.stride);
      if (index >= 0) out[j] = line[index];
    }
    return;
  }
  const int64_t begin = at < 0 ? ceil_div(-at, axis.stride) : 0;
  const int64_t end = at < axis.in ? least(count, ceil_div(axis.in - at, axis.stride)) : 0;
  if (begin >= end) return;
  if (axis.stride == 1) {
    copy_bytes(out + begin, line + at + begin,
               static_cast<std::size_t>(end - begin) * sizeof(float));
  } else {
    for (int64_t j = begin; j < end; ++j) out[j] = line[at + j * axis.stride];
  }
}

// Rows k of the windows at `columns` output positions from `first`, as a panel of B.
inline void pack_windows(const ConvArgs& args, const float* x, Range k, int64_t first,
                         int64_t columns, float* out) {
  const ConvAxis* axes = args.axes;
  Run runs[kPanel];
  const int64_t count = count_runs(args, first, columns, runs);
  int64_t tap[3] = {k.begin / axes[2].taps / axes[1].taps % axes[0].taps,
                    k.begin / axes[2].taps % axes[1].taps, k.begin % axes[2].taps};
  const int64_t area = axes[1].in * axes[2].in;
  x += k.begin / axes[2].taps / axes[1].taps / axes[0].taps * axes[0].in * area;
  for (int64_t i = k.begin; i < k.end; ++i, out += kPanel) {
    store(out, zeros());
    store(out + kLanes, zeros());
    for (int64_t r = 0; r < count; ++r) {
      const Run& run = runs[r];
      const int64_t z = seen(axes[0], run.coordinate[0] + tap[0] * axes[0].dilation);
      const int64_t y = seen(axes[1], run.coordinate[1] + tap[1] * axes[1].dilation);
      if (z < 0 || y < 0) continue;
      copy_run(x + z * area + y * axes[2].in, axes[2],
               run.coordinate[2] + tap[2] * axes[2].dilation, run.count, out + run.begin);
    }
    if (++tap[2] < axes[2].taps) continue;
    tap[2] = 0;
    if (++tap[1] < axes[1].taps) continue;
    tap[1] = 0;
    if (++tap[0] < axes[0].taps) continue;
    tap[0] = 0;
    x += axes[0].in * area;
  }
}

int64_t positions(const ConvArgs& args) {
  return args.axes[0].out * args.axes[1].out * args.axes[2].out;
}
int64_t taps_of(const ConvArgs& args) {
  return args.axes[0].taps * args.axes[1].taps * args.axes[2].taps;
}
int64_t input_size(const ConvArgs& args) {
  return args.axes[0].in * args.axes[1].in * args.axes[2].in;
}

double cost_of(const ConvArgs& args) {
  return 2.0 * static_cast<double>(args.batch * args.groups * args.out_channels) *
         static_cast<double>(args.in_channels * taps_of(args)) *
         static_cast<double>(positions(args)) / kFlopsPerNanosecond;
}

// The product of group `i` of all groups of the batch.
GemmArgs product_of(const ConvArgs& args, int64_t i) {
  const int64_t group = i % args.groups;
  GemmArgs one{.m = args.out_channels, .n = positions(args), .k = args.in_channels * taps_of(args)};
  one.a = args.w + group * one.m * one.k;
  one.a_row = one.k;
  one.c = args.y + i * one.m * one.n;
  one.c_row = one.n;
  if (args.bias != nullptr) one.epilogue.row_bias = args.bias + group * one.m;
  one.epilogue.activation = args.activation;
  if (args.residual != nullptr) one.epilogue.residual = args.residual + i * one.m * one.n;
  one.epilogue.residual_stride = one.n;
  return one;
}

void conv_by_product(const ConvArgs& args, ThreadPool& pool) {
  const int64_t panels = ceil_div(positions(args), kPanel);
  const int64_t images = args.batch * args.groups;
  Grid grid(args.out_channels, panels, 1);
  if (images * grid.groups < pool_size(pool))
    grid = Grid(args.out_channels, panels, pool_size(pool));
  const int64_t tasks = grid.rows * grid.groups;
  for_items(pool, images * tasks, cost_of(args), [&](int64_t item, int64_t slot) {
    const int64_t image = item / tasks;
    const float* x = args.x + image * args.in_channels * input_size(args);
    float* packed = static_cast<float*>(args.workspace) + slot * kGroupFloats;
    const Range p = part(panels, item % grid.groups, grid.groups);
    const Range m = part(args.out_channels, item % tasks / grid.groups, grid.rows);
    run_task(product_of(args, image), m, p, [&](Range k, int64_t& stride) -> const float* {
      stride = k.size() * kPanel;
      for (int64_t j = p.begin; j < p.end; ++j) {
        const int64_t columns = least<int64_t>(kPanel, positions(args) - j * kPanel);
        pack_windows(args, x, k, j * kPanel, columns, packed + (j - p.begin) * stride);
      }
      return packed;
    });
  });
}

// row[j] += w * line[at + j * stride] where the line has it.
inline void add_tap(const float* line, const ConvAxis& axis, int64_t at, float w, float* row) {
  int64_t j = at < 0 ? ceil_div(-at, axis.stride) : 0;
  const int64_t end = at < axis.in ? least(axis.out, ceil_div(axis.in - at, axis.stride)) : 0;
  const Vec weight = splat(w);
  if (axis.stride == 1) {
    for (; j + kLanes <= end; j += kLanes)
      store(row + j, fma(weight, load(line + at + j), load(row + j)));
    if (j < end) {
      const Vec sum = fma(weight, load_some(line + at + j, end - j), load_some(row + j, end - j));
      store_some(row + j, sum, end - j);
    }
    return;
  }
  for (; j < end; j += kLanes) {
    const int64_t count = least<int64_t>(kLanes, end - j);
    float gathered[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) gathered[i] = line[at + (j + i) * axis.stride];
    const Vec sum = fma(weight, load(gathered), load_some(row + j, count));
    if (count == kLanes)
      store(row + j, sum);
    else
      store_some(row + j, sum, count);
  }
}

// One row of outputs of one channel.
inline void depthwise_row(const ConvArgs& args, const float* x, const float* w, int64_t oz,
                          int64_t oy, float* row) {
  const ConvAxis* axes = args.axes;
  for (int64_t j = 0; j < axes[2].out; ++j) row[j] = 0;
  for (int64_t kz = 0; kz < axes[0].taps; ++kz) {
    const int64_t z = seen(axes[0], oz * axes[0].stride - axes[0].pad + kz * axes[0].dilation);
    for (int64_t ky = 0; ky < axes[1].taps; ++ky, w += axes[2].taps) {
      const int64_t y = seen(axes[1], oy * axes[1].stride - axes[1].pad + ky * axes[1].dilation);
      if (z < 0 || y < 0) continue;
      const float* line = x + (z * axes[1].in + y) * axes[2].in;
      for (int64_t kx = 0; kx < axes[2].taps; ++kx)
        add_tap(line, axes[2], kx * axes[2].dilation - axes[2].pad, w[kx], row);
    }
  }
}

void conv_depthwise(const ConvArgs& args, ThreadPool& pool) {
  const int64_t channels = args.groups * args.out_channels;
  const int64_t rows = args.axes[0].out * args.axes[1].out;
  const int64_t width = args.axes[2].out;
  const double cost = 4.0 * static_cast<double>(taps_of(args) * width);
  for_ranges(pool, args.batch * channels * rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t plane = i / rows;
      const int64_t channel = plane % channels;
      const int64_t oz = i % rows / args.axes[1].out;
      const int64_t oy = i % args.axes[1].out;
      const float* x = args.x + plane / args.out_channels * input_size(args);
      float* row = args.y + i * width;
      depthwise_row(args, x, args.w + channel * taps_of(args), oz, oy, row);
      GemmEpilogue epilogue{.activation = args.activation};
      if (args.bias != nullptr) epilogue.row_bias = args.bias + channel;
      if (args.residual != nullptr) epilogue.residual = args.residual + i * width;
      finish(row, width, 0, 1, 0, width, epilogue);
    }
  });
}

void conv(const ConvArgs& args, ThreadPool& pool) {
  if (args.batch * args.groups * args.out_channels * positions(args) == 0) return;
  const bool inflated = args.axes[0].inflate * args.axes[1].inflate * args.axes[2].inflate > 1;
  if (args.in_channels == 1 && args.groups > 1 && !inflated)
    conv_depthwise(args, pool);
  else
    conv_by_product(args, pool);
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(ConvKernels, conv_kernels, workspace, conv)

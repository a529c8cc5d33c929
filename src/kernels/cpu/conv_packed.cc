#include "src/kernels/cpu/conv_packed.h"

#include "src/kernels/cpu/conv_depthwise.h"
#include "src/kernels/cpu/conv_product.h"
#include "src/kernels/cpu/conv_winograd.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

ConvMethod method(const PackedConvArgs& a) {
  if (a.in_channels == 1 && a.out_channels == 1 && a.groups > 1) return ConvMethod::depthwise;
  if (!has_winograd_windows(a)) return ConvMethod::product;
  // Small images have few tiles for weights that grow by the number of points.
  const int64_t smaller = least(a.axes[1].in, a.axes[2].in);
  return smaller >= 12 ? ConvMethod::winograd4 : ConvMethod::winograd2;
}

bool may_be_planar(const PackedConvArgs& a) {
  return a.groups == 1 && a.in_channels < kLanes && a.axes[2].dilation == 1 &&
         a.in_channels * taps_of(a) <= kBlockK && method(a) == ConvMethod::product;
}

int64_t points_of(ConvMethod method) { return method == ConvMethod::winograd2 ? 16 : 36; }

std::size_t packed_bytes(const PackedConvArgs& a) {
  if (a.method == ConvMethod::depthwise)
    return checked_bytes(taps_of(a), round_up(a.groups, kLanes), sizeof(float));
  const int64_t rows = a.method == ConvMethod::product ? taps_of(a) : points_of(a.method);
  const int64_t columns = ceil_div(a.out_channels, kPanel) * kPanel;
  return checked_bytes(rows * a.in_channels, columns,
                       a.groups * static_cast<int64_t>(sizeof(float)));
}

void pack(const PackedConvArgs& a, const float* w, float* out, ThreadPool& pool) {
  switch (a.method) {
    case ConvMethod::product:
      return pack_product(a, w, out, pool);
    case ConvMethod::depthwise:
      return pack_depthwise(a, w, out);
    case ConvMethod::winograd2:
      return pack_winograd<2>(a, w, out, pool);
    case ConvMethod::winograd4:
      return pack_winograd<4>(a, w, out, pool);
  }
}

std::size_t workspace(const PackedConvArgs& a, int threads) {
  if (a.method == ConvMethod::winograd2) return winograd_workspace<2>(a, threads);
  if (a.method == ConvMethod::winograd4) return winograd_workspace<4>(a, threads);
  return 0;
}

void conv(const PackedConvArgs& a, ThreadPool& pool) {
  if (a.batch * a.groups * a.out_channels * positions(a) == 0) return;
  switch (a.method) {
    case ConvMethod::product:
      return conv_product(a, pool);
    case ConvMethod::depthwise:
      return conv_depthwise(a, pool);
    case ConvMethod::winograd2:
      return conv_winograd<2>(FloatProducts<2>{a}, pool);
    case ConvMethod::winograd4:
      return conv_winograd<4>(FloatProducts<4>{a}, pool);
  }
}

constexpr int64_t kSquare = 16;

void transpose(const float* from, int64_t batch, int64_t rows, int64_t columns, float* to,
               ThreadPool& pool) {
  const int64_t strips = ceil_div(columns, kSquare);
  for_ranges(pool, batch * strips, static_cast<double>(rows * kSquare),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t column = i % strips * kSquare;
                 const int64_t last = least(columns, column + kSquare);
                 const float* x = from + i / strips * rows * columns;
                 float* y = to + i / strips * rows * columns;
                 for (int64_t row = 0; row < rows; row += kSquare) {
                   const int64_t bottom = least(rows, row + kSquare);
                   for (int64_t c = column; c < last; ++c) {
                     for (int64_t r = row; r < bottom; ++r) y[c * rows + r] = x[r * columns + c];
                   }
                 }
               }
             });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(PackedConvKernels, packed_conv_kernels, method, may_be_planar, packed_bytes, pack,
                 workspace, conv, transpose)

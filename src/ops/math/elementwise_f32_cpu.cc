#include "src/ops/math/elementwise_f32_cpu.h"

namespace tercel::ops {

void broadcast_f32(const kernels::CpuKernels& kernels, kernels::BinaryOp op, const Tensor& a,
                   const Tensor& b, Tensor& out, ThreadPool& pool) {
  const BroadcastLoop loop = broadcast_loop(out.shape(), {&a.shape(), &b.shape()});
  if (loop.size == 0) return;
  kernels::BinaryArgs args{.op = op,
                           .rows = 1,
                           .columns = loop.inner(),
                           .a_column = loop.step(0),
                           .b_column = loop.step(1)};
  if (loop.rank > 1) {
    const auto at = static_cast<std::size_t>(loop.rank) - 2;
    args.rows = loop.dims[at];
    args.a_row = loop.strides[0][at];
    args.b_row = loop.strides[1][at];
  }
  const int64_t plane = args.rows * args.columns;
  const int64_t planes = loop.size / plane;
  const auto run = [&](int64_t index) {
    const auto offsets = loop.locate(index * plane);
    kernels::BinaryArgs one = args;
    one.a = elements<float>(a) + offsets[0];
    one.b = elements<float>(b) + offsets[1];
    one.out = elements<float>(out) + index * plane;
    kernels.elementwise.binary(one, pool);
  };
  if (planes < 2 * pool.size()) {
    for (int64_t i = 0; i < planes; ++i) run(i);
    return;
  }
  pool.parallel_for(planes, rows_per_grain(plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) run(i);
  });
}

}  // namespace tercel::ops

#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class ConcatKernel final : public CpuKernel {
 public:
  explicit ConcatKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", 0)), channels_last_(context.layouts.output) {}
  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    AxisView whole = view_axis(out.shape(), axis_);
    if (channels_last_) whole = {whole.outer * whole.inner, whole.axis, 1};
    int64_t begin = 0;
    for (const Tensor& in : run.inputs) {
      const int64_t row = view_axis(in.shape(), axis_).axis * whole.inner;
      dispatch_element(out.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        const T* from = elements<T>(in);
        T* to = elements<T>(out) + begin;
        const int64_t stride = whole.axis * whole.inner;
        run.pool.parallel_for(whole.outer, rows_per_grain(row), [&](int64_t first, int64_t last) {
          for (int64_t i = first; i < last; ++i) std::copy_n(from + i * row, row, to + i * stride);
        });
      });
      begin += row;
    }
  }

 private:
  int64_t axis_;
  bool channels_last_;
};

std::string refuse_concat_channels_last(const KernelContext& context) {
  if (!context.layouts.input || !context.layouts.output) return "an image is not channels last";
  return context.node.int_or("axis", 0) == 1 ? ""
                                             : "joins images by another axis than their channels";
}

}  // namespace

const CpuImplementation kConcatCpu[2] = {
    {"concat_channels_last", refuse_concat_channels_last, create_kernel<ConcatKernel>, false, true},
    {"concat", refuse_packed, create_kernel<ConcatKernel>}};

}  // namespace tercel::ops

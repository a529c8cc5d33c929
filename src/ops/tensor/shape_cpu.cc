#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class ShapeKernel final : public CpuKernel {
 public:
  explicit ShapeKernel(const KernelContext& context) : start_(context.node.int_or("start", 0)) {}
  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const auto rank = static_cast<int64_t>(shape.size());
    const int64_t start = std::clamp<int64_t>(start_ < 0 ? start_ + rank : start_, 0, rank);
    std::copy_n(shape.begin() + start, run.outputs[0].size(), elements<int64_t>(run.outputs[0]));
  }

 private:
  int64_t start_;
};

class SizeKernel final : public CpuKernel {
 public:
  explicit SizeKernel(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    *elements<int64_t>(run.outputs[0]) = run.inputs[0].size();
  }
};

}  // namespace

const CpuImplementation kShapeCpu[1] = {{"shape", refuse_nothing, create_kernel<ShapeKernel>}};
const CpuImplementation kSizeCpu[1] = {{"size", refuse_nothing, create_kernel<SizeKernel>}};

}  // namespace tercel::ops

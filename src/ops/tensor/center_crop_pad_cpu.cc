#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

// What input and output have in common along one axis.
struct Common {
  int64_t from = 0, to = 0, count = 0;
};

class CropPadKernel final : public CpuKernel {
 public:
  explicit CropPadKernel(const KernelContext&) {}

  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    if (in.rank() == 0) return copy_all(in, out, run.pool);
    if (out.size() == 0) return;
    std::vector<Common> common;
    int64_t rows = 1;
    for (std::size_t d = 0; d < in.shape().size(); ++d) {
      const int64_t size = in.shape()[d];
      const int64_t wanted = out.shape()[d];
      common.push_back(size > wanted ? Common{(size - wanted) / 2, 0, wanted}
                                     : Common{0, (wanted - size) / 2, size});
      if (d + 1 < in.shape().size()) rows *= common.back().count;
    }
    const std::vector<int64_t> from = row_major(in.shape());
    const std::vector<int64_t> to = row_major(out.shape());
    dispatch_element(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      std::fill_n(elements<T>(out), out.size(), T{});
      for (int64_t row = 0; row < rows; ++row) {
        int64_t source = common.back().from;
        int64_t target = common.back().to;
        int64_t rest = row;
        for (std::size_t d = common.size() - 1; d-- > 0;) {
          const int64_t at = rest % common[d].count;
          rest /= common[d].count;
          source += (common[d].from + at) * from[d];
          target += (common[d].to + at) * to[d];
        }
        std::copy_n(elements<T>(in) + source, common.back().count, elements<T>(out) + target);
      }
    });
  }
};

}  // namespace

const CpuImplementation kCenterCropPadCpu[1] = {
    {"center_crop_pad", refuse_packed, create_kernel<CropPadKernel>}};

}  // namespace tercel::ops

#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class ReverseKernel final : public CpuKernel {
 public:
  explicit ReverseKernel(const KernelContext& context)
      : label_(context.node.label()), by_time_(context.node.int_or("time_axis", 0) == 0) {}

  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const Shape& shape = in.shape();
    const int64_t steps = shape[by_time_ ? 0 : 1];
    const int64_t batch = shape[by_time_ ? 1 : 0];
    const int64_t row = product(shape, 2, static_cast<int>(shape.size()));
    const auto lengths = integer_values(run.inputs[1]);
    for (const int64_t length : lengths) {
      if (length < 0 || length > steps) {
        fail(Errc::invalid_argument, "{} sequence_lens has {}; expected 0 to {}", label_, length,
             steps);
      }
    }
    dispatch_element(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t b = 0; b < batch; ++b) {
        const int64_t length = lengths[static_cast<std::size_t>(b)];
        for (int64_t t = 0; t < steps; ++t) {
          const auto place = [&](int64_t at) {
            return (by_time_ ? at * batch + b : b * steps + at) * row;
          };
          std::copy_n(elements<T>(in) + place(t < length ? length - 1 - t : t), row,
                      elements<T>(run.outputs[0]) + place(t));
        }
      }
    });
  }

 private:
  std::string label_;
  bool by_time_;
};

}  // namespace

const CpuImplementation kReverseSequenceCpu[1] = {
    {"reverse_sequence", refuse_packed, create_kernel<ReverseKernel>}};

}  // namespace tercel::ops

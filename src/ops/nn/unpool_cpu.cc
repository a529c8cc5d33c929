#include "src/ops/nn/nn_cpu.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {
namespace {

// Indices count the elements of the shape that the windows alone give; an output_shape that is
// greater has it at its front.
class UnpoolKernel final : public CpuKernel {
 public:
  explicit UnpoolKernel(const KernelContext& context) : node_(context.node) {}

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    const Shape shape = natural_shape(x.shape());
    const int64_t count = element_count(shape);
    const auto places = run.inputs[1].values<int64_t>();
    if (static_cast<int64_t>(places.size()) != x.size()) {
      fail(Errc::invalid_argument, "{} has {} indices for {} elements", node_.label(),
           places.size(), x.size());
    }
    dispatch_dtype(FloatTypes{}, x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      std::fill_n(elements<T>(y), y.size(), T{});
      for (std::size_t i = 0; i < places.size(); ++i) {
        if (places[i] < 0 || places[i] >= count) {
          fail(Errc::invalid_argument, "{} index {} is out of range: the output has {} elements",
               node_.label(), places[i], count);
        }
        elements<T>(y)[moved(places[i], shape, y.shape())] =
            elements<T>(x)[static_cast<int64_t>(i)];
      }
    });
  }

 private:
  Shape natural_shape(const Shape& in) const {
    const Window window = window_of(node_, in.size() - 2);
    Shape shape{in[0], in[1]};
    for (std::size_t d = 0; d < window.rank(); ++d)
      shape.push_back(slide_back(node_, window, d, in[d + 2]).count);
    return shape;
  }
  static int64_t moved(int64_t index, const Shape& from, const Shape& to) {
    int64_t place = 0;
    int64_t stride = 1;
    for (std::size_t d = from.size(); d-- > 0;) {
      place += index % from[d] * stride;
      index /= from[d];
      stride *= to[d];
    }
    return place;
  }

  const ir::Node& node_;
};

constexpr CpuImplementation kUnpoolImplementations[] = {
    {"unpool", refuse_input0<FloatTypes>, create_kernel<UnpoolKernel>}};
constexpr CpuOp kUnpoolOps[] = {{"", "MaxUnpool", kUnpoolImplementations}};

}  // namespace

CpuFamily unpool_cpu_ops() { return kUnpoolOps; }

}  // namespace tercel::ops

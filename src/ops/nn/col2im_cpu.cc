#include "src/ops/nn/nn_cpu.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {
namespace {

// Adds the blocks of one channel to its image: tap by tap, each over all positions.
template <class T>
void add_blocks(const SlideAxes& axes, const T* x, double* image) {
  for (int64_t kz = 0; kz < axes[0].kernel; ++kz) {
    for (int64_t ky = 0; ky < axes[1].kernel; ++ky) {
      for (int64_t kx = 0; kx < axes[2].kernel; ++kx) {
        for (int64_t oz = 0; oz < axes[0].out; ++oz) {
          const int64_t z = axes[0].start(oz) + kz * axes[0].dilation;
          for (int64_t oy = 0; oy < axes[1].out; ++oy) {
            const int64_t y = axes[1].start(oy) + ky * axes[1].dilation;
            for (int64_t ox = 0; ox < axes[2].out; ++ox, ++x) {
              const int64_t at = axes[2].start(ox) + kx * axes[2].dilation;
              const bool inside = z >= 0 && z < axes[0].in && y >= 0 && y < axes[1].in && at >= 0 &&
                                  at < axes[2].in;
              if (inside) image[(z * axes[1].in + y) * axes[2].in + at] += widen(*x);
            }
          }
        }
      }
    }
  }
}

class Col2imKernel final : public CpuKernel {
 public:
  explicit Col2imKernel(const KernelContext& context) : node_(context.node) {}

  std::size_t workspace(std::span<const Shape>, std::span<const Shape> outputs,
                        int) const override {
    const Shape& shape = outputs[0];
    return bytes_of(Dtype::f64, element_count(Shape(shape.begin() + 2, shape.end())));
  }

  void run(const KernelRun& run) const override {
    const Shape& shape = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    const Window window = window_of(node_, shape.size() - 2, integer_values(run.inputs[2]));
    Shape blocks(shape.size());
    for (std::size_t d = 0; d < window.rank(); ++d)
      blocks[d + 2] = slide_along(node_, window, d, shape[d + 2]).count;
    const SlideAxes axes = slide_axes(node_, window, shape, blocks);
    const int64_t area = product(shape, 2, static_cast<int>(shape.size()));
    const int64_t step = run.inputs[0].size() / (shape[0] * shape[1]);
    auto* image = reinterpret_cast<double*>(run.workspace);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < shape[0] * shape[1]; ++i) {
        std::fill_n(image, area, 0.0);
        add_blocks(axes, elements<T>(run.inputs[0]) + i * step, image);
        T* y = elements<T>(run.outputs[0]) + i * area;
        for (int64_t j = 0; j < area; ++j) y[j] = narrow<T>(image[j]);
      }
    });
  }

 private:
  const ir::Node& node_;
};

constexpr CpuImplementation kCol2imImplementations[] = {
    {"col2im", refuse_input0<FloatTypes>, create_kernel<Col2imKernel>}};
constexpr CpuOp kCol2imOps[] = {{"", "Col2Im", kCol2imImplementations}};

}  // namespace

CpuFamily col2im_cpu_ops() { return kCol2imOps; }

}  // namespace tercel::ops

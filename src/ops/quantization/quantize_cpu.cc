#include "src/ops/quantization/element_cpu.h"

namespace tercel::ops {
namespace {

// Which scale an element of the input has.
struct Granularity {
  Granularity(const Shape& shape, const Tensor& scale, int64_t axis, int64_t block)
      : one(scale.size() == 1 && block == 0), block(block) {
    if (!one) view = view_axis(shape, axis);
    blocks = block > 0 ? (view.axis + block - 1) / block : 1;
  }
  int64_t index(int64_t element) const {
    if (one) return 0;
    const int64_t at = element / view.inner % view.axis;
    if (block == 0) return at;
    return (element / view.inner / view.axis * blocks + at / block) * view.inner +
           element % view.inner;
  }

  bool one;
  int64_t block;
  int64_t blocks = 1;
  AxisView view;
};

// A quotient or product as the type that the operator computes in rounds it.
double rounded_to(Dtype dtype, double value) {
  if (dtype == Dtype::f16) return static_cast<double>(to_float(to_f16(static_cast<float>(value))));
  if (dtype == Dtype::bf16)
    return static_cast<double>(to_float(to_bf16(static_cast<float>(value))));
  return static_cast<double>(static_cast<float>(value));
}

class LinearKernel final : public CpuKernel {
 public:
  explicit LinearKernel(const KernelContext& context)
      : quantize_(context.node.is("QuantizeLinear")),
        axis_(context.node.int_or("axis", 1)),
        block_(context.node.int_or("block_size", 0)),
        saturate_(context.node.int_or("saturate", 1) != 0),
        precision_(static_cast<Dtype>(context.node.int_or("precision", 0))) {}

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const Tensor& scale = run.inputs[1];
    Tensor& y = run.outputs[0];
    const bool shifted = run.inputs.size() > 2 && run.inputs[2].defined();
    const Granularity granularity(x.shape(), scale, axis_, block_);
    const Dtype computed =
        quantize_ ? (precision_ != Dtype::undefined ? precision_ : scale.dtype()) : y.dtype();
    // Neighbours of packed types share a byte: threads take whole ones.
    constexpr int64_t kWhole = 64;
    const int64_t pieces = (x.size() + kWhole - 1) / kWhole;
    run.pool.parallel_for(pieces, kGrain / kWhole / 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * kWhole; i < std::min(end * kWhole, x.size()); ++i) {
        const int64_t at = granularity.index(i);
        const double zero =
            shifted ? read_element(run.inputs[2].data(), run.inputs[2].dtype(), at) : 0;
        const double factor = read_element(scale.data(), scale.dtype(), at);
        const double value = read_element(x.data(), x.dtype(), i);
        if (quantize_)
          put(y, i, rounded_to(computed, value / factor), zero);
        else
          write_element(y.data(), y.dtype(), i, rounded_to(computed, (value - zero) * factor),
                        true);
      }
    });
  }

 private:
  // Integers are rounded before the zero point is added, so that ties stay ties.
  void put(Tensor& y, int64_t index, double value, double zero) const {
    if (is_integer(y.dtype())) value = std::isnan(value) ? 0 : std::nearbyint(value);
    write_element(y.data(), y.dtype(), index, value + zero, saturate_);
  }

  bool quantize_;
  int64_t axis_;
  int64_t block_;
  bool saturate_;
  Dtype precision_;
};

class DynamicKernel final : public CpuKernel {
 public:
  explicit DynamicKernel(const KernelContext&) {}

  void run(const KernelRun& run) const override {
    const auto x = run.inputs[0].values<float>();
    float low = 0;
    float high = 0;
    for (const float value : x) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
    const float scale = (high - low) / 255;
    const uint8_t zero = scale == 0 ? 0 : saturated<uint8_t>(static_cast<double>(-low / scale));
    if (wanted(run, 1)) *elements<float>(run.outputs[1]) = scale;
    if (wanted(run, 2)) *elements<uint8_t>(run.outputs[2]) = zero;
    if (!wanted(run, 0)) return;
    auto* y = elements<uint8_t>(run.outputs[0]);
    run.pool.parallel_for(run.inputs[0].size(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float value = scale == 0 ? 0 : x[static_cast<std::size_t>(i)] / scale;
        y[i] = saturated<uint8_t>(std::nearbyint(static_cast<double>(value)) + zero);
      }
    });
  }

 private:
  static bool wanted(const KernelRun& run, std::size_t index) {
    return index < run.outputs.size() && run.outputs[index].defined();
  }
};

std::string refuse_linear(const KernelContext& context) {
  for (int i = 0; i < 3; ++i) {
    if (context.node.input(i) == nullptr) continue;
    if (std::string reason = refuse_element(context.input_dtype(i)); !reason.empty()) return reason;
  }
  return refuse_element(context.output_dtype(0));
}

}  // namespace

const CpuImplementation kDequantizeCpu[1] = {
    {"dequantize", refuse_linear, create_kernel<LinearKernel>}};
const CpuImplementation kDynamicQuantizeCpu[1] = {
    {"dynamic_quantize", refuse_unless_f32, create_kernel<DynamicKernel>}};
const CpuImplementation kQuantizeCpu[1] = {
    {"quantize", refuse_linear, create_kernel<LinearKernel>}};

}  // namespace tercel::ops

#include <array>

#include "src/kernels/cpu/kernels.h"
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

// Between f32 and bytes, with one scale for all.
class BytesKernel final : public CpuKernel {
 public:
  explicit BytesKernel(const KernelContext& context)
      : quantize_(context.node.is("QuantizeLinear")),
        kernels_(kernels::cpu_kernels(context.isa).quantize) {}

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    if (x.size() == 0) return;
    const float scale = *elements<float>(run.inputs[1]);
    const bool shifted = run.inputs.size() > 2 && run.inputs[2].defined();
    const int32_t zero = shifted ? byte_at(run.inputs[2], 0) : 0;
    if (quantize_) {
      kernels_.quantize({.count = x.size(),
                         .numbers = elements<float>(x),
                         .bytes = y.data(),
                         .type = byte_type(y.dtype(), zero),
                         .scale = scale},
                        run.pool);
    } else {
      kernels_.dequantize({.count = x.size(),
                           .bytes = x.data(),
                           .type = byte_type(x.dtype(), zero),
                           .scale = scale,
                           .numbers = elements<float>(y)},
                          run.pool);
    }
  }

 private:
  bool quantize_;
  const kernels::QuantizeKernels& kernels_;
};

class DynamicKernel final : public CpuKernel {
 public:
  explicit DynamicKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa).quantize) {}

  void run(const KernelRun& run) const override {
    const Tensor& input = run.inputs[0];
    const auto [low, high] = bounds(input, run.pool);
    const float scale = (high - low) / 255;
    const uint8_t zero = scale == 0 ? 0 : saturated<uint8_t>(static_cast<double>(-low / scale));
    if (wanted(run, 1)) *elements<float>(run.outputs[1]) = scale;
    if (wanted(run, 2)) *elements<uint8_t>(run.outputs[2]) = zero;
    if (!wanted(run, 0)) return;
    const float divisor = scale == 0 ? std::numeric_limits<float>::infinity() : scale;
    kernels_.quantize({.count = input.size(),
                       .numbers = elements<float>(input),
                       .bytes = run.outputs[0].data(),
                       .type = byte_type(Dtype::u8, zero),
                       .scale = divisor},
                      run.pool);
  }

 private:
  struct Bounds {
    float low = 0, high = 0;
  };

  // Of all elements and 0. Lanes of their own let the compiler use vectors.
  static Bounds bounds(const Tensor& input, ThreadPool& pool) {
    constexpr int64_t kLanes = 16;
    const float* x = elements<float>(input);
    const int64_t pieces = (input.size() + kGrain - 1) / kGrain;
    std::vector<Bounds> found(static_cast<std::size_t>(pieces));
    pool.parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        std::array<float, kLanes> low{}, high{};
        const int64_t last = std::min(input.size(), (piece + 1) * kGrain);
        for (int64_t i = piece * kGrain; i < last; i += kLanes) {
          const int64_t count = std::min(kLanes, last - i);
          for (int64_t lane = 0; lane < count; ++lane) {
            const auto at = static_cast<std::size_t>(lane);
            low[at] = std::min(low[at], x[i + lane]);
            high[at] = std::max(high[at], x[i + lane]);
          }
        }
        found[static_cast<std::size_t>(piece)] = {*std::min_element(low.begin(), low.end()),
                                                  *std::max_element(high.begin(), high.end())};
      }
    });
    Bounds all;
    for (const Bounds& one : found) {
      all.low = std::min(all.low, one.low);
      all.high = std::max(all.high, one.high);
    }
    return all;
  }

  static bool wanted(const KernelRun& run, std::size_t index) {
    return index < run.outputs.size() && run.outputs[index].defined();
  }

  const kernels::QuantizeKernels& kernels_;
};

std::string refuse_linear(const KernelContext& context) {
  for (int i = 0; i < 3; ++i) {
    if (context.node.input(i) == nullptr) continue;
    if (std::string reason = refuse_element(context.input_dtype(i)); !reason.empty()) return reason;
  }
  return refuse_element(context.output_dtype(0));
}

std::string refuse_bytes_quantize(const KernelContext& context) {
  const ir::Node& node = context.node;
  const bool quantizes = node.is("QuantizeLinear");
  const Dtype real = quantizes ? context.input_dtype(0) : context.output_dtype(0);
  const Dtype byte = quantizes ? context.output_dtype(0) : context.input_dtype(0);
  if (real != Dtype::f32 || context.input_dtype(1) != Dtype::f32) return "not of f32";
  if (std::string reason = refuse_dtype(ByteTypes{}, byte); !reason.empty()) return reason;
  if (node.input(2) != nullptr && context.input_dtype(2) != byte)
    return "the zero point is of another type";
  const auto precision = static_cast<Dtype>(node.int_or("precision", 0));
  if (precision != Dtype::undefined && precision != Dtype::f32) return "computes in another type";
  const ir::Type* scale = context.facts.type(node.input(1));
  const auto shape = scale != nullptr ? scale->shape() : std::nullopt;
  const bool one = shape && element_count(*shape) == 1 && node.int_or("block_size", 0) == 0;
  return one ? std::string() : "not of one scale";
}

}  // namespace

const CpuImplementation kDequantizeCpu[2] = {
    {"dequantize_bytes", refuse_bytes_quantize, create_kernel<BytesKernel>},
    {"dequantize", refuse_linear, create_kernel<LinearKernel>}};
const CpuImplementation kDynamicQuantizeCpu[1] = {
    {"dynamic_quantize", refuse_unless_f32, create_kernel<DynamicKernel>}};
const CpuImplementation kQuantizeCpu[2] = {
    {"quantize_bytes", refuse_bytes_quantize, create_kernel<BytesKernel>},
    {"quantize", refuse_linear, create_kernel<LinearKernel>}};

}  // namespace tercel::ops

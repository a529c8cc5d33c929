#include <bit>

#include "src/ops/math/matmul_shape_cpu.h"
#include "src/ops/nn/window_cpu.h"
#include "src/ops/quantization/packed_bytes_cpu.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {
namespace {

using ByteTypes = Types<int8_t, uint8_t>;

// The elements of a zero point or a scale, one for all or one for each row, column or channel.
class PerIndex {
 public:
  PerIndex(const KernelRun& run, std::size_t index, double otherwise) {
    if (index >= run.inputs.size() || !run.inputs[index].defined()) {
      values_ = {otherwise};
      return;
    }
    const Tensor& tensor = run.inputs[index];
    dispatch_dtype(decltype(FloatTypes{} + ByteTypes{}){}, tensor.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < tensor.size(); ++i)
        values_.push_back(static_cast<double>(load(elements<T>(tensor)[i])));
    });
  }
  double at(int64_t index) const {
    return values_[values_.size() == 1 ? 0 : static_cast<std::size_t>(index)];
  }
  int32_t integer(int64_t index) const { return static_cast<int32_t>(at(index)); }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }

 private:
  std::vector<double> values_;
};

// Where the inputs of an operator stand. Those that an integer product does not have are behind
// its last.
struct Places {
  std::size_t x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
};
constexpr std::size_t kNone = 99;
constexpr Places kInteger{0, kNone, 2, 1, kNone, 3, kNone, kNone, kNone};
constexpr Places kLinear{0, 1, 2, 3, 4, 5, 6, 7, 8};

// Puts a sum away: as it is, or scaled and rounded to the output's type.
struct Finish {
  Finish(const KernelRun& run, const Places& places)
      : linear(places.y_scale != kNone),
        x_scale(run, places.x_scale, 1),
        w_scale(run, places.w_scale, 1),
        y_scale(run, places.y_scale, 1),
        y_zero(run, places.y_zero, 0) {}

  void put(Tensor& y, int64_t index, int32_t sum, int64_t row, int64_t column) const {
    if (!linear) {
      elements<int32_t>(y)[index] = sum;
      return;
    }
    const float scale = static_cast<float>(x_scale.at(row)) *
                        static_cast<float>(w_scale.at(column)) / static_cast<float>(y_scale.at(0));
    const double value =
        std::nearbyint(static_cast<double>(static_cast<float>(sum) * scale)) + y_zero.at(0);
    dispatch_dtype(ByteTypes{}, y.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      elements<T>(y)[index] = saturated<T>(value);
    });
  }

  bool linear;
  PerIndex x_scale, w_scale, y_scale, y_zero;
};

// Calls body with the element types of both factors.
template <class Body>
void dispatch_factors(const KernelRun& run, const Places& places, Body body) {
  dispatch_dtype(ByteTypes{}, run.inputs[places.x].dtype(), [&](auto x_tag) {
    dispatch_dtype(ByteTypes{}, run.inputs[places.w].dtype(),
                   [&](auto w_tag) { body(x_tag, w_tag); });
  });
}

// Sums wrap around in 32 bits, as ONNX allows.
void add_product(uint32_t& sum, int32_t a, int32_t b) { sum += static_cast<uint32_t>(a * b); }

// The constant right factor with its zero points; nothing when it is not one.
std::optional<QuantizedMatrix> constant_factor(const KernelContext& context, const Places& places) {
  const auto constant = [&](std::size_t index) {
    return context.constant(static_cast<int>(index));
  };
  const bool shifted = context.node.input(static_cast<int>(places.w_zero)) != nullptr;
  const Tensor* values = constant(places.w);
  const Tensor* zero = shifted ? constant(places.w_zero) : nullptr;
  if (values == nullptr || (shifted && zero == nullptr)) return std::nullopt;
  return QuantizedMatrix{*values, {}, zero != nullptr ? *zero : Tensor()};
}

// The right factor is a constant matrix.
class PackedMatMulKernel final : public CpuKernel {
 public:
  explicit PackedMatMulKernel(const KernelContext& context)
      : gemm_(kernels::gemm_int8_kernels(context.isa)),
        places_(context.node.is("QLinearMatMul") ? kLinear : kInteger),
        weight_(context, *constant_factor(context, places_)) {}

  bool absorbs(int input) const override {
    return static_cast<std::size_t>(input) == places_.w ||
           static_cast<std::size_t>(input) == places_.w_zero;
  }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    const Sizes sizes(*this, inputs[0], element_count(outputs[0]), threads);
    return sizes.zeros + sizes.sums + sizes.gemm;
  }

  void run(const KernelRun& run) const override {
    const Tensor& a = run.inputs[places_.x];
    Tensor& out = run.outputs[0];
    const Sizes sizes(*this, a.shape(), out.size(), run.pool.size());
    auto* zeros = reinterpret_cast<int32_t*>(run.workspace + sizes.gemm);
    auto* sums = is_linear() ? reinterpret_cast<int32_t*>(run.workspace + sizes.gemm + sizes.zeros)
                             : elements<int32_t>(out);
    const PerIndex a_zero(run, places_.x_zero, 0);
    for (int64_t i = 0; i < sizes.rows; ++i) zeros[i] = a_zero.integer(i % a_zero.size());
    kernels::Int8GemmArgs args;
    weight_.fill(args);
    args.m = sizes.rows;
    args.a_bytes = a.data();
    args.a_signed = a.dtype() == Dtype::i8;
    args.a_zero = zeros;
    args.a_row = args.k;
    args.sums = sums;
    args.c_row = args.n;
    args.workspace = run.workspace;
    gemm_.gemm(args, run.pool);
    if (is_linear()) {
      dispatch_dtype(ByteTypes{}, out.dtype(), [&](auto tag) {
        requantize(run, sums, sizes.rows, elements<typename decltype(tag)::type>(out));
      });
    }
  }

 private:
  struct Sizes {
    Sizes(const PackedMatMulKernel& kernel, const Shape& a, int64_t outputs, int threads)
        : rows(product(a, 0, static_cast<int>(a.size()) - 1)),
          gemm(workspace_bytes(kernel.gemm_.workspace(rows, kernel.weight_.k(), threads))),
          zeros(workspace_bytes(static_cast<std::size_t>(rows) * sizeof(int32_t))),
          sums(kernel.is_linear() ? static_cast<std::size_t>(outputs) * sizeof(int32_t) : 0) {}
    int64_t rows;
    std::size_t gemm, zeros, sums;
  };

  bool is_linear() const { return places_.y_scale != kNone; }

  template <class T>
  void requantize(const KernelRun& run, const int32_t* sums, int64_t rows, T* out) const {
    const PerIndex x_scale(run, places_.x_scale, 1);
    const PerIndex w_scale(run, places_.w_scale, 1);
    const auto y_scale = static_cast<float>(PerIndex(run, places_.y_scale, 1).at(0));
    const int32_t y_zero = PerIndex(run, places_.y_zero, 0).integer(0);
    const int64_t n = weight_.n();
    run.pool.parallel_for(rows, rows_per_grain(n), [&](int64_t begin, int64_t end) {
      std::vector<float> scales(static_cast<std::size_t>(n));
      for (int64_t i = begin; i < end; ++i) {
        const auto x = static_cast<float>(x_scale.at(i % x_scale.size()));
        for (int64_t j = 0; j < n; ++j)
          scales[static_cast<std::size_t>(j)] = x * static_cast<float>(w_scale.at(j)) / y_scale;
        requantize_row(sums + i * n, scales, y_zero, out + i * n);
      }
    });
  }

  template <class T>
  static void requantize_row(const int32_t* sums, const std::vector<float>& scales, int32_t zero,
                             T* out) {
    constexpr float kBeyond = 1000;        // any zero point brings back
    constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: the sum's low bits are the nearest integer
    constexpr int32_t kLow = std::numeric_limits<T>::min();
    constexpr int32_t kHigh = std::numeric_limits<T>::max();
    for (std::size_t j = 0; j < scales.size(); ++j) {
      const float value = static_cast<float>(sums[j]) * scales[j];
      const float bounded = std::min(std::max(value, -kBeyond), kBeyond);
      const int32_t rounded =
          std::bit_cast<int32_t>(bounded + kShift) - std::bit_cast<int32_t>(kShift);
      out[j] = static_cast<T>(std::min(std::max(rounded + zero, kLow), kHigh));
    }
  }

  const kernels::GemmInt8Kernels& gemm_;
  Places places_;
  PackedBytes weight_;
};

class MatMulKernel final : public CpuKernel {
 public:
  explicit MatMulKernel(const KernelContext& context)
      : places_(context.node.is("QLinearMatMul") ? kLinear : kInteger) {}

  void run(const KernelRun& run) const override {
    const Tensor& a = run.inputs[places_.x];
    const Tensor& b = run.inputs[places_.w];
    const MatmulShape shape(a.shape(), b.shape());
    const PerIndex a_zero(run, places_.x_zero, 0);
    const PerIndex b_zero(run, places_.w_zero, 0);
    const Finish finish(run, places_);
    const bool stacked_a = per_stack(run, places_.x_zero, shape.m);
    const bool stacked_b = per_stack(run, places_.w_zero, shape.n);
    dispatch_factors(run, places_, [&](auto a_tag, auto b_tag) {
      using A = typename decltype(a_tag)::type;
      using B = typename decltype(b_tag)::type;
      shape.for_each([&](int64_t item, int64_t at_a, int64_t at_b) {
        const A* x = elements<A>(a) + at_a * shape.m * shape.k;
        const B* w = elements<B>(b) + at_b * shape.k * shape.n;
        run.pool.parallel_for(
            shape.m * shape.n, rows_per_grain(shape.k), [&](int64_t begin, int64_t end) {
              for (int64_t i = begin; i < end; ++i) {
                const int64_t row = i / shape.n + (stacked_a ? at_a * shape.m : 0);
                const int64_t column = i % shape.n + (stacked_b ? at_b * shape.n : 0);
                const int32_t za = a_zero.integer(row);
                const int32_t zb = b_zero.integer(column);
                uint32_t sum = 0;
                for (int64_t k = 0; k < shape.k; ++k) {
                  add_product(sum, x[i / shape.n * shape.k + k] - za,
                              w[k * shape.n + i % shape.n] - zb);
                }
                finish.put(run.outputs[0], item * shape.m * shape.n + i, static_cast<int32_t>(sum),
                           row, column);
              }
            });
      });
    });
  }

 private:
  // A zero point for each row of a whole stack of matrices.
  static bool per_stack(const KernelRun& run, std::size_t index, int64_t rows) {
    return index < run.inputs.size() && run.inputs[index].defined() &&
           run.inputs[index].size() > rows;
  }

  Places places_;
};

class ConvKernel final : public CpuKernel {
 public:
  explicit ConvKernel(const KernelContext& context)
      : node_(context.node),
        groups_(context.node.int_or("group", 1)),
        places_(context.node.is("QLinearConv") ? kLinear : kInteger) {}

  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[places_.x].shape();
    const Shape& w = run.inputs[places_.w].shape();
    const Shape& out = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    const SlideAxes axes =
        slide_axes(node_, window_of(node_, in.size() - 2, {w.begin() + 2, w.end()}), in, out);
    const PerIndex x_zero(run, places_.x_zero, 0);
    const PerIndex w_zero(run, places_.w_zero, 0);
    const Finish finish(run, places_);
    const bool biased = places_.bias < run.inputs.size() && run.inputs[places_.bias].defined();
    const int64_t area = axes[0].out * axes[1].out * axes[2].out;
    const int64_t row = product(w, 1, static_cast<int>(w.size()));
    const int64_t image = w[1] * axes[0].in * axes[1].in * axes[2].in;
    dispatch_factors(run, places_, [&](auto x_tag, auto w_tag) {
      using X = typename decltype(x_tag)::type;
      using W = typename decltype(w_tag)::type;
      run.pool.parallel_for(
          run.outputs[0].size(), rows_per_grain(row), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t channel = i / area % w[0];
              const int64_t group = i / area / w[0] * groups_ + channel / (w[0] / groups_);
              uint32_t sum =
                  window_sum(axes, elements<X>(run.inputs[places_.x]) + group * image,
                             x_zero.integer(0), elements<W>(run.inputs[places_.w]) + channel * row,
                             w_zero.integer(channel), w[1], i % area);
              if (biased)
                sum += static_cast<uint32_t>(elements<int32_t>(run.inputs[places_.bias])[channel]);
              finish.put(run.outputs[0], i, static_cast<int32_t>(sum), 0, channel);
            }
          });
    });
  }

 private:
  // The padding is the zero point, which adds nothing.
  template <class X, class W>
  static uint32_t window_sum(const SlideAxes& axes, const X* x, int32_t x_zero, const W* w,
                             int32_t w_zero, int64_t channels, int64_t position) {
    const int64_t oz = position / axes[2].out / axes[1].out;
    const int64_t oy = position / axes[2].out % axes[1].out;
    const int64_t ox = position % axes[2].out;
    const auto z = axes[0].taps_inside(oz);
    const auto y = axes[1].taps_inside(oy);
    const auto columns = axes[2].taps_inside(ox);
    uint32_t sum = 0;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t kz = z.first; kz < z.last; ++kz) {
        for (int64_t ky = y.first; ky < y.last; ++ky) {
          const int64_t plane = c * axes[0].in + axes[0].start(oz) + kz * axes[0].dilation;
          const int64_t line = plane * axes[1].in + axes[1].start(oy) + ky * axes[1].dilation;
          const X* from = x + line * axes[2].in + axes[2].start(ox);
          const W* taps = w + ((c * axes[0].kernel + kz) * axes[1].kernel + ky) * axes[2].kernel;
          for (int64_t kx = columns.first; kx < columns.last; ++kx)
            add_product(sum, from[kx * axes[2].dilation] - x_zero, taps[kx] - w_zero);
        }
      }
    }
    return sum;
  }

  const ir::Node& node_;
  int64_t groups_;
  Places places_;
};

std::string refuse_bytes(const KernelContext& context) {
  const bool linear = context.node.is("QLinearMatMul") || context.node.is("QLinearConv");
  const int weight = linear ? 3 : 1;
  for (const int index : {0, weight}) {
    if (std::string reason = refuse_dtype(ByteTypes{}, context.input_dtype(index)); !reason.empty())
      return reason;
  }
  return linear ? refuse_dtype(ByteTypes{}, context.output_dtype(0)) : std::string();
}

std::string refuse_packed(const KernelContext& context) {
  if (std::string reason = refuse_bytes(context); !reason.empty()) return reason;
  const Places& places = context.node.is("QLinearMatMul") ? kLinear : kInteger;
  const ir::Type* a = context.facts.type(context.node.input(0));
  if (a == nullptr || !a->dims || a->rank() == 0) return "the rank is not known";
  const auto factor = constant_factor(context, places);
  return factor ? PackedBytes::refuse(*factor) : "the right factor is not constant";
}

}  // namespace

const CpuImplementation kConvIntegerCpu[1] = {
    {"conv_integer", refuse_bytes, create_kernel<ConvKernel>}};
const CpuImplementation kMatMulIntegerCpu[2] = {
    {"gemm_int8", refuse_packed, create_kernel<PackedMatMulKernel>},
    {"matmul_integer", refuse_bytes, create_kernel<MatMulKernel>}};

}  // namespace tercel::ops

#pragma once
// What products of quantised tensors share: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv.

#include "src/ops/quantization/packed_bytes_cpu.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {

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
inline constexpr std::size_t kNone = 99;
inline constexpr Places kInteger{0, kNone, 2, 1, kNone, 3, kNone, kNone, kNone};
inline constexpr Places kLinear{0, 1, 2, 3, 4, 5, 6, 7, 8};

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
inline void add_product(uint32_t& sum, int32_t a, int32_t b) {
  sum += static_cast<uint32_t>(a * b);
}

// The constant right factor with its zero points; nothing when it is not one.
inline std::optional<QuantizedWeight> constant_factor(const KernelContext& context,
                                                      const Places& places) {
  const auto constant = [&](std::size_t index) {
    return context.constant(static_cast<int>(index));
  };
  const bool shifted = context.node.input(static_cast<int>(places.w_zero)) != nullptr;
  const Tensor* values = constant(places.w);
  const Tensor* zero = shifted ? constant(places.w_zero) : nullptr;
  if (values == nullptr || (shifted && zero == nullptr)) return std::nullopt;
  return QuantizedWeight{*values, {}, zero != nullptr ? *zero : Tensor()};
}

// One a channel; null when there is none.
inline const int32_t* bias_of(const KernelRun& run, const Places& places) {
  const bool biased = places.bias < run.inputs.size() && run.inputs[places.bias].defined();
  return biased ? elements<int32_t>(run.inputs[places.bias]) : nullptr;
}

// What the sums of row `row` (of all, where x has one scale) are multiplied by.
inline void output_scales(const KernelRun& run, const Places& places, int64_t row,
                          std::span<float> scales) {
  const auto x = static_cast<float>(PerIndex(run, places.x_scale, 1).at(row));
  const auto y = static_cast<float>(PerIndex(run, places.y_scale, 1).at(0));
  const PerIndex w(run, places.w_scale, 1);
  for (std::size_t j = 0; j < scales.size(); ++j)
    scales[j] = x * static_cast<float>(w.at(static_cast<int64_t>(j))) / y;
}

inline std::string refuse_bytes(const KernelContext& context) {
  const bool linear = context.node.is("QLinearMatMul") || context.node.is("QLinearConv");
  const int weight = linear ? 3 : 1;
  for (const int index : {0, weight}) {
    if (std::string reason = refuse_dtype(ByteTypes{}, context.input_dtype(index)); !reason.empty())
      return reason;
  }
  return linear ? refuse_dtype(ByteTypes{}, context.output_dtype(0)) : std::string();
}

}  // namespace tercel::ops

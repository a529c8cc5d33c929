#pragma once
// Convolutions of random sizes, and what they give by a plain loop.

#include "src/kernels/cpu/conv_packed.h"
#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {

struct PackedConvProblem {
  PackedConvArgs args;
  std::vector<float> x, w, bias, residual;

  int64_t size(int64_t ConvAxis::*member) const {
    return args.axes[0].*member * args.axes[1].*member * args.axes[2].*member;
  }
  int64_t outputs() const {
    return args.batch * size(&ConvAxis::out) * args.groups * args.out_channels;
  }
};

inline int64_t pick(std::mt19937& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

inline void fill(PackedConvProblem& p, std::mt19937& random) {
  PackedConvArgs& a = p.args;
  p.x = random_floats(random, a.batch * p.size(&ConvAxis::in) * a.groups * a.in_channels);
  p.w = random_floats(random, a.groups * a.out_channels * a.in_channels * p.size(&ConvAxis::taps));
  p.bias = random_floats(random, a.groups * a.out_channels);
  p.residual = random_floats(random, p.outputs());
  if (pick(random, 0, 1) == 1) a.bias = p.bias.data();
  if (pick(random, 0, 1) == 1) a.residual = p.residual.data();
  if (pick(random, 0, 1) == 1) a.activation = Activation::relu;
  if (pick(random, 0, 1) == 1) a.last = Activation::relu;
  a.x = p.x.data();
}

inline void set_axis(ConvAxis& axis, int64_t in) {
  axis.in = in;
  const int64_t reach = (axis.taps - 1) * axis.dilation + 1;
  axis.out = (in + 2 * axis.pad - reach) / axis.stride + 1;
}

inline double expected_at(const PackedConvProblem& p, int64_t image, int64_t position,
                          int64_t group, int64_t m) {
  const PackedConvArgs& a = p.args;
  const ConvAxis* axes = a.axes;
  const int64_t taps = p.size(&ConvAxis::taps);
  const int64_t out[3] = {position / axes[2].out / axes[1].out,
                          position / axes[2].out % axes[1].out, position % axes[2].out};
  double sum = 0;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t at[3] = {tap / axes[2].taps / axes[1].taps, tap / axes[2].taps % axes[1].taps,
                           tap % axes[2].taps};
    int64_t pixel = 0;
    bool inside = true;
    for (int d = 0; d < 3; ++d) {
      const int64_t seen = out[d] * axes[d].stride - axes[d].pad + at[d] * axes[d].dilation;
      inside = inside && seen >= 0 && seen < axes[d].in;
      pixel = pixel * axes[d].in + seen;
    }
    if (!inside) continue;
    for (int64_t c = 0; c < a.in_channels; ++c) {
      const int64_t area = p.size(&ConvAxis::in);
      const int64_t channel = group * a.in_channels + c;
      const int64_t x = a.planar ? (image * a.in_channels + c) * area + pixel
                                 : (image * area + pixel) * a.groups * a.in_channels + channel;
      const int64_t w = ((group * a.out_channels + m) * a.in_channels + c) * taps + tap;
      sum += static_cast<double>(p.x[static_cast<std::size_t>(x)]) *
             static_cast<double>(p.w[static_cast<std::size_t>(w)]);
    }
  }
  return sum;
}

inline std::vector<double> expected(const PackedConvProblem& p) {
  const PackedConvArgs& a = p.args;
  std::vector<double> result;
  for (int64_t image = 0; image < a.batch; ++image) {
    for (int64_t position = 0; position < p.size(&ConvAxis::out); ++position) {
      for (int64_t channel = 0; channel < a.groups * a.out_channels; ++channel) {
        double y =
            expected_at(p, image, position, channel / a.out_channels, channel % a.out_channels);
        if (a.bias != nullptr) y += static_cast<double>(a.bias[channel]);
        if (a.activation == Activation::relu) y = std::max(y, 0.0);
        if (a.residual != nullptr) y += static_cast<double>(a.residual[result.size()]);
        if (a.last == Activation::relu) y = std::max(y, 0.0);
        result.push_back(y);
      }
    }
  }
  return result;
}

// The last item of the batch by itself.
inline PackedConvArgs last_item(const PackedConvProblem& p) {
  PackedConvArgs args = p.args;
  args.x += (args.batch - 1) * (static_cast<int64_t>(p.x.size()) / args.batch);
  if (args.residual != nullptr) args.residual += (args.batch - 1) * (p.outputs() / args.batch);
  args.batch = 1;
  return args;
}

// The greatest error relative to the greatest output.
inline double error_of(const std::vector<float>& got, const std::vector<double>& want) {
  double greatest = 1e-30;
  double error = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    greatest = std::max(greatest, std::abs(want[i]));
    error = std::max(error, std::abs(static_cast<double>(got[i]) - want[i]));
    if (std::isnan(got[i])) return 1;
  }
  return error / greatest;
}

}  // namespace tercel::kernels

#pragma once
// What the methods of a packed convolution share. Only for sources of tercel_isa_sources.

#include "src/kernels/cpu/conv_packed.h"
#include "src/kernels/cpu/gemm_task.h"

TERCEL_ISA_BEGIN

inline int64_t positions(const PackedConvArgs& a) {
  return a.axes[0].out * a.axes[1].out * a.axes[2].out;
}
inline int64_t taps_of(const PackedConvArgs& a) {
  return a.axes[0].taps * a.axes[1].taps * a.axes[2].taps;
}
inline int64_t input_positions(const PackedConvArgs& a) {
  return a.axes[0].in * a.axes[1].in * a.axes[2].in;
}

inline Vec activate(Activation activation, Vec x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::silu:
      return silu(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
  }
  return x;
}

inline Vec load_upto(const float* from, int64_t count) {
  return count >= kLanes ? load(from) : load_some(from, count);
}
inline void store_upto(float* to, Vec value, int64_t count) {
  if (count >= kLanes)
    store(to, value);
  else
    store_some(to, value, count);
}

// `count` <= kLanes outputs: `channel` of all, and `at` elements into y.
inline Vec finished(const PackedConvArgs& a, Vec value, int64_t channel, int64_t at,
                    int64_t count) {
  if (a.bias != nullptr) value += load_upto(a.bias + channel, count);
  if (a.activation == Activation::relu)
    value = relu(value);
  else if (a.activation != Activation::none)
    value = activate(a.activation, value);
  if (a.residual != nullptr) value += load_upto(a.residual + at, count);
  if (a.last == Activation::relu)
    value = relu(value);
  else if (a.last != Activation::none)
    value = activate(a.last, value);
  return value;
}

// Where tap 0 of an output stands.
struct Site {
  int64_t image, at[3];
};

inline void find_sites(const PackedConvArgs& a, int64_t first, int rows, Site* sites) {
  const ConvAxis* axes = a.axes;
  int64_t x = first % axes[2].out;
  int64_t y = first / axes[2].out % axes[1].out;
  int64_t z = first / axes[2].out / axes[1].out % axes[0].out;
  int64_t image = first / axes[2].out / axes[1].out / axes[0].out;
  for (int r = 0; r < rows; ++r) {
    sites[r] = {image,
                {z * axes[0].stride - axes[0].pad, y * axes[1].stride - axes[1].pad,
                 x * axes[2].stride - axes[2].pad}};
    if (++x < axes[2].out) continue;
    x = 0;
    if (++y < axes[1].out) continue;
    y = 0;
    if (++z < axes[0].out) continue;
    z = 0;
    ++image;
  }
}

inline bool inside(const ConvAxis& axis, int64_t at) { return at >= 0 && at < axis.in; }
inline bool is_pixel(const ConvAxis& axis) {
  return axis.taps == 1 && axis.stride == 1 && axis.pad == 0 && axis.in == axis.out;
}

// Columns k of the window matrix of the outputs at `sites`, tap by tap: use(row, columns from
// k.begin on, how many, where x has them or null where they lie outside). `x` is the group's first
// channel.
template <class T, class Use>
inline void for_runs(const PackedConvArgs& a, const T* x, const Site* sites, int rows, Range k,
                     const Use& use) {
  const ConvAxis* axes = a.axes;
  const int64_t channels = a.groups * a.in_channels;
  int64_t tap = k.begin / a.in_channels;
  int64_t channel = k.begin % a.in_channels;
  for (int64_t at = 0; at < k.size(); ++tap) {
    const int64_t count = least(a.in_channels - channel, k.size() - at);
    const int64_t dx = tap % axes[2].taps * axes[2].dilation;
    const int64_t dy = tap / axes[2].taps % axes[1].taps * axes[1].dilation;
    const int64_t dz = tap / axes[2].taps / axes[1].taps * axes[0].dilation;
    for (int r = 0; r < rows; ++r) {
      const int64_t sz = sites[r].at[0] + dz;
      const int64_t sy = sites[r].at[1] + dy;
      const int64_t sx = sites[r].at[2] + dx;
      const T* from = nullptr;
      if (inside(axes[0], sz) && inside(axes[1], sy) && inside(axes[2], sx)) {
        const int64_t pixel =
            ((sites[r].image * axes[0].in + sz) * axes[1].in + sy) * axes[2].in + sx;
        from = x + pixel * channels + channel;
      }
      use(r, at, count, from);
    }
    at += count;
    channel = 0;
  }
}

struct TapRange {
  int64_t begin, end;
};
// The taps that see the input from `at`, where tap 0 stands.
inline TapRange taps_inside(const ConvAxis& axis, int64_t at) {
  const int64_t begin = at < 0 ? least(ceil_div(-at, axis.dilation), axis.taps) : 0;
  const int64_t end = at < axis.in ? least(axis.taps, ceil_div(axis.in - at, axis.dilation)) : 0;
  return {begin, most(begin, end)};
}

// Whole vectors are read only where `from` has them; `to` has room for a whole last one.
inline void copy_floats(const float* from, int64_t count, float* to) {
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) store(to + j, load(from + j));
  if (j < count) store(to + j, load_some(from + j, count - j));
}
inline void clear_floats(int64_t count, float* to) {
  for (int64_t j = 0; j < count; j += kLanes) store(to + j, zeros());
}

TERCEL_ISA_END

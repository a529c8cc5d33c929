#pragma once
// Convolutions of images that lie channels last, in f32, f16 and bf16, summed in f32. f32 is true
// f32: no TF32.
//
// cuDNN's graph API runs them, with bias, residual and activation in the same kernel where it has
// such an engine and in one pass behind it otherwise; a plain 1 × 1 convolution may run as the
// matrix product that it is, and what cuDNN does badly (few channels a group) or not at all by an
// own kernel. Which one, ConvLibrary decides per shape; the result is the same bits at every run.

#include <memory>
#include <string>
#include <string_view>

#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

constexpr int kConvAxes = 3;  // those that an image lacks come first, with one element

// Tap t of output o sees input o * stride - begin + t * dilation; of a transposed convolution,
// input i reaches output i * stride - begin + t * dilation.
struct ConvAxis {
  int64_t in = 1, out = 1, taps = 1, stride = 1, dilation = 1, begin = 0;
};

// y = last(activation(x * w + bias) + residual), with the residual where y is.
struct ConvArgs {
  Dtype type = Dtype::f32;  // of all arrays
  bool transposed = false;
  int64_t batch = 0, groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of all groups together
  ConvAxis axes[kConvAxes];
  const void* x = nullptr;  // [batch, in…, in_channels]
  // [out_channels, taps…, in_channels / groups], transposed [in_channels, taps…, out_channels /
  // groups]
  const void* w = nullptr;
  const void* bias = nullptr;      // [out_channels]
  const void* residual = nullptr;  // [batch, out…, out_channels]; it may not be y
  Activation activation = Activation::none;
  Activation last = Activation::none;
  void* y = nullptr;  // [batch, out…, out_channels]
  void* scratch = nullptr;
  std::size_t scratch_bytes = 0;
};

// The convolutions of one device. May be used from several threads, on several streams.
class ConvLibrary {
 public:
  // For the current device; cuDNN is opened when a convolution is first to be run.
  explicit ConvLibrary(GemmLibrary& products);
  ~ConvLibrary();
  ConvLibrary(const ConvLibrary&) = delete;
  ConvLibrary& operator=(const ConvLibrary&) = delete;

  // Bytes of scratch with which what is chosen may run.
  static std::size_t scratch(const ConvArgs& args);

  // Errc::unsupported when cuDNN cannot be opened.
  void conv(const ConvArgs& args, cudaStream_t stream);
  // Measures what could run it and remembers the fastest for its shape, once for each; as
  // GemmLibrary::tune. An untuned shape takes the first that cuDNN's heuristics name, whose kernels
  // may be compiled at the first run, which can take a second.
  void tune(const ConvArgs& args, cudaStream_t stream);

  // What runs this shape, for messages and tests: "cudnn 9.19 fused, engine 57", "gemm", "direct".
  std::string choice(const ConvArgs& args) const;

  // The choices made by tune(), as GemmLibrary has them.
  std::string save() const;
  int load(std::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The own kernel, which takes every convolution: an output, or 16 bytes of channels where groups
// are single channels, by each thread.
void conv_direct(const ConvArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda

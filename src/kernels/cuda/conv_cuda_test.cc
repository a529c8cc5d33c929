#include <algorithm>
#include <iostream>

#include "src/kernels/cuda/cudnn.h"
#include "src/kernels/cuda/test_support.h"

#if __has_include(<cudnn_graph.h>)
#include <cudnn_graph.h>
#define TERCEL_HAS_CUDNN_HEADER
#endif

namespace tercel::kernels::cuda {
namespace {

#if defined(TERCEL_HAS_CUDNN_HEADER)
#define SAME(own, theirs) static_assert(static_cast<int>(cudnn::own) == static_cast<int>(theirs))
SAME(Kind::pointwise, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
SAME(Kind::convolution, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
SAME(Kind::engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
SAME(Kind::engine_config, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
SAME(Kind::heuristics, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
SAME(Kind::plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
SAME(Kind::convolution_forward, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
SAME(Kind::convolution_backward_data, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
SAME(Kind::pointwise_operation, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
SAME(Kind::operation_graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
SAME(Kind::variant_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
SAME(Kind::tensor, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
SAME(Attribute::pointwise_mode, CUDNN_ATTR_POINTWISE_MODE);
SAME(Attribute::pointwise_precision, CUDNN_ATTR_POINTWISE_MATH_PREC);
SAME(Attribute::convolution_precision, CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
SAME(Attribute::convolution_mode, CUDNN_ATTR_CONVOLUTION_CONV_MODE);
SAME(Attribute::convolution_dilations, CUDNN_ATTR_CONVOLUTION_DILATIONS);
SAME(Attribute::convolution_strides, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
SAME(Attribute::convolution_post_paddings, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
SAME(Attribute::convolution_pre_paddings, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
SAME(Attribute::convolution_spatial_dims, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
SAME(Attribute::heuristics_mode, CUDNN_ATTR_ENGINEHEUR_MODE);
SAME(Attribute::heuristics_graph, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
SAME(Attribute::heuristics_results, CUDNN_ATTR_ENGINEHEUR_RESULTS);
SAME(Attribute::config_engine, CUDNN_ATTR_ENGINECFG_ENGINE);
SAME(Attribute::plan_handle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
SAME(Attribute::plan_config, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
SAME(Attribute::plan_workspace_size, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
SAME(Attribute::forward_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA);
SAME(Attribute::forward_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
SAME(Attribute::forward_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
SAME(Attribute::forward_w, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
SAME(Attribute::forward_x, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
SAME(Attribute::forward_y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
SAME(Attribute::backward_data_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA);
SAME(Attribute::backward_data_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA);
SAME(Attribute::backward_data_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC);
SAME(Attribute::backward_data_w, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W);
SAME(Attribute::backward_data_dx, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
SAME(Attribute::backward_data_dy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
SAME(Attribute::operation_pointwise, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
SAME(Attribute::operation_x, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
SAME(Attribute::operation_b, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
SAME(Attribute::operation_y, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
SAME(Attribute::graph_handle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
SAME(Attribute::graph_operations, CUDNN_ATTR_OPERATIONGRAPH_OPS);
SAME(Attribute::tensor_alignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
SAME(Attribute::tensor_data_type, CUDNN_ATTR_TENSOR_DATA_TYPE);
SAME(Attribute::tensor_dimensions, CUDNN_ATTR_TENSOR_DIMENSIONS);
SAME(Attribute::tensor_strides, CUDNN_ATTR_TENSOR_STRIDES);
SAME(Attribute::tensor_unique_id, CUDNN_ATTR_TENSOR_UNIQUE_ID);
SAME(Attribute::tensor_is_virtual, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
SAME(Attribute::pack_unique_ids, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
SAME(Attribute::pack_pointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
SAME(Attribute::pack_workspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
SAME(Attribute::engine_index, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
SAME(Attribute::engine_numerical_notes, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE);
SAME(Type::handle, CUDNN_TYPE_HANDLE);
SAME(Type::data_type, CUDNN_TYPE_DATA_TYPE);
SAME(Type::boolean, CUDNN_TYPE_BOOLEAN);
SAME(Type::int64, CUDNN_TYPE_INT64);
SAME(Type::float32, CUDNN_TYPE_FLOAT);
SAME(Type::pointer, CUDNN_TYPE_VOID_PTR);
SAME(Type::convolution_mode, CUDNN_TYPE_CONVOLUTION_MODE);
SAME(Type::heuristics_mode, CUDNN_TYPE_HEUR_MODE);
SAME(Type::numerical_note, CUDNN_TYPE_NUMERICAL_NOTE);
SAME(Type::pointwise_mode, CUDNN_TYPE_POINTWISE_MODE);
SAME(Type::descriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR);
SAME(DataType::f32, CUDNN_DATA_FLOAT);
SAME(DataType::f16, CUDNN_DATA_HALF);
SAME(DataType::bf16, CUDNN_DATA_BFLOAT16);
SAME(ConvolutionMode::cross_correlation, CUDNN_CROSS_CORRELATION);
SAME(HeuristicsMode::a, CUDNN_HEUR_MODE_A);
SAME(HeuristicsMode::fallback, CUDNN_HEUR_MODE_FALLBACK);
SAME(PointwiseMode::add, CUDNN_POINTWISE_ADD);
SAME(PointwiseMode::relu, CUDNN_POINTWISE_RELU_FWD);
SAME(PointwiseMode::tanh, CUDNN_POINTWISE_TANH_FWD);
SAME(PointwiseMode::sigmoid, CUDNN_POINTWISE_SIGMOID_FWD);
SAME(PointwiseMode::gelu, CUDNN_POINTWISE_GELU_FWD);
SAME(PointwiseMode::swish, CUDNN_POINTWISE_SWISH_FWD);
SAME(PointwiseMode::gelu_tanh, CUDNN_POINTWISE_GELU_APPROX_TANH_FWD);
SAME(NumericalNote::tensor_core, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
SAME(NumericalNote::down_convert_inputs, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
SAME(NumericalNote::reduced_precision_reduction, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
SAME(NumericalNote::nondeterministic, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
#undef SAME
#endif

struct ConvCase {
  const char* what;
  int64_t batch, in, out, groups;
  ConvAxis axes[kConvAxes];  // `out` is computed, but where it is given
  bool bias = true, residual = false;
  Activation activation = Activation::none, last = Activation::none;
  bool transposed = false;
};

ConvAxis axis(int64_t in, int64_t taps, int64_t stride = 1, int64_t begin = 0,
              int64_t dilation = 1) {
  const int64_t out = (in + 2 * begin - (taps - 1) * dilation - 1) / stride + 1;
  return {in, out, taps, stride, dilation, begin};
}
// More padding behind than in front.
ConvAxis one_sided(int64_t in, int64_t taps, int64_t stride, int64_t out) {
  return {in, out, taps, stride, 1, 0};
}
ConvAxis back(int64_t in, int64_t taps, int64_t stride, int64_t begin, int64_t extra) {
  return {in, (in - 1) * stride + taps - 2 * begin + extra, taps, stride, 1, begin};
}

constexpr Activation kNone = Activation::none;
constexpr Activation kRelu = Activation::relu;

std::vector<ConvCase> cases() {
  return {
      {"3x3", 2, 16, 24, 1, {{}, axis(9, 3, 1, 1), axis(11, 3, 1, 1)}},
      {"3x3 relu", 1, 64, 64, 1, {{}, axis(14, 3, 1, 1), axis(14, 3, 1, 1)}, true, false, kRelu},
      {"3x3 residual relu",
       2,
       32,
       40,
       1,
       {{}, axis(7, 3, 1, 1), axis(9, 3, 1, 1)},
       true,
       true,
       kNone,
       kRelu},
      {"3x3 silu residual",
       1,
       16,
       16,
       1,
       {{}, axis(8, 3, 1, 1), axis(8, 3, 1, 1)},
       true,
       true,
       Activation::silu},
      {"3x3 gelu",
       1,
       16,
       16,
       1,
       {{}, axis(8, 3, 1, 1), axis(8, 3, 1, 1)},
       true,
       false,
       Activation::gelu},
      {"3x3 stride 2", 2, 8, 16, 1, {{}, axis(13, 3, 2, 1), axis(12, 3, 2, 1)}, false},
      {"first 7x7", 1, 3, 64, 1, {{}, axis(32, 7, 2, 3), axis(30, 7, 2, 3)}, true, false, kRelu},
      {"odd channels", 2, 5, 7, 1, {{}, axis(9, 3, 1, 1), axis(9, 2)}, true, true, kNone, kRelu},
      {"dilated", 1, 8, 8, 1, {{}, axis(15, 3, 1, 2, 2), axis(15, 3, 1, 3, 3)}},
      {"one-sided",
       2,
       8,
       16,
       1,
       {{}, one_sided(14, 3, 2, 7), one_sided(15, 3, 2, 7)},
       true,
       false,
       kRelu},
      {"1x1", 2, 24, 40, 1, {{}, axis(7, 1), axis(5, 1)}},
      {"1x1 relu", 1, 64, 32, 1, {{}, axis(14, 1), axis(14, 1)}, true, false, kRelu},
      {"1x1 residual relu",
       2,
       64,
       128,
       1,
       {{}, axis(14, 1), axis(14, 1)},
       true,
       true,
       kNone,
       kRelu},
      {"1x1 large", 2, 64, 256, 1, {{}, axis(56, 1), axis(56, 1)}, true, true, kNone, kRelu},
      {"1x1 stride 2", 2, 16, 32, 1, {{}, axis(14, 1, 2), axis(14, 1, 2)}},
      {"groups", 2, 32, 64, 4, {{}, axis(9, 3, 1, 1), axis(9, 3, 1, 1)}, true, false, kRelu},
      {"depthwise", 2, 24, 24, 24, {{}, axis(13, 3, 1, 1), axis(12, 5, 2, 2)}, true, false, kRelu},
      {"depthwise odd", 1, 5, 10, 5, {{}, axis(9, 3, 1, 1), axis(9, 3, 1, 1)}},
      {"line", 2, 16, 8, 1, {{}, {}, axis(50, 5, 1, 2)}},
      {"volume", 1, 8, 16, 1, {axis(5, 3, 1, 1), axis(6, 3), axis(7, 3, 2, 1)}},
      {"transposed 2x2",
       2,
       16,
       8,
       1,
       {{}, back(5, 2, 2, 0, 0), back(6, 2, 2, 0, 0)},
       true,
       false,
       kNone,
       kNone,
       true},
      {"transposed 3x3",
       1,
       8,
       5,
       1,
       {{}, back(5, 3, 2, 1, 1), back(6, 3, 2, 1, 0)},
       false,
       false,
       kNone,
       kNone,
       true},
      {"transposed groups",
       1,
       16,
       8,
       4,
       {{}, back(5, 4, 2, 1, 0), back(6, 4, 2, 1, 0)},
       true,
       false,
       kNone,
       kNone,
       true},
      {"no pixels", 0, 8, 8, 1, {{}, axis(8, 3, 1, 1), axis(8, 3, 1, 1)}},
  };
}

int64_t pixels(const ConvCase& c, int64_t ConvAxis::*size) {
  return c.axes[0].*size * c.axes[1].*size * c.axes[2].*size;
}

// Adds each product where it belongs, whichever way the convolution goes.
std::vector<double> sums(const ConvCase& c, const std::vector<double>& x,
                         const std::vector<double>& w) {
  const auto& [z, y, v] = c.axes;
  const int64_t in = c.in / c.groups, out = c.out / c.groups;
  std::vector<double> result(static_cast<std::size_t>(c.batch * pixels(c, &ConvAxis::out) * c.out));
  const auto each = [](const ConvAxis& a, bool transposed, auto body) {
    for (int64_t from = 0; from < (transposed ? a.in : a.out); ++from)
      for (int64_t t = 0; t < a.taps; ++t) {
        const int64_t to = from * a.stride - a.begin + t * a.dilation;
        if (to >= 0 && to < (transposed ? a.out : a.in))
          transposed ? body(from, to, t) : body(to, from, t);
      }
  };
  for (int64_t n = 0; n < c.batch; ++n)
    each(z, c.transposed, [&](int64_t iz, int64_t oz, int64_t kz) {
      each(y, c.transposed, [&](int64_t iy, int64_t oy, int64_t ky) {
        each(v, c.transposed, [&](int64_t ix, int64_t ox, int64_t kx) {
          const int64_t from = ((n * z.in + iz) * y.in + iy) * v.in + ix;
          const int64_t to = ((n * z.out + oz) * y.out + oy) * v.out + ox;
          const int64_t tap = (kz * y.taps + ky) * v.taps + kx;
          const int64_t taps = z.taps * y.taps * v.taps;
          for (int64_t g = 0; g < c.groups; ++g)
            for (int64_t i = 0; i < in; ++i)
              for (int64_t o = 0; o < out; ++o) {
                const int64_t at = c.transposed ? ((g * in + i) * taps + tap) * out + o
                                                : ((g * out + o) * taps + tap) * in + i;
                result[static_cast<std::size_t>(to * c.out + g * out + o)] +=
                    x[static_cast<std::size_t>(from * c.in + g * in + i)] *
                    w[static_cast<std::size_t>(at)];
              }
        });
      });
    });
  return result;
}

enum class ConvHow { direct, untuned, tuned };

class ConvCuda : public FloatCudaTest {
 protected:
  void check(const ConvCase& c, ConvHow how, ConvLibrary* library) {
    const Dtype type = GetParam();
    const int64_t taps = pixels(c, &ConvAxis::taps);
    const Floats x(type, random(c.batch * pixels(c, &ConvAxis::in) * c.in));
    const Floats w(type, random(c.in * c.out / c.groups * taps));
    const Floats bias(type, random(c.out));
    const int64_t count = c.batch * pixels(c, &ConvAxis::out) * c.out;
    const Floats residual(type, random(count)), y(type, count);
    ConvArgs args;
    args.type = type;
    args.transposed = c.transposed;
    args.batch = c.batch;
    args.groups = c.groups;
    args.in_channels = c.in;
    args.out_channels = c.out;
    std::copy(std::begin(c.axes), std::end(c.axes), args.axes);
    args.x = x.get();
    args.w = w.get();
    args.bias = c.bias ? bias.get() : nullptr;
    args.residual = c.residual ? residual.get() : nullptr;
    args.activation = c.activation;
    args.last = c.last;
    args.y = y.get();
    args.scratch_bytes = ConvLibrary::scratch(args);
    const DeviceArray scratch(args.scratch_bytes);
    args.scratch = scratch.get();
    if (how == ConvHow::direct) {
      conv_direct(args, nullptr);
    } else {
      if (how == ConvHow::tuned) library->tune(args, nullptr);
      library->conv(args, nullptr);
      std::cout << to_string(type) << ' ' << c.what << ": " << library->choice(args) << '\n';
    }
    std::vector<double> expected = sums(c, x.values, w.values);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::size_t channel = i % static_cast<std::size_t>(c.out);
      const double value = expected[i] + (c.bias ? bias.values[channel] : 0);
      expected[i] =
          activated(c.last, activated(c.activation, value) + (c.residual ? residual.values[i] : 0));
    }
    const double terms = static_cast<double>(taps * c.in / c.groups);
    // A result may be rounded before the rest is added to it, and sums of f32 are in any order.
    expect_near(y.read(), expected, 2 * rounding(type),
                rounding(type) * (type == Dtype::f32 ? 2 * terms : 4 + std::sqrt(terms)), c.what);
  }
};

TEST_P(ConvCuda, Direct) {
  for (const ConvCase& c : cases()) check(c, ConvHow::direct, nullptr);
}

class LibraryConvCuda : public ConvCuda {
 protected:
  void SetUp() override {
    ConvCuda::SetUp();
    if (IsSkipped()) return;
    try {
      cudnn::library();
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }

  void check_all(ConvHow how, ConvLibrary& library) {
    for (const ConvCase& c : cases()) {
      SCOPED_TRACE(c.what);
      EXPECT_NO_THROW(check(c, how, &library));
    }
  }

  static GemmLibrary& products() {
    static GemmLibrary products;
    return products;
  }
};

TEST_P(LibraryConvCuda, Untuned) {
  ConvLibrary library(products());
  check_all(ConvHow::untuned, library);
}

TEST_P(LibraryConvCuda, Tuned) {
  ConvLibrary library(products());
  check_all(ConvHow::tuned, library);
  const std::string measured = library.save();
  ConvLibrary other(products());
  EXPECT_GT(other.load(measured), 0);
  check_all(ConvHow::untuned, other);
  EXPECT_EQ(other.save(), measured) << "each plan is found again";
}

TERCEL_FLOAT_CUDA_SUITE(ConvCuda);
TERCEL_FLOAT_CUDA_SUITE(LibraryConvCuda);

}  // namespace
}  // namespace tercel::kernels::cuda

#include "src/kernels/cpu/conv_packed.h"

#include "src/base/half.h"
#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

using PackedConv = PerIsa;

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

int64_t pick(std::mt19937& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

void fill(PackedConvProblem& p, std::mt19937& random) {
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

void set_axis(ConvAxis& axis, int64_t in) {
  axis.in = in;
  const int64_t reach = (axis.taps - 1) * axis.dilation + 1;
  axis.out = (in + 2 * axis.pad - reach) / axis.stride + 1;
}

PackedConvProblem random_problem(std::mt19937& random, ConvMethod method) {
  PackedConvProblem p;
  PackedConvArgs& a = p.args;
  a.method = method;
  a.batch = pick(random, 1, 3);
  const bool winograd = method == ConvMethod::winograd2 || method == ConvMethod::winograd4;
  const bool depthwise = method == ConvMethod::depthwise;
  a.groups = winograd ? 1 : depthwise ? pick(random, 2, 40) : pick(random, 1, 2);
  a.in_channels = depthwise ? 1 : pick(random, 1, 40);
  a.out_channels = depthwise ? 1 : pick(random, 1, 70);
  a.planar = method == ConvMethod::product && a.groups == 1 && a.in_channels < 5;
  const int64_t rank = winograd ? 2 : pick(random, 1, 3);
  for (int64_t d = 3 - rank; d < 3; ++d) {
    ConvAxis& axis = a.axes[d];
    axis.taps = winograd ? 3 : pick(random, 1, 3);
    axis.stride = winograd ? 1 : pick(random, 1, 3);
    axis.dilation = winograd || a.planar ? 1 : pick(random, 1, 2);
    axis.pad = pick(random, 0, 2);
    set_axis(axis, (axis.taps - 1) * axis.dilation + 1 + pick(random, 0, rank == 3 ? 4 : 12));
  }
  fill(p, random);
  return p;
}

double expected_at(const PackedConvProblem& p, int64_t image, int64_t position, int64_t group,
                   int64_t m) {
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

std::vector<double> expected(const PackedConvProblem& p) {
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

std::vector<float> run(const PackedConvKernels& conv, const PackedConvProblem& p,
                       PackedConvArgs args, ThreadPool& pool) {
  const Memory packed(conv.packed_bytes(args));
  conv.pack(args, p.w.data(), static_cast<float*>(packed.get()), pool);
  const Memory workspace(conv.workspace(args, pool.size()));
  std::vector<float> y(static_cast<std::size_t>(p.outputs() / p.args.batch * args.batch), kNan);
  args.w = static_cast<const float*>(packed.get());
  args.workspace = workspace.get();
  args.y = y.data();
  conv.conv(args, pool);
  return y;
}

// The last item of the batch by itself.
PackedConvArgs last_item(const PackedConvProblem& p) {
  PackedConvArgs args = p.args;
  args.x += (args.batch - 1) * (static_cast<int64_t>(p.x.size()) / args.batch);
  if (args.residual != nullptr) args.residual += (args.batch - 1) * (p.outputs() / args.batch);
  args.batch = 1;
  return args;
}

// The greatest error relative to the greatest output.
double error_of(const std::vector<float>& got, const std::vector<double>& want) {
  double greatest = 1e-30;
  double error = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    greatest = std::max(greatest, std::abs(want[i]));
    error = std::max(error, std::abs(static_cast<double>(got[i]) - want[i]));
    if (std::isnan(got[i])) return 1;
  }
  return error / greatest;
}

constexpr ConvMethod kMethods[] = {ConvMethod::product, ConvMethod::depthwise,
                                   ConvMethod::winograd2, ConvMethod::winograd4};

TEST_P(PackedConv, AgreesWithThePlainLoop) {
  for (const ConvMethod method : kMethods) {
    for (int i = 0; i < 12; ++i) {
      const PackedConvProblem p = random_problem(random_, method);
      const std::vector<float> got = run(kernels_.packed_conv, p, p.args, three_);
      EXPECT_LT(error_of(got, expected(p)), 2e-6)
          << "method " << static_cast<int>(method) << ", case " << i;
    }
  }
}

TEST_P(PackedConv, ThreadsAndTheBatchChangeNoBit) {
  for (const ConvMethod method : kMethods) {
    for (int i = 0; i < 6; ++i) {
      const PackedConvProblem p = random_problem(random_, method);
      const auto all = run(kernels_.packed_conv, p, p.args, three_);
      const auto again = run(kernels_.packed_conv, p, p.args, one_);
      EXPECT_TRUE(same_bits(all.data(), again.data(), p.outputs())) << "case " << i;

      const auto alone = run(kernels_.packed_conv, p, last_item(p), three_);
      const int64_t item = p.outputs() / p.args.batch;
      EXPECT_TRUE(same_bits(alone.data(), all.data() + p.outputs() - item, item)) << "case " << i;
    }
  }
}

// What the header says of Winograd's error, on a layer of many channels.
TEST_P(PackedConv, WinogradIsNearlyAsExactAsASum) {
  PackedConvProblem p;
  p.args.batch = 1;
  p.args.in_channels = 256;
  p.args.out_channels = 32;
  for (int d = 1; d < 3; ++d) {
    p.args.axes[d].taps = 3;
    p.args.axes[d].pad = 1;
    set_axis(p.args.axes[d], 8);
  }
  fill(p, random_);
  const std::vector<double> want = expected(p);
  const auto error = [&](ConvMethod method) {
    p.args.method = method;
    return error_of(run(kernels_.packed_conv, p, p.args, one_), want);
  };
  const double product = error(ConvMethod::product);
  const double two = error(ConvMethod::winograd2);
  const double four = error(ConvMethod::winograd4);

  EXPECT_LT(two, 1e-6) << product;
  EXPECT_LT(four, 5e-6) << product << " " << two;
}

TEST_P(PackedConv, TransposesPlanes) {
  const std::vector<float> x = random_floats(random_, 2 * 19 * 37);
  std::vector<float> y(x.size(), kNan);
  kernels_.packed_conv.transpose(x.data(), 2, 19, 37, y.data(), three_);
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(y[i / 703 * 703 + i % 37 * 19 + i / 37 % 19], x[i]);
}

INSTANTIATE_TEST_SUITE_P(Isa, PackedConv, testing::ValuesIn(vector_isas()), isa_name);

// On machines that do not multiply bf16 there is nothing to test.
class ConvBf16 : public testing::TestWithParam<CpuIsa> {
 protected:
  // Products of factors that are bf16 already are exact.
  PackedConvProblem problem(int64_t in_channels, int64_t out_channels, int64_t size) {
    PackedConvProblem p;
    p.args.batch = pick(random_, 1, 3);
    p.args.in_channels = in_channels;
    p.args.out_channels = out_channels;
    for (int d = 1; d < 3; ++d) {
      ConvAxis& axis = p.args.axes[d];
      axis.taps = pick(random_, 1, 3);
      axis.stride = pick(random_, 1, 2);
      axis.dilation = pick(random_, 1, 2);
      axis.pad = pick(random_, 0, 2);
      set_axis(axis, (axis.taps - 1) * axis.dilation + 1 + pick(random_, 0, size));
    }
    fill(p, random_);
    for (auto* values : {&p.x, &p.w})
      for (float& value : *values) value = to_float(to_bf16(value));
    return p;
  }
  std::vector<float> run(const PackedConvProblem& p, PackedConvArgs args, ThreadPool& pool) {
    EXPECT_TRUE(kernels_.takes(args));
    const Memory packed(kernels_.packed_bytes(args));
    kernels_.pack(args, p.w.data(), packed.get(), pool);
    std::vector<float> y(static_cast<std::size_t>(p.outputs() / p.args.batch * args.batch), kNan);
    args.y = y.data();
    kernels_.conv(args, packed.get(), pool);
    return y;
  }

  const ConvBf16Kernels& kernels_ = *conv_bf16_kernels(GetParam());
  std::mt19937 random_{20250301};
  ThreadPool one_{1};
  ThreadPool three_{3};
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ConvBf16);

TEST_P(ConvBf16, AgreesWithThePlainLoop) {
  for (int i = 0; i < 24; ++i) {
    const PackedConvProblem p = problem(2 * pick(random_, 1, 40), pick(random_, 1, 70), 12);
    EXPECT_LT(error_of(run(p, p.args, three_), expected(p)), 2e-6) << "case " << i;
  }
  // Several blocks of K, several groups of panels, more tiles than a chunk has.
  for (int i = 0; i < 3; ++i) {
    const PackedConvProblem p = problem(2 * pick(random_, 100, 250), pick(random_, 250, 300), 16);
    EXPECT_LT(error_of(run(p, p.args, three_), expected(p)), 2e-6) << "large case " << i;
  }
}

TEST_P(ConvBf16, ThreadsAndTheBatchChangeNoBit) {
  for (int i = 0; i < 12; ++i) {
    const PackedConvProblem p = problem(2 * pick(random_, 1, 150), pick(random_, 1, 70), 12);
    const auto all = run(p, p.args, three_);
    const auto again = run(p, p.args, one_);
    EXPECT_TRUE(same_bits(all.data(), again.data(), p.outputs())) << "case " << i;
    const auto alone = run(p, last_item(p), three_);
    const int64_t item = p.outputs() / p.args.batch;
    EXPECT_TRUE(same_bits(alone.data(), all.data() + p.outputs() - item, item)) << "case " << i;
  }
}

TEST_P(ConvBf16, TakesOneGroupOfPairs) {
  EXPECT_TRUE(kernels_.takes({.in_channels = 4}));
  EXPECT_FALSE(kernels_.takes({.in_channels = 3}));
  EXPECT_FALSE(kernels_.takes({.groups = 2, .in_channels = 4}));
}

INSTANTIATE_TEST_SUITE_P(Isa, ConvBf16, testing::ValuesIn(bf16_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

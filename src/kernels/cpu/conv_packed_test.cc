#include "src/kernels/cpu/conv_packed.h"

#include "src/base/half.h"
#include "src/kernels/cpu/conv_test_support.h"

namespace tercel::kernels {
namespace {

using PackedConv = PerIsa;

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
  // Products of factors that are bf16 already are exact, but for Winograd's.
  PackedConvProblem problem(int64_t in_channels, int64_t out_channels, int64_t size,
                            bool winograd = false) {
    PackedConvProblem p;
    p.args.batch = pick(random_, 1, 3);
    p.args.in_channels = in_channels;
    p.args.out_channels = out_channels;
    for (int d = 1; d < 3; ++d) {
      ConvAxis& axis = p.args.axes[d];
      axis.taps = winograd ? 3 : pick(random_, 1, 3);
      axis.stride = winograd ? 1 : pick(random_, 1, 2);
      axis.dilation = winograd ? 1 : pick(random_, 1, 2);
      const bool may_be = d == 2 && axis.taps == 3 && p.args.axes[1].taps == 3;
      if (!winograd && may_be) axis.dilation = 2;  // not Winograd's
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
    const Memory workspace(kernels_.workspace(args, pool.size()));
    std::vector<float> y(static_cast<std::size_t>(p.outputs() / p.args.batch * args.batch), kNan);
    args.y = y.data();
    args.workspace = workspace.get();
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

// Rounding what is transformed costs at most a few times what rounding the factors does.
TEST_P(ConvBf16, WindowsOfThreeAreNear) {
  for (int i = 0; i < 16; ++i) {
    const PackedConvProblem p = problem(2 * pick(random_, 8, 60), pick(random_, 16, 90), 20, true);
    const auto all = run(p, p.args, three_);
    EXPECT_LT(error_of(all, expected(p)), 1e-2) << "case " << i;
    const auto again = run(p, p.args, one_);
    EXPECT_TRUE(same_bits(all.data(), again.data(), p.outputs())) << "case " << i;
    const auto alone = run(p, last_item(p), three_);
    const int64_t item = p.outputs() / p.args.batch;
    EXPECT_TRUE(same_bits(alone.data(), all.data() + p.outputs() - item, item)) << "case " << i;
  }
  const PackedConvProblem p = problem(790, 270, 16, true);  // several blocks of K
  EXPECT_LT(error_of(run(p, p.args, three_), expected(p)), 1e-2);
}

TEST_P(ConvBf16, TakesOneGroupOfPairs) {
  EXPECT_TRUE(kernels_.takes({.in_channels = 4}));
  EXPECT_FALSE(kernels_.takes({.in_channels = 3}));
  EXPECT_FALSE(kernels_.takes({.groups = 2, .in_channels = 4}));
}

INSTANTIATE_TEST_SUITE_P(Isa, ConvBf16, testing::ValuesIn(bf16_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

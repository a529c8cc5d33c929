#include "src/kernels/cpu/conv.h"

#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

using Conv = PerIsa;

struct ConvProblem {
  ConvArgs args;
  std::vector<float> x, w, bias, residual;
};

int64_t size_of(const ConvArgs& args, int64_t ConvAxis::*member) {
  return args.axes[0].*member * args.axes[1].*member * args.axes[2].*member;
}

ConvProblem random_problem(std::mt19937& random, bool depthwise) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  ConvProblem p;
  p.args.batch = pick(1, 3);
  p.args.groups = depthwise ? pick(2, 9) : pick(1, 3);
  p.args.in_channels = depthwise ? 1 : pick(1, 20);
  p.args.out_channels = depthwise ? pick(1, 2) : pick(1, 20);
  const int64_t rank = pick(1, 3);
  for (int64_t d = 3 - rank; d < 3; ++d) {
    ConvAxis& axis = p.args.axes[d];
    axis.taps = pick(1, 4);
    axis.stride = pick(1, 3);
    axis.dilation = pick(1, 2);
    axis.pad = pick(0, 3);
    const int64_t reach = (axis.taps - 1) * axis.dilation + 1;
    axis.in = reach + pick(0, rank == 1 ? 200 : rank == 2 ? 19 : 5);
    axis.out = (axis.in + 2 * axis.pad - reach) / axis.stride + 1;
    if (!depthwise && pick(0, 3) == 0) {
      axis.inflate = pick(2, 3);
      axis.stride = 1;
      axis.out = (axis.in - 1) * axis.inflate + 2;
    }
  }
  const int64_t planes = p.args.batch * p.args.groups;
  p.x = random_floats(random, planes * p.args.in_channels * size_of(p.args, &ConvAxis::in));
  p.w = random_floats(random, p.args.groups * p.args.out_channels * p.args.in_channels *
                                  size_of(p.args, &ConvAxis::taps));
  p.bias = random_floats(random, p.args.groups * p.args.out_channels);
  p.residual =
      random_floats(random, planes * p.args.out_channels * size_of(p.args, &ConvAxis::out));
  p.args.x = p.x.data();
  p.args.w = p.w.data();
  if (pick(0, 1) == 1) p.args.bias = p.bias.data();
  if (pick(0, 1) == 1) p.args.residual = p.residual.data();
  if (pick(0, 1) == 1) p.args.activation = Activation::relu;
  return p;
}

// The input's index that a tap sees; -1 for none.
int64_t seen(const ConvAxis& axis, int64_t out, int64_t tap) {
  const int64_t at = out * axis.stride - axis.pad + tap * axis.dilation;
  return at < 0 || at % axis.inflate != 0 || at / axis.inflate >= axis.in ? -1 : at / axis.inflate;
}

double sum_of(const ConvArgs& a, int64_t plane, int64_t m, int64_t position) {
  const ConvAxis* axes = a.axes;
  const int64_t taps = size_of(a, &ConvAxis::taps);
  double sum = 0;
  for (int64_t k = 0; k < a.in_channels * taps; ++k) {
    const int64_t x = seen(axes[2], position % axes[2].out, k % axes[2].taps);
    const int64_t y =
        seen(axes[1], position / axes[2].out % axes[1].out, k / axes[2].taps % axes[1].taps);
    const int64_t z = seen(axes[0], position / axes[2].out / axes[1].out,
                           k / axes[2].taps / axes[1].taps % axes[0].taps);
    if (x < 0 || y < 0 || z < 0) continue;
    const int64_t channel = plane * a.in_channels + k / taps;
    const int64_t at = ((channel * axes[0].in + z) * axes[1].in + y) * axes[2].in + x;
    const int64_t row = plane % a.groups * a.out_channels + m;
    sum += static_cast<double>(a.x[at]) * static_cast<double>(a.w[row * a.in_channels * taps + k]);
  }
  return sum;
}

std::vector<double> expected(const ConvArgs& a) {
  std::vector<double> result;
  for (int64_t plane = 0; plane < a.batch * a.groups; ++plane) {
    for (int64_t m = 0; m < a.out_channels; ++m) {
      for (int64_t i = 0; i < size_of(a, &ConvAxis::out); ++i) {
        double y = sum_of(a, plane, m, i);
        if (a.bias != nullptr)
          y += static_cast<double>(a.bias[plane % a.groups * a.out_channels + m]);
        if (a.activation == Activation::relu) y = std::max(y, 0.0);
        if (a.residual != nullptr) y += static_cast<double>(a.residual[result.size()]);
        result.push_back(y);
      }
    }
  }
  return result;
}

std::vector<float> run(const ConvKernels& conv, ConvArgs args, std::size_t size, ThreadPool& pool) {
  std::vector<float> y(size, kNan);
  const Memory workspace(conv.workspace(pool.size()));
  args.y = y.data();
  args.workspace = workspace.get();
  conv.conv(args, pool);
  return y;
}

TEST_P(Conv, AgreesWithThePlainLoop) {
  for (int i = 0; i < 40; ++i) {
    const ConvProblem p = random_problem(random_, i % 3 == 0);
    const std::vector<double> want = expected(p.args);
    const std::vector<float> got = run(kernels_.conv, p.args, want.size(), three_);
    for (std::size_t j = 0; j < want.size(); ++j)
      ASSERT_NEAR(static_cast<double>(got[j]), want[j], 1e-4) << "case " << i << ", element " << j;
  }
}

TEST_P(Conv, ThreadsAndTheBatchChangeNoBit) {
  for (int i = 0; i < 20; ++i) {
    const ConvProblem p = random_problem(random_, i % 2 == 0);
    const auto size = static_cast<int64_t>(p.residual.size());
    const std::vector<float> all = run(kernels_.conv, p.args, p.residual.size(), three_);
    const std::vector<float> again = run(kernels_.conv, p.args, p.residual.size(), one_);
    EXPECT_TRUE(same_bits(all.data(), again.data(), size)) << "case " << i;

    ConvArgs last = p.args;
    const int64_t item = size / p.args.batch;
    last.batch = 1;
    last.x += (p.args.batch - 1) * (static_cast<int64_t>(p.x.size()) / p.args.batch);
    if (last.residual != nullptr) last.residual += size - item;
    const std::vector<float> alone =
        run(kernels_.conv, last, static_cast<std::size_t>(item), three_);
    EXPECT_TRUE(same_bits(alone.data(), all.data() + size - item, item)) << "case " << i;
  }
}

TEST_P(Conv, TakesNothing) {
  ConvArgs args{.batch = 0, .groups = 1, .in_channels = 3, .out_channels = 4};
  kernels_.conv.conv(args, three_);
  args.batch = 1;
  args.axes[2].out = 0;
  kernels_.conv.conv(args, three_);
}

INSTANTIATE_TEST_SUITE_P(Isa, Conv, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

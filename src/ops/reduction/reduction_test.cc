#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

struct Fold {
  const char* name;
  double start;
  double (*step)(double sum, double x);
  double (*finish)(double sum, double count);
};

double same(double sum, double) { return sum; }

constexpr Fold kFolds[] = {
    {"ReduceSum", 0, [](double s, double x) { return s + x; }, same},
    {"ReduceMean", 0, [](double s, double x) { return s + x; },
     [](double s, double n) { return s / n; }},
    {"ReduceMax", -1e300, [](double s, double x) { return std::max(s, x); }, same},
    {"ReduceMin", 1e300, [](double s, double x) { return std::min(s, x); }, same},
    {"ReduceProd", 1, [](double s, double x) { return s * x; }, same},
    {"ReduceL1", 0, [](double s, double x) { return s + std::abs(x); }, same},
    {"ReduceL2", 0, [](double s, double x) { return s + x * x; },
     [](double s, double) { return std::sqrt(s); }},
    {"ReduceSumSquare", 0, [](double s, double x) { return s + x * x; }, same},
    {"ReduceLogSumExp", 0, [](double s, double x) { return s + std::exp(x); },
     [](double s, double) { return std::log(s); }},
    {"ReduceLogSum", 0, [](double s, double x) { return s + x; },
     [](double s, double) { return std::log(s); }},
};

// Over the axes whose bit is set, of a shape of rank 4.
std::vector<double> oracle(const Fold& fold, const Tensor& x, unsigned axes) {
  const auto values = to_doubles(x);
  std::vector<double> sums;
  std::vector<double> counts;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::size_t rest = i;
    std::size_t at = 0;
    std::size_t stride = 1;
    for (std::size_t d = 4; d-- > 0;) {
      const auto size = static_cast<std::size_t>(x.shape()[d]);
      if ((axes >> d & 1U) == 0) {
        at += rest % size * stride;
        stride *= size;
      }
      rest /= size;
    }
    if (sums.size() < stride) {
      sums.resize(stride, fold.start);
      counts.resize(stride, 0);
    }
    sums[at] = fold.step(sums[at], values[i]);
    ++counts[at];
  }
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = fold.finish(sums[i], counts[i]);
  return sums;
}

TEST(Reduce, EverySetOfAxesAndType) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::bf16}) {
    const Tensor x = random_tensor(dtype, {3, 4, 5, 7}, 9);
    const double tolerance = dtype == Dtype::f32   ? 1e-5
                             : dtype == Dtype::f64 ? 1e-12
                             : dtype == Dtype::f16 ? 2e-3
                                                   : 1e-2;
    for (const Fold& fold : kFolds) {
      for (unsigned axes = 1; axes < 16; ++axes) {
        std::vector<int64_t> list;
        for (int64_t d = 0; d < 4; ++d) {
          if ((axes >> d & 1U) != 0) list.push_back(d % 2 == 0 ? d : d - 4);
        }
        RunOptions options;
        options.constant = {1};
        const auto count = static_cast<int64_t>(list.size());
        const Tensor y = run_op_with(options, fold.name, {x, Tensor::from(list, {count})},
                                     {{"keepdims", int64_t{axes % 2}}})
                             .outputs[0];
        EXPECT_EQ(y.rank(), axes % 2 != 0 ? 4 : 4 - static_cast<int>(count));
        EXPECT_LE(distance(y, oracle(fold, x, axes)), tolerance)
            << fold.name << ' ' << axes << ' ' << to_string(dtype);
      }
    }
  }
}

TEST(Reduce, Integers) {
  const Tensor x = Tensor::from<int32_t>({-3, 5, 4, 1}, {2, 2});
  EXPECT_EQ(to_doubles(run_op("ReduceSum", {x})[0]), (std::vector<double>{7}));
  EXPECT_EQ(to_doubles(run_op("ReduceL1", {x})[0]), (std::vector<double>{13}));
  EXPECT_EQ(to_doubles(run_op("ReduceMax", {Tensor::from({false, true}, {2})})[0]),
            (std::vector<double>{1}));
}

TEST(Reduce, NoAxesMeansAllOrNone) {
  const Tensor x = Tensor::from({-1.0F, 2.0F}, {2});
  EXPECT_EQ(to_doubles(run_op("ReduceSum", {x})[0]), (std::vector<double>{1}));
  const std::vector<ir::Builder::Attr> noop{{"noop_with_empty_axes", int64_t{1}}};
  EXPECT_EQ(to_doubles(run_op("ReduceSum", {x}, noop)[0]), (std::vector<double>{-1, 2}));
  EXPECT_EQ(to_doubles(run_op("ReduceSumSquare", {x}, noop)[0]), (std::vector<double>{1, 4}));
}

TEST(Reduce, EmptySetsGiveTheNeutralElement) {
  RunOptions options;
  options.constant = {1};
  const Tensor x(Dtype::f32, {2, 0});
  const Tensor axis = Tensor::from<int64_t>({1}, {1});
  EXPECT_EQ(to_doubles(run_op_with(options, "ReduceSum", {x, axis}).outputs[0]),
            (std::vector<double>{0, 0}));
  EXPECT_EQ(to_doubles(run_op_with(options, "ReduceLogSum", {x, axis}).outputs[0]),
            (std::vector<double>(2, -std::numeric_limits<double>::infinity())));
}

TEST(Reduce, ShapeInferenceWithoutTheAxes) {
  const ir::Type data = ir::Type::tensor(Dtype::f32, {2, ir::Dim("n"), 4});
  const ir::Type axes = ir::Type::tensor(Dtype::i64, {2});
  EXPECT_EQ(infer_op("ReduceSum", {data, axes})[0].rank(), 3);
  EXPECT_EQ(infer_op("ReduceSum", {data, axes}, {{"keepdims", int64_t{0}}})[0].rank(), 1);
}

TEST(Arg, TiesAxesAndNan) {
  const Tensor x = Tensor::from({1.0F, 3.0F, 3.0F, 2.0F, 0.0F, 0.0F}, {2, 3});
  EXPECT_EQ(to_doubles(run_op("ArgMax", {x}, {{"axis", int64_t{1}}})[0]),
            (std::vector<double>{1, 0}));
  EXPECT_EQ(to_doubles(run_op("ArgMax", {x},
                              {{"axis", int64_t{-1}}, {"select_last_index", int64_t{1}}})[0]),
            (std::vector<double>{2, 0}));
  EXPECT_EQ(to_doubles(run_op("ArgMin", {x}, {{"keepdims", int64_t{0}}})[0]),
            (std::vector<double>{0, 1, 1}));
}

}  // namespace
}  // namespace tercel::ops

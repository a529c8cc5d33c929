#include <cmath>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Ints = std::vector<int64_t>;
using Attrs = std::vector<ir::Builder::Attr>;

Tensor counting_of(const Shape& shape, Dtype dtype = Dtype::f32) {
  std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i + 1);
  return from_doubles(values, dtype, shape);
}

TEST(Pool, Literals) {
  const Tensor x = counting_of({1, 1, 4, 4});
  const Attrs two{{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}};
  const auto max = run_op("MaxPool", {x}, two, 2);
  EXPECT_EQ(to_doubles(max[0]), (std::vector<double>{6, 8, 14, 16}));
  EXPECT_EQ(to_doubles(max[1]), (std::vector<double>{5, 7, 13, 15}));
  EXPECT_EQ(to_doubles(run_op("AveragePool", {x}, two)[0]),
            (std::vector<double>{3.5, 5.5, 11.5, 13.5}));
  const auto lp =
      run_op("LpPool", {Tensor::from({3.0F, -4.0F}, {1, 1, 2})}, {{"kernel_shape", Ints{2}}})[0];
  EXPECT_NEAR(to_doubles(lp)[0], 5, 1e-6);
  EXPECT_NEAR(to_doubles(run_op("GlobalLpPool", {Tensor::from({3.0F, -4.0F}, {1, 1, 2})})[0])[0], 5,
              1e-6);
}

TEST(Pool, CountsWhatItAverages) {
  const Tensor x = counting_of({1, 1, 3});
  const Attrs padded{{"kernel_shape", Ints{3}}, {"pads", Ints{1, 1}}};
  EXPECT_EQ(to_doubles(run_op("AveragePool", {x}, padded)[0]), (std::vector<double>{1.5, 2, 2.5}));
  Attrs included = padded;
  included.push_back({"count_include_pad", int64_t{1}});
  EXPECT_LE(distance(run_op("AveragePool", {x}, included)[0], {1, 2, 5.0 / 3}), 1e-6);
  // What hangs over the end by ceil_mode is never counted.
  const Attrs ceil{{"kernel_shape", Ints{2}},
                   {"strides", Ints{2}},
                   {"ceil_mode", int64_t{1}},
                   {"count_include_pad", int64_t{1}}};
  EXPECT_EQ(to_doubles(run_op("AveragePool", {x}, ceil)[0]), (std::vector<double>{1.5, 3}));
}

TEST(Pool, MaximaOfEveryTypeAgreeWithThePlainLoop) {
  const Attrs attributes{{"kernel_shape", Ints{3, 2}},
                         {"strides", Ints{2, 1}},
                         {"dilations", Ints{1, 2}},
                         {"pads", Ints{1, 0, 1, 1}}};
  for (const Dtype dtype :
       {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::bf16, Dtype::i8, Dtype::u8}) {
    const Tensor x = random_tensor(dtype, {2, 3, 7, 9}, 5);
    const auto values = to_doubles(x);
    const auto got = run_op("MaxPool", {x}, attributes, 2);
    ASSERT_EQ(got[0].shape(), (Shape{2, 3, 4, 8}));
    const auto plain = run_op("MaxPool", {x}, attributes)[0];
    EXPECT_TRUE(same_bits(plain, got[0]));
    const auto maxima = to_doubles(got[0]);
    const auto places = to_doubles(got[1]);
    for (std::size_t i = 0; i < maxima.size(); ++i) {
      double best = -INFINITY;
      const auto plane = static_cast<int64_t>(i) / 32;
      for (int64_t ky = 0; ky < 3; ++ky) {
        for (int64_t kx = 0; kx < 2; ++kx) {
          const int64_t y = static_cast<int64_t>(i) / 8 % 4 * 2 - 1 + ky;
          const int64_t column = static_cast<int64_t>(i) % 8 + 2 * kx;
          if (y < 0 || y >= 7 || column >= 9) continue;
          best = std::max(best, values[static_cast<std::size_t>((plane * 7 + y) * 9 + column)]);
        }
      }
      EXPECT_EQ(maxima[i], best);
      EXPECT_EQ(values[static_cast<std::size_t>(places[i])], best);
    }
  }
}

TEST(Pool, NanIsTheMaximum) {
  const Tensor x = Tensor::from({1.0F, NAN, 2.0F, 3.0F}, {1, 1, 4});
  const auto y = to_doubles(run_op("MaxPool", {x}, {{"kernel_shape", Ints{2}}})[0]);
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  EXPECT_EQ(y[2], 3);
}

TEST(Pool, UnpoolPutsBack) {
  const Tensor x = Tensor::from({5.0F, 6.0F, 7.0F, 8.0F}, {1, 1, 2, 2});
  const Tensor places = Tensor::from<int64_t>({5, 7, 13, 15}, {1, 1, 2, 2});
  const Attrs attributes{{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}};
  const auto y = to_doubles(run_op("MaxUnpool", {x, places}, attributes)[0]);
  EXPECT_EQ(y, (std::vector<double>{0, 0, 0, 0, 0, 5, 0, 6, 0, 0, 0, 0, 0, 7, 0, 8}));
  RunOptions constant;
  constant.constant = {2};
  const Tensor shape = Tensor::from<int64_t>({1, 1, 5, 5}, {4});
  const auto wide =
      to_doubles(run_op_with(constant, "MaxUnpool", {x, places, shape}, attributes).outputs[0]);
  EXPECT_EQ(wide[6], 5);
  EXPECT_EQ(wide[8], 6);
  EXPECT_EQ(wide[18], 8);
  EXPECT_THROW(
      run_op("MaxUnpool", {x, Tensor::from<int64_t>({5, 7, 13, 16}, {1, 1, 2, 2})}, attributes),
      Error);
}

TEST(Pool, GreatWindowsTakeNoLongerThanTheirInput) {
  const Tensor x = counting_of({1, 1, 5, 5});
  const int64_t great = int64_t{1} << 40;
  const Attrs attributes{{"kernel_shape", Ints{great, great}},
                         {"pads", Ints{great - 3, great - 3, 0, 0}}};
  EXPECT_EQ(to_doubles(run_op("MaxPool", {x}, attributes)[0]).back(), 25);
  EXPECT_EQ(to_doubles(run_op("AveragePool", {x}, attributes)[0]).back(), 13);
}

TEST(Pool, EmptyOnesAndRefusals) {
  const Attrs three{{"kernel_shape", Ints{3}}};
  EXPECT_EQ(run_op("MaxPool", {Tensor(Dtype::f32, {0, 2, 5})}, three)[0].shape(), (Shape{0, 2, 3}));
  EXPECT_EQ(run_op("AveragePool", {Tensor(Dtype::f32, {2, 0, 5})}, three)[0].shape(),
            (Shape{2, 0, 3}));
  const Tensor x = counting_of({1, 1, 5});
  EXPECT_THROW(run_op("MaxPool", {x}, {{"kernel_shape", Ints{6}}}), Error);
  EXPECT_THROW(run_op("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}}), Error);
  EXPECT_THROW(run_op("MaxPool", {x}, {{"kernel_shape", Ints{0}}}), Error);
  EXPECT_THROW(run_op("MaxPool", {x}, {{"kernel_shape", Ints{2}}, {"auto_pad", std::string("X")}}),
               Error);
  EXPECT_THROW(run_op("MaxPool", {x}), Error);
  EXPECT_THROW(run_op("LpPool", {x}, {{"kernel_shape", Ints{2}}, {"p", int64_t{0}}}), Error);
  EXPECT_THROW(run_op("LRN", {x}, {{"size", int64_t{0}}}), Error);
}

TEST(Pool, ResponseNormalisation) {
  const Tensor x = random_tensor(Dtype::f32, {2, 7, 300}, 3);
  const auto values = to_doubles(x);
  std::vector<double> expected;
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t channel = i / 300 % 7;
    double sum = 0;
    for (int64_t c = std::max<int64_t>(0, channel - 1); c <= std::min<int64_t>(6, channel + 2); ++c)
      sum += std::pow(values[static_cast<std::size_t>(i + (c - channel) * 300)], 2);
    expected.push_back(values[static_cast<std::size_t>(i)] / std::pow(2 + 0.5 / 4 * sum, 0.6));
  }
  const Attrs attributes{{"size", int64_t{4}}, {"alpha", 0.5F}, {"beta", 0.6F}, {"bias", 2.0F}};
  EXPECT_LE(distance(run_op("LRN", {x}, attributes)[0], expected), 1e-6);
}

}  // namespace
}  // namespace tercel::ops

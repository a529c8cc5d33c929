#include <cmath>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Attrs = std::vector<ir::Builder::Attr>;

OpRun resize(const Tensor& x, const Tensor& scales, const Tensor& sizes, const Attrs& attributes,
             const Tensor& roi = {}) {
  RunOptions options;
  options.constant = {1, 2, 3};
  std::vector<Tensor> inputs{x, roi, scales};
  if (sizes.defined()) inputs.push_back(sizes);
  return run_op_with(options, "Resize", inputs, attributes);
}

Tensor scales(std::initializer_list<float> values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}
Tensor sizes(std::initializer_list<int64_t> values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

const std::string kLinear = "linear";
const std::string kCubic = "cubic";

TEST(Resize, Literals) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F}, {1, 1, 2, 2});
  const auto nearest = resize(x, scales({1, 1, 2, 2}), {}, {});
  EXPECT_EQ(nearest.implementation, "resize_nearest");
  EXPECT_EQ(to_doubles(nearest.outputs[0]),
            (std::vector<double>{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}));
  const Tensor line = Tensor::from({1.0F, 2.0F, 4.0F}, {3});
  EXPECT_LE(distance(resize(line, scales({2}), {}, {{"mode", kLinear}}).outputs[0],
                     {1, 1.25, 1.75, 2.5, 3.5, 4}),
            1e-6);
  const Attrs corners{{"mode", kLinear},
                      {"coordinate_transformation_mode", std::string("align_corners")}};
  EXPECT_LE(distance(resize(line, {}, sizes({5}), corners).outputs[0], {1, 1.5, 2, 3, 4}), 1e-6);
  const Attrs crop{{"mode", kLinear},
                   {"coordinate_transformation_mode", std::string("tf_crop_and_resize")},
                   {"extrapolation_value", 9.0F}};
  const Tensor roi = Tensor::from({0.5F, 1.5F}, {2});
  EXPECT_LE(distance(resize(line, {}, sizes({3}), crop, roi).outputs[0], {2, 4, 9}), 1e-6);
}

TEST(Resize, KeepsTheAspectRatio) {
  const Tensor x(Dtype::f32, {1, 1, 6, 9});
  for (float& value : Tensor(x).values<float>()) value = 1;
  const auto shape = [&](const std::string& policy) {
    return resize(x, {}, sizes({4, 3}),
                  {{"axes", std::vector<int64_t>{2, 3}}, {"keep_aspect_ratio_policy", policy}})
        .outputs[0]
        .shape();
  };
  EXPECT_EQ(shape("stretch"), (Shape{1, 1, 4, 3}));
  EXPECT_EQ(shape("not_larger"), (Shape{1, 1, 2, 3}));
  EXPECT_EQ(shape("not_smaller"), (Shape{1, 1, 4, 6}));
}

TEST(Resize, WeightsOfAConstantGiveTheConstant) {
  Tensor x(Dtype::f32, {2, 3, 7, 5});
  for (float& value : x.values<float>()) value = 3;
  for (const std::string& mode : {kLinear, kCubic}) {
    for (const int64_t antialias : {0, 1}) {
      for (const int64_t exclude : {0, 1}) {
        const auto y =
            resize(x, {}, sizes({2, 3, 3, 11}),
                   {{"mode", mode}, {"antialias", antialias}, {"exclude_outside", exclude}})
                .outputs[0];
        EXPECT_LE(distance(y, std::vector<double>(2 * 3 * 3 * 11, 3)), 1e-6);
      }
    }
  }
}

TEST(Resize, ScalesOfTheRunAndEveryElementType) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::u8, Dtype::i64, Dtype::boolean}) {
    const Tensor x = random_tensor(dtype, {2, 3}, 1);
    const Tensor y = run_op("Resize", {x, Tensor(), scales({1, 2})})[0];
    const auto values = to_doubles(x);
    std::vector<double> expected;
    for (const double value : values) expected.insert(expected.end(), {value, value});
    EXPECT_EQ(to_doubles(y), expected);
  }
}

TEST(Resize, EmptyOnesAndRefusals) {
  const Tensor x(Dtype::f32, {1, 0, 2});
  EXPECT_EQ(resize(x, scales({1, 1, 3}), {}, {}).outputs[0].shape(), (Shape{1, 0, 6}));
  const Tensor line = Tensor::from({1.0F, 2.0F}, {2});
  EXPECT_THROW(resize(x, {}, sizes({1, 1, 2}), {}), Error);
  EXPECT_THROW(resize(line, scales({0}), {}, {}), Error);
  EXPECT_THROW(resize(line, scales({NAN}), {}, {}), Error);
  EXPECT_THROW(resize(line, scales({1e30F}), {}, {}), Error);
  EXPECT_THROW(resize(line, scales({1, 1}), {}, {}), Error);
  EXPECT_THROW(resize(line, scales({1}), sizes({2}), {}), Error);
  EXPECT_THROW(resize(line, {}, sizes({-1}), {}), Error);
  EXPECT_THROW(resize(line, {}, {}, {}), Error);
  EXPECT_THROW(resize(line, scales({1}), {}, {{"mode", std::string("best")}}), Error);
}

TEST(Grid, SamplesAtPixelsAndBetween) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F}, {1, 1, 2, 2});
  // Corners, the middle, and a place outside.
  const Tensor grid =
      Tensor::from({-1.0F, -1.0F, 1.0F, -1.0F, 0.0F, 0.0F, 5.0F, 0.0F, NAN, 0.0F}, {1, 1, 5, 2});
  const auto run = [&](const std::string& mode, const std::string& padding) {
    return to_doubles(
        run_op("GridSample", {x, grid},
               {{"mode", mode}, {"padding_mode", padding}, {"align_corners", int64_t{1}}})[0]);
  };
  EXPECT_EQ(run("linear", "zeros"), (std::vector<double>{1, 2, 2.5, 0, 0}));
  EXPECT_EQ(run("linear", "border"), (std::vector<double>{1, 2, 2.5, 3, 2}));
  EXPECT_EQ(run("nearest", "zeros")[1], 2);
  EXPECT_EQ(run("cubic", "border")[0], 1);
  EXPECT_THROW(run("best", "zeros"), Error);
  EXPECT_THROW(run_op("GridSample", {x, Tensor(Dtype::f32, {1, 1, 5, 3})}), Error);
  EXPECT_EQ(
      run_op("GridSample", {Tensor(Dtype::f32, {0, 1, 2, 2}), Tensor(Dtype::f32, {0, 3, 3, 2})})[0]
          .shape(),
      (Shape{0, 1, 3, 3}));
}

TEST(Grid, TheIdentityGivesThePlaces) {
  RunOptions options;
  options.constant = {1};
  const Tensor theta = Tensor::from({1.0F, 0.0F, 0.0F, 0.0F, 1.0F, 0.0F}, {1, 2, 3});
  const auto y = run_op_with(options, "AffineGrid", {theta, sizes({1, 1, 1, 3})},
                             {{"align_corners", int64_t{1}}})
                     .outputs[0];
  ASSERT_EQ(y.shape(), (Shape{1, 1, 3, 2}));
  EXPECT_LE(distance(y, {-1, -1, 0, -1, 1, -1}), 1e-6);
  EXPECT_THROW(run_op_with(options, "AffineGrid", {theta, sizes({2, 1, 1, 3})}), Error);
}

TEST(Regions, AlignTakesMeansAndRefusesWhatIsEndless) {
  Tensor x(Dtype::f32, {1, 1, 4, 4});
  for (float& value : x.values<float>()) value = 2;
  const Tensor batch = sizes({0});
  const auto run = [&](float end) {
    return run_op("RoiAlign", {x, Tensor::from({0.0F, 0.0F, end, end}, {1, 4}), batch},
                  {{"output_height", int64_t{2}}, {"output_width", int64_t{2}}})[0];
  };
  EXPECT_LE(distance(run(3), {2, 2, 2, 2}), 1e-6);
  EXPECT_THROW(run(1e20F), Error);
  EXPECT_THROW(run(NAN), Error);
  EXPECT_THROW(run_op("RoiAlign", {x, Tensor::from({0.0F, 0.0F, 1.0F, 1.0F}, {1, 4}), sizes({1})}),
               Error);
  const Tensor pooled =
      run_op("MaxRoiPool", {x, Tensor::from({0.0F, 0.0F, 0.0F, 3.0F, 3.0F}, {1, 5})},
             {{"pooled_shape", std::vector<int64_t>{1, 1}}})[0];
  EXPECT_EQ(to_doubles(pooled), std::vector<double>{2});
}

TEST(Regions, SuppressionKeepsTheBest) {
  const Tensor boxes = Tensor::from(
      {0.0F, 0.0F, 1.0F, 1.0F, 0.0F, 0.1F, 1.0F, 1.1F, 0.0F, 10.0F, 1.0F, 11.0F}, {1, 3, 4});
  const Tensor scores = Tensor::from({0.9F, 0.95F, 0.5F}, {1, 1, 3});
  const auto run = [&](int64_t most, float overlap, float least) {
    return to_doubles(
        run_op("NonMaxSuppression", {boxes, scores, sizes({most}), Tensor::from({overlap}, {1}),
                                     Tensor::from({least}, {1})})[0]);
  };
  EXPECT_EQ(run(3, 0.5F, 0), (std::vector<double>{0, 0, 1, 0, 0, 2}));
  EXPECT_EQ(run(3, 0.5F, 0.6F), (std::vector<double>{0, 0, 1}));
  EXPECT_EQ(run(3, 0.99F, 0).size(), 9U);
  EXPECT_EQ(run(0, 0.5F, 0).size(), 0U);
}

}  // namespace
}  // namespace tercel::ops

// ReverseSequence, Unique, CenterCropPad, TensorScatter, BitCast.
#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

TEST(Arrange, ReversesEachSequence) {
  const Tensor x = Tensor::from({0.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F}, {3, 2});
  EXPECT_EQ(to_doubles(run_op("ReverseSequence", {x, ints({2, 3})})[0]),
            (std::vector<double>{2, 5, 0, 3, 4, 1}));
  const std::vector<ir::Builder::Attr> rows{{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}};
  EXPECT_EQ(to_doubles(run_op("ReverseSequence", {x, ints({2, 0, 1})}, rows)[0]),
            (std::vector<double>{1, 0, 2, 3, 4, 5}));
  EXPECT_THROW(run_op("ReverseSequence", {x, ints({2, 4})}), Error);
  EXPECT_THROW(run_op("ReverseSequence", {x, ints({2})}), Error);
  EXPECT_THROW(run_op("ReverseSequence", {x, ints({2, 3})}, {{"time_axis", int64_t{1}}}), Error);
}

TEST(Arrange, FindsWhatIsUnique) {
  const Tensor x = Tensor::from({2.0F, 1.0F, 1.0F, 3.0F, 4.0F, 3.0F}, {6});
  const auto sorted = run_op("Unique", {x}, {}, 4);
  EXPECT_EQ(to_doubles(sorted[0]), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(to_doubles(sorted[1]), (std::vector<double>{1, 0, 3, 4}));
  EXPECT_EQ(to_doubles(sorted[2]), (std::vector<double>{1, 0, 0, 2, 3, 2}));
  EXPECT_EQ(to_doubles(sorted[3]), (std::vector<double>{2, 1, 2, 1}));
  const auto as_met = run_op("Unique", {x}, {{"sorted", int64_t{0}}}, 4);
  EXPECT_EQ(to_doubles(as_met[0]), (std::vector<double>{2, 1, 3, 4}));
  EXPECT_EQ(to_doubles(as_met[2]), (std::vector<double>{0, 1, 1, 2, 3, 2}));
  const Tensor rows = Tensor::from({1.0F, 0.0F, 1.0F, 0.0F, 2.0F, 3.0F}, {3, 2});
  EXPECT_EQ(run_op("Unique", {rows}, {{"axis", int64_t{0}}})[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(run_op("Unique", {Tensor(Dtype::f32, {0})})[0].shape(), (Shape{0}));
  const auto words = run_op("Unique", {Tensor::from_strings({"b", "a", "b"}, {3})})[0];
  EXPECT_EQ(words.strings()[0], "a");
  EXPECT_EQ(words.size(), 2);
}

TEST(Arrange, CropsAndPadsAroundTheMiddle) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {2, 3});
  RunOptions options;
  options.constant = {1};
  const auto run = [&](std::initializer_list<int64_t> shape) {
    return to_doubles(run_op_with(options, "CenterCropPad", {x, ints(shape)}).outputs[0]);
  };
  EXPECT_EQ(run({1, 2}), (std::vector<double>{1, 2}));
  EXPECT_EQ(run({3, 1}), (std::vector<double>{2, 5, 0}));
  EXPECT_EQ(run({0, 1}), std::vector<double>{});
  EXPECT_THROW(run({1}), Error);
  EXPECT_THROW(run({1, -2}), Error);
}

TEST(Arrange, ScattersIntoACache) {
  const Tensor cache = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F, 7.0F, 8.0F}, {2, 4, 1});
  const Tensor update = Tensor::from({-1.0F, -2.0F, -3.0F, -4.0F}, {2, 2, 1});
  EXPECT_EQ(to_doubles(run_op("TensorScatter", {cache, update, ints({0, 2})})[0]),
            (std::vector<double>{-1, -2, 3, 4, 5, 6, -3, -4}));
  EXPECT_EQ(to_doubles(run_op("TensorScatter", {cache, update, ints({3, 0})},
                              {{"mode", std::string("circular")}})[0]),
            (std::vector<double>{-2, 2, 3, -1, -3, -4, 7, 8}));
  EXPECT_THROW(run_op("TensorScatter", {cache, update, ints({3, 0})}), Error);
  EXPECT_THROW(run_op("TensorScatter", {cache, update, ints({-1, 0})}), Error);
  EXPECT_THROW(run_op("TensorScatter", {update, cache}), Error);
}

TEST(Arrange, CastsBits) {
  const Tensor x = Tensor::from({1.0F, -2.0F}, {2});
  const auto to = static_cast<int64_t>(Dtype::i32);
  const Tensor bits = run_op("BitCast", {x}, {{"to", to}})[0];
  EXPECT_EQ(bits.values<int32_t>()[0], 0x3f800000);
  EXPECT_TRUE(
      same_bits(run_op("BitCast", {bits}, {{"to", static_cast<int64_t>(Dtype::f32)}})[0], x));
  EXPECT_THROW(run_op("BitCast", {x}, {{"to", static_cast<int64_t>(Dtype::f64)}}), Error);
  EXPECT_THROW(run_op("BitCast", {x}, {{"to", static_cast<int64_t>(Dtype::string)}}), Error);
}

}  // namespace
}  // namespace tercel::ops

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Bits = std::vector<double>;

TEST(Logical, ComparesEveryKind) {
  const Tensor a = Tensor::from<int64_t>({-1, 2, 3}, {3});
  const Tensor b = Tensor::from<int64_t>({2}, {1});
  EXPECT_EQ(to_doubles(run_op("Less", {a, b})[0]), (Bits{1, 0, 0}));
  EXPECT_EQ(to_doubles(run_op("LessOrEqual", {a, b})[0]), (Bits{1, 1, 0}));
  EXPECT_EQ(to_doubles(run_op("Greater", {a, b})[0]), (Bits{0, 0, 1}));
  EXPECT_EQ(to_doubles(run_op("GreaterOrEqual", {a, b})[0]), (Bits{0, 1, 1}));
  EXPECT_EQ(to_doubles(run_op("Equal", {a, b})[0]), (Bits{0, 1, 0}));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(to_doubles(run_op("Equal", {Tensor::from({nan, 1.0F}, {2}), Tensor::scalar(1.0F)})[0]),
            (Bits{0, 1}));
  const Tensor large = Tensor::scalar<uint64_t>(UINT64_MAX);
  EXPECT_EQ(to_doubles(run_op("Greater", {large, Tensor::scalar<uint64_t>(1)})[0]), (Bits{1}));
  EXPECT_EQ(to_doubles(run_op("Equal", {Tensor::from_strings({"a", "b"}, {2}),
                                        Tensor::from_strings({"b"}, {})})[0]),
            (Bits{0, 1}));
}

TEST(Logical, Booleans) {
  const Tensor a = Tensor::from({false, false, true, true}, {4});
  const Tensor b = Tensor::from({false, true, false, true}, {4});
  EXPECT_EQ(to_doubles(run_op("And", {a, b})[0]), (Bits{0, 0, 0, 1}));
  EXPECT_EQ(to_doubles(run_op("Or", {a, b})[0]), (Bits{0, 1, 1, 1}));
  EXPECT_EQ(to_doubles(run_op("Xor", {a, b})[0]), (Bits{0, 1, 1, 0}));
  EXPECT_EQ(to_doubles(run_op("Not", {a})[0]), (Bits{1, 1, 0, 0}));
  EXPECT_THROW(run_op("And", {Tensor::scalar(1.0F), Tensor::scalar(1.0F)}), Error);
}

TEST(Logical, NanAndInfinity) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from({1.0F, -inf, inf, std::nanf("")}, {4});
  EXPECT_EQ(to_doubles(run_op("IsNaN", {x})[0]), (Bits{0, 0, 0, 1}));
  EXPECT_EQ(to_doubles(run_op("IsInf", {x})[0]), (Bits{0, 1, 1, 0}));
  EXPECT_EQ(to_doubles(run_op("IsInf", {x}, {{"detect_negative", int64_t{0}}})[0]),
            (Bits{0, 0, 1, 0}));
}

}  // namespace
}  // namespace tercel::ops

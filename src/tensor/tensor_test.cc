#include "tercel/tensor.h"

#include <gtest/gtest.h>

namespace tercel {
namespace {

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor a = Tensor::from<float>({1, 2, 3, 4}, {2, 2});
  Tensor b = a;
  const Tensor c = a.clone();
  b.values<float>()[0] = 9;
  EXPECT_EQ(a.values<float>()[0], 9);
  EXPECT_EQ(c.values<float>()[0], 1);
}

TEST(Tensor, SlicesAndReshapesShare) {
  const Tensor a = Tensor::from<int64_t>({1, 2, 3, 4, 5, 6}, {3, 2});
  EXPECT_EQ(a.slice(1, 3).values<int64_t>()[0], 3);
  EXPECT_EQ(a.reshape({2, 3}).shape(), (Shape{2, 3}));
  EXPECT_THROW(a.reshape({4}), Error);
  EXPECT_THROW(a.slice(2, 4), Error);
}

TEST(Tensor, WrongTypesAndShapesAreErrors) {
  EXPECT_THROW(Tensor::from<float>({1, 2}, {3}), Error);
  EXPECT_THROW(Tensor(Dtype::f32, {-1}), Error);
  EXPECT_THROW(Tensor(Dtype::f32, {int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(Tensor::scalar(1.0F).values<int64_t>(), Error);
}

TEST(Tensor, ZeroAndHugeShapes) {
  const Tensor empty(Dtype::f32, {0, int64_t{1} << 62, 8});
  EXPECT_TRUE(empty.defined());
  EXPECT_EQ(empty.size(), 0);
  EXPECT_EQ(Tensor::from_strings({"a", "b"}, {2}).slice(1, 2).strings()[0], "b");
}

}  // namespace
}  // namespace tercel

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "src/base/half.h"
#include "src/ops/cpu_util.h"
#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

constexpr Dtype kTypes[] = {Dtype::f32, Dtype::f64, Dtype::f16,    Dtype::bf16, Dtype::i8,
                            Dtype::i16, Dtype::i32, Dtype::i64,    Dtype::u8,   Dtype::u16,
                            Dtype::u32, Dtype::u64, Dtype::boolean};

Tensor cast_to(const Tensor& in, Dtype to) {
  return run_op("Cast", {in}, {{"to", static_cast<int64_t>(to)}})[0];
}

// Small whole numbers are exact in every type.
TEST(Cast, EveryPairKeepsSmallNumbers) {
  std::vector<double> values;
  for (int i = 0; i < 1103; ++i) values.push_back(i % 100);
  for (const Dtype from : kTypes) {
    for (const Dtype to : kTypes) {
      std::vector<double> expected = values;
      if (from == Dtype::boolean || to == Dtype::boolean) {
        for (double& value : expected) value = value != 0 ? 1 : 0;
      }
      const Tensor in = from_doubles(from == Dtype::boolean ? expected : values, from, {1103});
      const Tensor out = cast_to(in, to);
      ASSERT_EQ(out.dtype(), to);
      EXPECT_EQ(to_doubles(out), expected) << to_string(from) << " to " << to_string(to);
    }
  }
}

TEST(Cast, TruncatesTowardsZero) {
  const Tensor in = Tensor::from({-1.9F, -0.5F, 0.5F, 1.9F, 100.99F}, {5});
  EXPECT_EQ(to_doubles(cast_to(in, Dtype::i32)), (std::vector<double>{-1, 0, 0, 1, 100}));
  EXPECT_EQ(to_doubles(cast_to(in, Dtype::boolean)), (std::vector<double>{1, 1, 1, 1, 1}));
}

TEST(Cast, KeepsLargeIntegers) {
  const Tensor large = Tensor::from<int64_t>({INT64_MAX, INT64_MIN, (int64_t{1} << 53) + 1}, {3});
  const Tensor wrapped = cast_to(large, Dtype::u64);
  EXPECT_EQ(wrapped.values<uint64_t>()[0], static_cast<uint64_t>(INT64_MAX));
  EXPECT_TRUE(same_bits(cast_to(wrapped, Dtype::i64), large));
  const Tensor top = Tensor::from<uint64_t>({UINT64_MAX}, {1});
  EXPECT_EQ(cast_to(top, Dtype::f64).values<double>()[0], 0x1p64);
  EXPECT_EQ(cast_to(Tensor::from<int32_t>({300, -1}, {2}), Dtype::u8).values<uint8_t>()[0], 44);
}

TEST(Cast, RoundsDoublesToHalfOnce) {
  // Just above halfway between 1 and the next f16: by way of f32 it would round down.
  const double above = 1.0 + 0x1p-11 + 0x1p-40;
  const Tensor out = cast_to(Tensor::from({above, -above, 1.0 + 0x1p-11, 1e300}, {4}), Dtype::f16);
  const f16* bits = elements<f16>(out);
  EXPECT_EQ(to_float(bits[0]), 1.0F + 0x1p-10F);
  EXPECT_EQ(to_float(bits[1]), -1.0F - 0x1p-10F);
  EXPECT_EQ(to_float(bits[2]), 1.0F);
  EXPECT_TRUE(std::isinf(to_float(bits[3])));
}

TEST(Cast, HalfKeepsEveryValue) {
  Tensor all(Dtype::f16, {65536});
  for (uint32_t i = 0; i < 65536; ++i) elements<f16>(all)[i].bits = static_cast<uint16_t>(i);
  const Tensor wide = cast_to(all, Dtype::f32);
  for (uint32_t i = 0; i < 65536; ++i) {
    const float expected = to_float(elements<f16>(all)[i]);
    const float got = wide.values<float>()[i];
    ASSERT_TRUE(got == expected || (std::isnan(got) && std::isnan(expected))) << i;
  }
}

TEST(Cast, RefusesWhatItCannotConvert) {
  EXPECT_THROW(cast_to(Tensor::from_strings({"1"}, {1}), Dtype::f32), Error);
  EXPECT_THROW(cast_to(Tensor::scalar(1.0F), Dtype::f8e4m3fn), Error);
}

TEST(CastLike, TakesTheTypeOfTheOther) {
  const Tensor out = run_op("CastLike", {Tensor::from({1.5F}, {1}), Tensor::scalar(int64_t{0})})[0];
  EXPECT_TRUE(same_bits(out, Tensor::from<int64_t>({1}, {1})));
}

}  // namespace
}  // namespace tercel::ops

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "src/base/half.h"
#include "src/base/packed.h"
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

// Every code, to f32 and back; odd counts, so that the last byte is not full.
TEST(Cast, SmallTypesKeepEveryValue) {
  for (const Dtype dtype :
       {Dtype::f8e4m3fn, Dtype::f8e5m2fnuz, Dtype::f8e8m0, Dtype::f6e2m3, Dtype::f6e3m2,
        Dtype::f4e2m1, Dtype::u4, Dtype::i4, Dtype::u2, Dtype::i2}) {
    const int bits = bits_of(dtype);
    const int64_t codes = int64_t{1} << bits;
    Tensor in(dtype, {3 * codes - 1});
    std::memset(in.data(), 0, in.bytes());
    for (int64_t i = 0; i < in.size(); ++i) {
      // -0 and NaN have more than one code in some of the types.
      const auto code = static_cast<uint8_t>(i % (codes / 2));
      if (bits == 8)
        elements<uint8_t>(in)[i] = code;
      else
        set_packed_element(in.data(), i, bits, code);
    }
    const Tensor wide = cast_to(in, Dtype::f32);
    EXPECT_TRUE(same_bits(cast_to(wide, dtype), in)) << to_string(dtype);
    EXPECT_TRUE(same_bits(cast_to(cast_to(in, Dtype::f64), dtype), in)) << to_string(dtype);
  }
}

TEST(Cast, PackedIntegersKeepTheLowBits) {
  const Tensor in = Tensor::from<int32_t>({-8, 7, 9, -1, 17}, {5});
  EXPECT_EQ(to_doubles(cast_to(cast_to(in, Dtype::i4), Dtype::i32)),
            (std::vector<double>{-8, 7, -7, -1, 1}));
  EXPECT_EQ(to_doubles(cast_to(cast_to(in, Dtype::u2), Dtype::i32)),
            (std::vector<double>{0, 3, 1, 3, 1}));
}

TEST(Cast, NumbersAndTheirText) {
  const Tensor text = Tensor::from_strings({"3.5", "-2e1", "+INF", "nAn", "1e400"}, {5});
  const Tensor read = cast_to(text, Dtype::f32);
  EXPECT_EQ(read.values<float>()[1], -20);
  EXPECT_TRUE(std::isinf(read.values<float>()[2]) && std::isinf(read.values<float>()[4]));
  EXPECT_TRUE(std::isnan(read.values<float>()[3]));
  const Tensor large = Tensor::from_strings({"9223372036854775807"}, {1});
  EXPECT_EQ(cast_to(large, Dtype::i64).values<int64_t>()[0], INT64_MAX);
  const Tensor written = cast_to(Tensor::from({1.0F, 0.1F, -1e20F}, {3}), Dtype::string);
  EXPECT_EQ(written.strings()[0], "1.0");
  EXPECT_EQ(written.strings()[1], "0.1");
  EXPECT_EQ(written.strings()[2], "-1e+20");
  EXPECT_EQ(cast_to(Tensor::scalar(int8_t{-5}), Dtype::string).strings()[0], "-5");
}

TEST(Cast, RefusesWhatItCannotConvert) {
  EXPECT_THROW(cast_to(Tensor::from_strings({"one"}, {1}), Dtype::f32), Error);
  EXPECT_THROW(cast_to(Tensor(Dtype::c64, {1}), Dtype::f32), Error);
}

TEST(CastLike, TakesTheTypeOfTheOther) {
  const Tensor out = run_op("CastLike", {Tensor::from({1.5F}, {1}), Tensor::scalar(int64_t{0})})[0];
  EXPECT_TRUE(same_bits(out, Tensor::from<int64_t>({1}, {1})));
}

}  // namespace
}  // namespace tercel::ops

#include "src/base/small_float.h"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "src/base/packed.h"

namespace tercel {
namespace {

constexpr Dtype kTypes[] = {Dtype::f8e4m3fn, Dtype::f8e4m3fnuz, Dtype::f8e5m2, Dtype::f8e5m2fnuz,
                            Dtype::f4e2m1,   Dtype::f6e2m3,     Dtype::f6e3m2, Dtype::f8e8m0};

int codes_of(Dtype dtype) { return 1 << bits_of(dtype); }

TEST(SmallFloat, EveryNumberComesBack) {
  for (const Dtype dtype : kTypes) {
    for (int code = 0; code < codes_of(dtype); ++code) {
      const float value = small_float_value(dtype, static_cast<uint8_t>(code));
      const uint8_t again = small_float_code(dtype, value, {.saturate = false});
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(small_float_value(dtype, again)));
      else
        EXPECT_EQ(again, code) << to_string(dtype) << " " << value;
    }
  }
}

TEST(SmallFloat, LargestNumbers) {
  EXPECT_EQ(small_float_value(Dtype::f8e4m3fn, 0x7e), 448);
  EXPECT_EQ(small_float_value(Dtype::f8e4m3fnuz, 0x7f), 240);
  EXPECT_EQ(small_float_value(Dtype::f8e5m2, 0x7b), 57344);
  EXPECT_EQ(small_float_value(Dtype::f8e5m2fnuz, 0x7f), 57344);
  EXPECT_EQ(small_float_value(Dtype::f4e2m1, 0x7), 6);
  EXPECT_EQ(small_float_value(Dtype::f6e2m3, 0x1f), 7.5F);
  EXPECT_EQ(small_float_value(Dtype::f6e3m2, 0x1f), 28);
  EXPECT_EQ(small_float_value(Dtype::f8e8m0, 0xfe), std::ldexp(1.0F, 127));
}

// The nearest of all numbers, and of two the one with the even code.
TEST(SmallFloat, RoundsToTheNearest) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const Dtype dtype : kTypes) {
    if (dtype == Dtype::f8e8m0) continue;
    const int half = codes_of(dtype) / 2;
    for (int code = 0; code + 1 < half; ++code) {
      const double low = small_float_value(dtype, static_cast<uint8_t>(code));
      const double high = small_float_value(dtype, static_cast<uint8_t>(code + 1));
      if (!std::isfinite(high)) continue;
      const int even = code % 2 == 0 ? code : code + 1;
      EXPECT_EQ(small_float_code(dtype, (low + high) / 2), even);
      const double share = std::uniform_real_distribution<double>(0.01, 0.49)(random);
      EXPECT_EQ(small_float_code(dtype, low + share * (high - low)), code);
      EXPECT_EQ(small_float_code(dtype, high - share * (high - low)), code + 1);
      if (code == 0) continue;
      EXPECT_EQ(small_float_code(dtype, -low), code + half);
    }
  }
}

TEST(SmallFloat, WhatIsTooLarge) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double value : {1e6, kInfinity}) {
    EXPECT_EQ(small_float_code(Dtype::f8e4m3fn, value), 0x7e);
    EXPECT_EQ(small_float_code(Dtype::f8e4m3fn, -value, {.saturate = false}), 0xff);
    EXPECT_EQ(small_float_code(Dtype::f8e5m2, value, {.saturate = false}), 0x7c);
    EXPECT_EQ(small_float_code(Dtype::f8e5m2fnuz, value, {.saturate = false}), 0x80);
    EXPECT_EQ(small_float_code(Dtype::f4e2m1, value, {.saturate = false}), 0x7);
  }
  // Up to half a step more than the largest number is that number.
  EXPECT_EQ(small_float_code(Dtype::f8e4m3fn, 464, {.saturate = false}), 0x7e);
  EXPECT_EQ(small_float_code(Dtype::f8e4m3fn, 464.1, {.saturate = false}), 0x7f);
}

TEST(SmallFloat, ZeroesAndNan) {
  EXPECT_EQ(small_float_code(Dtype::f8e4m3fn, -0.0), 0x80);
  EXPECT_EQ(small_float_code(Dtype::f8e4m3fnuz, -0.0), 0x00);
  EXPECT_EQ(small_float_code(Dtype::f8e4m3fnuz, -1e-9), 0x00);
  EXPECT_EQ(small_float_code(Dtype::f8e5m2, std::nan("")), 0x7f);
  EXPECT_EQ(small_float_code(Dtype::f8e4m3fnuz, std::nan("")), 0x80);
}

TEST(SmallFloat, ScalesArePowersOfTwo) {
  const auto scale = [](double value, ScaleRounding rounding) {
    return small_float_value(Dtype::f8e8m0,
                             small_float_code(Dtype::f8e8m0, value, {.rounding = rounding}));
  };
  EXPECT_EQ(scale(4, ScaleRounding::up), 4);
  EXPECT_EQ(scale(4.1, ScaleRounding::up), 8);
  EXPECT_EQ(scale(7.9, ScaleRounding::down), 4);
  EXPECT_EQ(scale(5.9, ScaleRounding::nearest), 4);
  EXPECT_EQ(scale(6, ScaleRounding::nearest), 8);
  EXPECT_EQ(scale(3e38, ScaleRounding::up), std::ldexp(1.0F, 127));
}

TEST(Packed, EveryPositionOfEveryWidth) {
  std::mt19937 random(7);
  for (const int bits : {2, 4, 6}) {
    uint8_t bytes[24] = {};
    const int count = 24 * 8 / bits;
    std::vector<uint8_t> values;
    for (int i = 0; i < count; ++i) {
      values.push_back(static_cast<uint8_t>(random() % (1U << bits)));
      set_packed_element(bytes, i, bits, 0xff);
      set_packed_element(bytes, i, bits, values.back());
    }
    for (int i = 0; i < count; ++i)
      EXPECT_EQ(packed_element(bytes, i, bits), values[static_cast<std::size_t>(i)]);
  }
}

}  // namespace
}  // namespace tercel

#include "src/kernels/cpu/convert.h"

#include <bit>

#include "src/base/half.h"
#include "src/kernels/cpu/test_support.h"
#include "tercel/error.h"

namespace tercel::kernels {
namespace {

using Convert = PerIsa;

TEST_P(Convert, WidensEveryHalf) {
  for (const Dtype type : {Dtype::f16, Dtype::bf16}) {
    std::vector<uint16_t> half(0x10000 + 3);
    for (std::size_t i = 0; i < half.size(); ++i) half[i] = static_cast<uint16_t>(i);
    std::vector<float> wide(half.size());
    kernels_.convert.convert({.count = static_cast<int64_t>(half.size()),
                              .from = half.data(),
                              .from_type = type,
                              .to = wide.data(),
                              .to_type = Dtype::f32},
                             three_);
    for (std::size_t i = 0; i < half.size(); ++i) {
      const float expected = type == Dtype::f16 ? to_float(f16{half[i]}) : to_float(bf16{half[i]});
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(wide[i]));
      } else {
        EXPECT_EQ(std::bit_cast<uint32_t>(wide[i]), std::bit_cast<uint32_t>(expected));
      }
    }
  }
}

TEST_P(Convert, NarrowsAsTheScalarConversionDoes) {
  for (const Dtype type : {Dtype::f16, Dtype::bf16}) {
    std::vector<float> wide;
    for (int i = 0; i < 200003; ++i)
      wide.push_back(std::bit_cast<float>(static_cast<uint32_t>(random_())));
    for (const float value : random_floats(random_, 50000, -70000, 70000)) wide.push_back(value);
    for (const float value : random_floats(random_, 50000, -1e-4F, 1e-4F)) wide.push_back(value);
    for (const float value : {0.0F, -0.0F, kInfinity, -kInfinity, kNan, 65519.0F, 65520.0F, 1e-45F,
                              0x1p-25F, 0x1.8p-25F, 3.4e38F}) {
      wide.push_back(value);
    }
    std::vector<uint16_t> half(wide.size());
    kernels_.convert.convert({.count = static_cast<int64_t>(wide.size()),
                              .from = wide.data(),
                              .to = half.data(),
                              .to_type = type},
                             three_);
    for (std::size_t i = 0; i < wide.size(); ++i) {
      const uint16_t expected = type == Dtype::f16 ? to_f16(wide[i]).bits : to_bf16(wide[i]).bits;
      ASSERT_EQ(half[i], expected) << wide[i];
    }
  }
}

TEST_P(Convert, RefusesOtherPairs) {
  float value = 0;
  EXPECT_THROW(kernels_.convert.convert({.count = 1, .from = &value, .to = &value}, one_), Error);
  EXPECT_THROW(kernels_.convert.convert(
                   {.count = 1, .from = &value, .from_type = Dtype::i8, .to = &value}, one_),
               Error);
}

INSTANTIATE_TEST_SUITE_P(Cpu, Convert, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

#include "src/kernels/cpu/quantize.h"

#include <algorithm>

#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

using Quantize = PerIsa;

template <class T>
T byte_of(float value, int32_t zero) {
  const double rounded = std::isnan(value) ? 0 : std::nearbyint(static_cast<double>(value));
  return static_cast<T>(std::clamp<double>(rounded + zero, std::numeric_limits<T>::min(),
                                           std::numeric_limits<T>::max()));
}

std::vector<float> odd_numbers(std::mt19937& random, int64_t count) {
  std::vector<float> numbers = random_floats(random, count, -20, 20);
  const float odd[] = {kInfinity, -kInfinity, kNan, 1e30F, -1e30F, 0.25F, 0.75F, -1.25F, 63.75F};
  std::copy_n(odd, std::min<std::size_t>(std::size(odd), numbers.size()), numbers.begin());
  return numbers;
}

template <class T>
void check_there_and_back(const QuantizeKernels& kernels, std::mt19937& random, ThreadPool& pool) {
  const int32_t zero = std::numeric_limits<T>::max() - 100;
  for (const int64_t count : {0, 1, 15, 33, 20003}) {
    const std::vector<float> numbers = odd_numbers(random, count);
    std::vector<T> bytes(numbers.size());
    kernels.quantize({.count = count,
                      .numbers = numbers.data(),
                      .bytes = bytes.data(),
                      .type = {std::is_signed_v<T>, zero},
                      .scale = 0.5F},
                     pool);
    std::vector<float> back(numbers.size());
    kernels.dequantize({.count = count,
                        .bytes = bytes.data(),
                        .type = {std::is_signed_v<T>, zero},
                        .scale = 0.3F,
                        .numbers = back.data()},
                       pool);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      ASSERT_EQ(bytes[i], byte_of<T>(numbers[i] / 0.5F, zero)) << numbers[i];
      ASSERT_EQ(back[i], static_cast<float>(bytes[i] - zero) * 0.3F);
    }
  }
}

TEST_P(Quantize, ThereAndBack) {
  check_there_and_back<uint8_t>(kernels_.quantize, random_, three_);
  check_there_and_back<int8_t>(kernels_.quantize, random_, three_);
}

TEST_P(Quantize, Sums) {
  for (const int64_t columns : {1, 7, 16, 41}) {
    for (const bool for_each_row : {false, true}) {
      constexpr int64_t kRows = 5;
      const auto scales = random_floats(random_, (for_each_row ? kRows : 1) * columns, 0.0F, 0.01F);
      std::vector<int32_t> sums, bias;
      for (int64_t i = 0; i < kRows * columns; ++i)
        sums.push_back(static_cast<int32_t>(random_() % 60000) - 30000);
      sums[0] = std::numeric_limits<int32_t>::max();
      for (int64_t i = 0; i < columns; ++i) bias.push_back(static_cast<int32_t>(random_() % 1000));
      std::vector<int8_t> bytes(sums.size());
      for (const bool biased : {false, true}) {
        kernels_.quantize.requantize({.rows = kRows,
                                      .columns = columns,
                                      .sums = sums.data(),
                                      .bias = biased ? bias.data() : nullptr,
                                      .scales = scales.data(),
                                      .scales_row = for_each_row ? columns : 0,
                                      .bytes = bytes.data(),
                                      .type = {.is_signed = true, .zero = -3}},
                                     three_);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
          const std::size_t column = i % static_cast<std::size_t>(columns);
          // Wraps around, as the sums do.
          const auto sum = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) +
                                                static_cast<uint32_t>(biased ? bias[column] : 0));
          const float scale = scales[for_each_row ? i : column];
          ASSERT_EQ(bytes[i], byte_of<int8_t>(static_cast<float>(sum) * scale, -3)) << i;
        }
      }
    }
  }
}

TEST_P(Quantize, AddsBytes) {
  for (const int64_t count : {0, 1, 15, 33, 20003}) {
    std::vector<uint8_t> a(static_cast<std::size_t>(count)), y(a.size());
    std::vector<int8_t> b(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<uint8_t>(random_());
      b[i] = static_cast<int8_t>(random_());
    }
    kernels_.quantize.add({.count = count,
                           .a = {a.data(), {false, 128}, 0.75F},
                           .b = {b.data(), {true, -7}, 1.5F},
                           .y = y.data(),
                           .type = {false, 99}},
                          three_);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const float sum =
          static_cast<float>(a[i] - 128) * 0.75F + static_cast<float>(b[i] + 7) * 1.5F;
      ASSERT_EQ(y[i], byte_of<uint8_t>(sum, 99)) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Quantize, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

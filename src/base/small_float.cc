#include "src/base/small_float.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "src/base/fail.h"

namespace tercel {
namespace {

enum class Special {
  none,       // every code is a number
  ieee,       // the largest exponent is infinity and NaN
  last,       // the last code is NaN
  minus_zero  // the code of -0 is NaN
};

struct Format {
  Dtype dtype;
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Special special;
  double largest;
};

constexpr std::array<Format, 7> kFormats{{
    {Dtype::f8e4m3fn, 4, 3, 7, Special::last, 448},
    {Dtype::f8e4m3fnuz, 4, 3, 8, Special::minus_zero, 240},
    {Dtype::f8e5m2, 5, 2, 15, Special::ieee, 57344},
    {Dtype::f8e5m2fnuz, 5, 2, 16, Special::minus_zero, 57344},
    {Dtype::f4e2m1, 2, 1, 1, Special::none, 6},
    {Dtype::f6e2m3, 2, 3, 1, Special::none, 7.5},
    {Dtype::f6e3m2, 3, 2, 3, Special::none, 28},
}};

const Format* find_format(Dtype dtype) {
  for (const Format& format : kFormats) {
    if (format.dtype == dtype) return &format;
  }
  return nullptr;
}

const Format& format_of(Dtype dtype) {
  const Format* format = find_format(dtype);
  if (format == nullptr) fail(Errc::internal, "{} is no small float", to_string(dtype));
  return *format;
}

unsigned sign_bit(const Format& format) {
  return 1U << static_cast<unsigned>(format.exponent_bits + format.mantissa_bits);
}

// Without a sign.
unsigned infinity_code(const Format& format) {
  return ((1U << static_cast<unsigned>(format.exponent_bits)) - 1U)
         << static_cast<unsigned>(format.mantissa_bits);
}

uint8_t nan_code(const Format& format, bool negative) {
  const unsigned sign = sign_bit(format);
  if (format.special == Special::none || format.special == Special::minus_zero)
    return static_cast<uint8_t>(sign);
  return static_cast<uint8_t>((sign - 1U) | (negative ? sign : 0U));
}

uint8_t overflow_code(const Format& format, bool negative) {
  if (format.special != Special::ieee) return nan_code(format, negative);
  return static_cast<uint8_t>(infinity_code(format) | (negative ? sign_bit(format) : 0U));
}

uint8_t number_code(const Format& format, double magnitude, bool negative) {
  const int lowest = 1 - format.bias;
  unsigned code = 0;
  if (magnitude < std::ldexp(1.0, lowest)) {
    code = static_cast<unsigned>(std::ldexp(magnitude, format.mantissa_bits - lowest));
  } else {
    const int exponent = std::ilogb(magnitude);
    const double fraction = std::ldexp(magnitude, -exponent) - 1;
    code = static_cast<unsigned>(exponent + format.bias)
               << static_cast<unsigned>(format.mantissa_bits) |
           static_cast<unsigned>(std::ldexp(fraction, format.mantissa_bits));
  }
  const bool signed_zero = format.special != Special::minus_zero;
  return static_cast<uint8_t>(code |
                              (negative && (code != 0 || signed_zero) ? sign_bit(format) : 0));
}

// Powers of two from 2^-127 to 2^127, and NaN.
uint8_t scale_code(double value, const SmallFloatOptions& options) {
  constexpr unsigned kNan = 0xff;
  constexpr unsigned kLargest = 0xfe;
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  unsigned exponent = (bits >> 23U) & 0xffU;
  const uint32_t fraction = bits & 0x7fffffU;
  if (exponent == kNan)
    return static_cast<uint8_t>(fraction == 0 && options.saturate ? kLargest : kNan);
  if (!options.saturate && options.rounding == ScaleRounding::nearest && exponent == 0 &&
      fraction < 0x400000U) {
    return kNan;
  }
  // Numbers of exponent 0 have no leading one: 2^-127 is half of what would be 2^-126.
  const uint32_t whole = exponent == 0 ? 0x400000U : 0;
  bool up = options.rounding == ScaleRounding::up && fraction > whole;
  if (options.rounding == ScaleRounding::nearest) up = fraction >= 0x400000U + whole / 2;
  if (up && !(exponent == kLargest && options.saturate)) ++exponent;
  return static_cast<uint8_t>(exponent);
}

}  // namespace

bool is_small_float(Dtype dtype) { return dtype == Dtype::f8e8m0 || find_format(dtype) != nullptr; }

float small_float_value(Dtype dtype, uint8_t code) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (dtype == Dtype::f8e8m0) return code == 0xff ? kNan : std::ldexp(1.0F, int{code} - 127);
  const Format& format = format_of(dtype);
  const unsigned sign = sign_bit(format);
  const unsigned rest = code & (sign - 1U);
  const bool negative = (code & sign) != 0;
  if (format.special == Special::minus_zero && negative && rest == 0) return kNan;
  if (format.special == Special::last && rest == sign - 1U) return kNan;
  if (format.special == Special::ieee && rest >= infinity_code(format)) {
    if (rest > infinity_code(format)) return kNan;
    return negative ? -std::numeric_limits<float>::infinity()
                    : std::numeric_limits<float>::infinity();
  }
  const auto mantissa_bits = static_cast<unsigned>(format.mantissa_bits);
  const int exponent = static_cast<int>(rest >> mantissa_bits);
  const unsigned mantissa = rest & ((1U << mantissa_bits) - 1U);
  const unsigned whole = exponent > 0 ? mantissa | (1U << mantissa_bits) : mantissa;
  const float magnitude = std::ldexp(static_cast<float>(whole),
                                     std::max(exponent, 1) - format.bias - format.mantissa_bits);
  return negative ? -magnitude : magnitude;
}

uint8_t small_float_code(Dtype dtype, double value, const SmallFloatOptions& options) {
  if (dtype == Dtype::f8e8m0) return scale_code(value, options);
  const Format& format = format_of(dtype);
  const bool negative = std::signbit(value);
  if (std::isnan(value)) return nan_code(format, negative);
  double magnitude = std::abs(value);
  if (magnitude == 0) return number_code(format, 0, negative);
  if (std::isfinite(magnitude)) {
    const int step = std::max(std::ilogb(magnitude), 1 - format.bias) - format.mantissa_bits;
    magnitude = std::ldexp(std::nearbyint(std::ldexp(magnitude, -step)), step);
  }
  const bool saturates = options.saturate || format.special == Special::none;
  if (magnitude > format.largest) {
    if (!saturates) return overflow_code(format, negative);
    magnitude = format.largest;
  }
  return number_code(format, magnitude, negative);
}

}  // namespace tercel

#include "src/ops/signal/fourier_cpu.h"

#include <numbers>

#include "src/base/checked.h"

namespace tercel::ops {
namespace {

using Complex = Fourier::Complex;

Complex unit(int64_t numerator, int64_t denominator) {
  return std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(numerator) /
                             static_cast<double>(denominator));
}

// Spelled out: the library's product looks for infinities.
Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

int64_t power_of_two(int64_t least) {
  int64_t power = 1;
  while (power < least) power = checked_mul(power, 2);
  return power;
}

}  // namespace

Fourier::Fourier(int64_t length) : length_(length), padded_(power_of_two(length)) {
  const bool chirped = padded_ != length;
  if (chirped) padded_ = power_of_two(checked_mul(length, 2) - 1);
  roots_.resize(static_cast<std::size_t>(padded_ / 2));
  for (std::size_t k = 0; k < roots_.size(); ++k)
    roots_[k] = unit(static_cast<int64_t>(k), padded_);
  if (!chirped) return;
  chirp_.resize(static_cast<std::size_t>(length));
  filter_.assign(static_cast<std::size_t>(padded_), Complex());
  int64_t square = 0;  // n² modulo twice the length
  for (int64_t n = 0; n < length; ++n) {
    const auto at = static_cast<std::size_t>(n);
    chirp_[at] = unit(square, 2 * length);
    filter_[at] = std::conj(chirp_[at]);
    if (n > 0) filter_[static_cast<std::size_t>(padded_ - n)] = std::conj(chirp_[at]);
    square = (square + 2 * n + 1) % (2 * length);
  }
  radix_two(filter_.data());
}

void Fourier::radix_two(Complex* x) const {
  for (int64_t i = 1, j = 0; i < padded_; ++i) {
    int64_t bit = padded_ / 2;
    for (; (j & bit) != 0; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (int64_t size = 2; size <= padded_; size *= 2) {
    const int64_t half = size / 2;
    const int64_t step = padded_ / size;
    for (int64_t begin = 0; begin < padded_; begin += size) {
      for (int64_t k = 0; k < half; ++k) {
        const Complex odd = times(x[begin + k + half], roots_[static_cast<std::size_t>(k * step)]);
        x[begin + k + half] = x[begin + k] - odd;
        x[begin + k] += odd;
      }
    }
  }
}

void Fourier::forward(Complex* x, std::vector<Complex>& scratch) const {
  if (chirp_.empty()) return radix_two(x);
  scratch.assign(static_cast<std::size_t>(padded_), Complex());
  const auto count = static_cast<std::size_t>(length_);
  for (std::size_t n = 0; n < count; ++n) scratch[n] = times(x[n], chirp_[n]);
  radix_two(scratch.data());
  // The conjugate going in and coming out makes the transform back.
  for (std::size_t k = 0; k < scratch.size(); ++k)
    scratch[k] = std::conj(times(scratch[k], filter_[k]));
  radix_two(scratch.data());
  const double scale = 1 / static_cast<double>(padded_);
  for (std::size_t k = 0; k < count; ++k) x[k] = times(std::conj(scratch[k]) * scale, chirp_[k]);
}

void Fourier::transform(Complex* x, bool inverse, std::vector<Complex>& scratch) const {
  if (!inverse) return forward(x, scratch);
  for (int64_t n = 0; n < length_; ++n) x[n] = std::conj(x[n]);
  forward(x, scratch);
  const double scale = 1 / static_cast<double>(length_);
  for (int64_t n = 0; n < length_; ++n) x[n] = std::conj(x[n]) * scale;
}

}  // namespace tercel::ops

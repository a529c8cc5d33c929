#pragma once
// The discrete Fourier transform of any length, in f64: radix 2 for powers of two, and Bluestein's
// chirp (IEEE Trans. Audio Electroacoust. 18, 1970) over such a power for the others.

#include <complex>
#include <cstdint>
#include <vector>

namespace tercel::ops {

class Fourier {
 public:
  using Complex = std::complex<double>;

  // `length` of 1 or more. Takes time and memory in the order of length · log(length).
  explicit Fourier(int64_t length);

  int64_t length() const { return length_; }
  // x[k] = sum over n of x[n] exp(∓2πi k n / length), divided by the length when inverse.
  // `scratch` belongs to one thread and is kept between calls.
  void transform(Complex* x, bool inverse, std::vector<Complex>& scratch) const;

 private:
  void forward(Complex* x, std::vector<Complex>& scratch) const;
  void radix_two(Complex* x) const;

  int64_t length_;
  int64_t padded_;              // the power of two that is transformed
  std::vector<Complex> roots_;  // exp(-2πi k / padded), the first half
  std::vector<Complex> chirp_;  // exp(-πi n² / length); empty for powers of two
  std::vector<Complex> filter_;
};

}  // namespace tercel::ops

#include <cmath>
#include <complex>
#include <numbers>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Complex = std::complex<double>;

// The sum as it is written, of a line of complex numbers.
std::vector<Complex> plain(const std::vector<Complex>& x, std::size_t length, bool inverse) {
  std::vector<Complex> y(length);
  for (std::size_t k = 0; k < length; ++k) {
    for (std::size_t n = 0; n < std::min(length, x.size()); ++n) {
      const double turn = static_cast<double>(n * k % length) / static_cast<double>(length);
      y[k] += x[n] * std::polar(1.0, (inverse ? 2 : -2) * std::numbers::pi * turn);
    }
    if (inverse) y[k] /= static_cast<double>(length);
  }
  return y;
}

TEST(Fourier, EveryLengthAgreesWithTheSum) {
  for (const int64_t length : {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 31, 64, 97, 100, 128, 257}) {
    const Tensor x = random_tensor(Dtype::f64, {length, 2}, static_cast<uint32_t>(length));
    const auto values = to_doubles(x);
    std::vector<Complex> line;
    for (std::size_t i = 0; i < values.size(); i += 2) line.emplace_back(values[i], values[i + 1]);
    for (const bool inverse : {false, true}) {
      std::vector<double> expected;
      for (const Complex& value : plain(line, line.size(), inverse)) {
        expected.push_back(value.real());
        expected.push_back(value.imag());
      }
      const auto y = run_op("DFT", {x}, {{"inverse", int64_t{inverse}}})[0];
      EXPECT_LE(distance(y, expected), 1e-11) << length;
    }
  }
}

TEST(Fourier, AxesLengthsAndHalves) {
  const Tensor x = random_tensor(Dtype::f32, {3, 10, 4, 1}, 1);
  RunOptions options;
  options.constant = {1, 2};
  const auto run = [&](const Tensor& in, int64_t length, int64_t axis, bool inverse, bool half) {
    return run_op_with(options, "DFT", {in, Tensor::scalar(length), Tensor::scalar(axis)},
                       {{"inverse", int64_t{inverse}}, {"onesided", int64_t{half}}})
        .outputs[0];
  };
  for (const int64_t length : {6, 10, 15}) {
    const Tensor full = run(x, length, 1, false, false);
    const Tensor half = run(x, length, -3, false, true);
    ASSERT_EQ(full.shape(), (Shape{3, length, 4, 2}));
    ASSERT_EQ(half.shape(), (Shape{3, length / 2 + 1, 4, 2}));
    for (int64_t b = 0; b < 3; ++b) {
      EXPECT_TRUE(same_bits(half.slice(b, b + 1).reshape({length / 2 + 1, 8}),
                            full.slice(b, b + 1).reshape({length, 8}).slice(0, length / 2 + 1)));
    }
    const Tensor back = run(half, length, 1, true, true);
    ASSERT_EQ(back.shape(), (Shape{3, length, 4, 1}));
    const auto values = to_doubles(x);
    std::vector<double> expected;
    for (int64_t i = 0; i < back.size(); ++i) {
      const int64_t n = i / 4 % length;
      const auto from = static_cast<std::size_t>((i / 4 / length * 10 + n) * 4 + i % 4);
      expected.push_back(n < 10 ? values[from] : 0);
    }
    EXPECT_LE(distance(back, expected), 1e-6) << length;
  }
}

TEST(Fourier, Refusals) {
  const Tensor x = random_tensor(Dtype::f32, {3, 10, 2}, 1);
  RunOptions options;
  options.constants = true;
  const auto run = [&](int64_t length, int64_t axis, int64_t onesided) {
    return run_op_with(options, "DFT", {x, Tensor::scalar(length), Tensor::scalar(axis)},
                       {{"onesided", onesided}});
  };
  EXPECT_THROW(run(0, 1, 0), Error);
  EXPECT_THROW(run(4, 2, 0), Error);
  EXPECT_THROW(run(4, 3, 0), Error);
  EXPECT_THROW(run(4, 1, 1), Error);
}

TEST(Fourier, ShortTimeIsATransformOfEachFrame) {
  const Tensor signal = random_tensor(Dtype::f32, {2, 37, 1}, 1);
  const Tensor window = random_tensor(Dtype::f32, {12}, 2);
  RunOptions options;
  options.constant = {1};
  const auto y =
      run_op_with(options, "STFT", {signal, Tensor::scalar(int64_t{5}), window}).outputs[0];
  ASSERT_EQ(y.shape(), (Shape{2, 6, 7, 2}));
  const auto x = to_doubles(signal);
  const auto w = to_doubles(window);
  std::vector<double> expected;
  for (std::size_t b = 0; b < 2; ++b) {
    for (std::size_t frame = 0; frame < 6; ++frame) {
      std::vector<Complex> line;
      for (std::size_t n = 0; n < 12; ++n) line.emplace_back(x[b * 37 + frame * 5 + n] * w[n]);
      const auto spectrum = plain(line, 12, false);
      for (std::size_t k = 0; k < 7; ++k) {
        expected.push_back(spectrum[k].real());
        expected.push_back(spectrum[k].imag());
      }
    }
  }
  EXPECT_LE(distance(y, expected), 1e-6);
  const Tensor flat =
      run_op_with(options, "STFT", {signal.reshape({2, 37}), Tensor::scalar(int64_t{5}), window})
          .outputs[0];
  EXPECT_EQ(to_doubles(flat), to_doubles(y));
  EXPECT_THROW(run_op_with(options, "STFT", {signal, Tensor::scalar(int64_t{0}), window}), Error);
  EXPECT_THROW(
      run_op_with(options, "STFT",
                  {signal, Tensor::scalar(int64_t{1}), random_tensor(Dtype::f32, {38}, 1)}),
      Error);
}

TEST(Windows, Literals) {
  RunOptions options;
  options.constants = true;
  const auto run = [&](const std::string& op, int64_t size, int64_t periodic) {
    return run_op_with(options, op, {Tensor::scalar(size)}, {{"periodic", periodic}}).outputs[0];
  };
  EXPECT_LE(distance(run("HannWindow", 4, 1), {0, 0.5, 1, 0.5}), 1e-7);
  EXPECT_LE(distance(run("HannWindow", 5, 0), {0, 0.5, 1, 0.5, 0}), 1e-7);
  EXPECT_LE(distance(run("HammingWindow", 2, 1), {4.0 / 46, 1}), 1e-7);
  EXPECT_LE(distance(run("BlackmanWindow", 3, 0), {0, 1, 0}), 1e-7);
  EXPECT_EQ(run("HannWindow", 0, 1).shape(), (Shape{0}));
  EXPECT_THROW(run("HannWindow", -1, 1), Error);
}

TEST(Windows, MelTriangles) {
  RunOptions options;
  options.constants = true;
  const auto run = [&](int64_t bins, int64_t length, int64_t rate, float low, float high) {
    return run_op_with(options, "MelWeightMatrix",
                       {Tensor::scalar(bins), Tensor::scalar(length), Tensor::scalar(rate),
                        Tensor::scalar(low), Tensor::scalar(high)})
        .outputs[0];
  };
  const Tensor matrix = run(8, 16, 8192, 0, 8192.0F / 2);
  ASSERT_EQ(matrix.shape(), (Shape{9, 8}));
  for (const double value : to_doubles(matrix)) EXPECT_TRUE(value >= 0 && value <= 1);
  EXPECT_THROW(run(8, 16, 8192, 0, 1e9F), Error);
  EXPECT_THROW(run(8, 16, 0, 0, 100), Error);
}

}  // namespace
}  // namespace tercel::ops

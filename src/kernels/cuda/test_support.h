#pragma once
// What the tests of the CUDA kernels share: arrays on the device that begin poisoned, numbers of
// any floating-point type, random inputs, and a fixture that skips where there is no GPU.

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "src/base/half.h"
#include "src/kernels/cuda/kernels.h"
#include "tercel/error.h"

namespace tercel::kernels::cuda {

// Filled with 0xff: NaN as floating-point, -1 as an integer. A guard behind it shows writes that go
// too far, at the destructor.
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t bytes) : bytes_(bytes) {
    check_cuda(cudaMalloc(&data_, bytes + kGuard), "cudaMalloc");
    check_cuda(cudaMemset(data_, 0xff, bytes + kGuard), "cudaMemset");
  }
  template <class T>
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size() * sizeof(T)) {
    check_cuda(cudaMemcpy(data_, values.data(), bytes_, cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  ~DeviceArray() {
    std::vector<unsigned char> guard(kGuard);
    EXPECT_EQ(cudaMemcpy(guard.data(), static_cast<char*>(data_) + bytes_, kGuard,
                         cudaMemcpyDeviceToHost),
              cudaSuccess);
    EXPECT_EQ(guard, std::vector<unsigned char>(kGuard, 0xff)) << "written behind the array";
    cudaFree(data_);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  template <class T = void>
  T* get() const {
    return static_cast<T*>(data_);
  }
  std::size_t bytes() const { return bytes_; }
  template <class T>
  std::vector<T> values() const {
    std::vector<T> result(bytes_ / sizeof(T));
    check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check_cuda(cudaMemcpy(result.data(), data_, result.size() * sizeof(T), cudaMemcpyDeviceToHost),
               "cudaMemcpy");
    return result;
  }

 private:
  static constexpr std::size_t kGuard = 256;
  std::size_t bytes_;
  void* data_ = nullptr;
};

// f32, f16 or bf16 on the device, doubles on the host: values rounded to the type.
struct Floats {
  Dtype type;
  std::vector<double> values;
  DeviceArray array;

  Floats(Dtype dtype, std::vector<double> given)
      : type(dtype), values(std::move(given)), array(encoded(dtype, values)) {
    values = decoded(dtype, array);
  }
  // An output.
  Floats(Dtype dtype, int64_t count)
      : type(dtype), array(static_cast<std::size_t>(count) * bytes_of(dtype, 1)) {}

  template <class T = void>
  T* get() const {
    return array.get<T>();
  }
  std::vector<double> read() const { return decoded(type, array); }

  static std::vector<unsigned char> encoded(Dtype type, const std::vector<double>& values) {
    std::vector<unsigned char> bytes(values.size() * bytes_of(type, 1));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto x = static_cast<float>(values[i]);
      if (type == Dtype::f32) std::memcpy(&bytes[4 * i], &x, 4);
      const uint16_t half = type == Dtype::f16 ? to_f16(x).bits : to_bf16(x).bits;
      if (type != Dtype::f32) std::memcpy(&bytes[2 * i], &half, 2);
    }
    return bytes;
  }
  static std::vector<double> decoded(Dtype type, const DeviceArray& array) {
    std::vector<double> result;
    if (type == Dtype::f32) {
      for (const float x : array.values<float>()) result.push_back(x);
    } else {
      for (const uint16_t x : array.values<uint16_t>())
        result.push_back(type == Dtype::f16 ? to_float(f16{x}) : to_float(bf16{x}));
    }
    return result;
  }
};

// Half a unit in the last place of a number around 1.
inline double rounding(Dtype type) {
  return type == Dtype::f32 ? 6e-8 : type == Dtype::f16 ? 4.9e-4 : 3.9e-3;
}

inline double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x * M_SQRT1_2));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return x;
}

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0)
      GTEST_SKIP() << "no CUDA device on this machine";
  }
  std::vector<double> random(int64_t count, double low = -1, double high = 1) {
    std::uniform_real_distribution<double> uniform(low, high);
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& value : values) value = uniform(random_);
    return values;
  }
  int64_t random_integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  template <class T>
  std::vector<T> random_integers(int64_t count, int64_t low, int64_t high) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) value = static_cast<T>(random_integer(low, high));
    return values;
  }
  std::mt19937_64 random_{std::random_device{}()};
};

class FloatCudaTest : public CudaTest, public testing::WithParamInterface<Dtype> {};

inline std::string type_name(const testing::TestParamInfo<Dtype>& info) {
  return std::string(to_string(info.param));
}

#define TERCEL_FLOAT_CUDA_SUITE(name)                                                         \
  INSTANTIATE_TEST_SUITE_P(Types, name, testing::Values(Dtype::f32, Dtype::f16, Dtype::bf16), \
                           type_name)

// |out - expected| <= absolute + relative |expected|, and NaN where NaN is expected.
inline void expect_near(const std::vector<double>& out, const std::vector<double>& expected,
                        double relative, double absolute, const std::string& what = "") {
  ASSERT_EQ(out.size(), expected.size()) << what;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(out[i])) << what << " at " << i << ": " << out[i];
    } else if (std::isinf(expected[i])) {
      ASSERT_EQ(out[i], expected[i]) << what << " at " << i;
    } else {
      ASSERT_LE(std::fabs(out[i] - expected[i]), absolute + relative * std::fabs(expected[i]))
          << what << " at " << i << ": " << out[i] << ", expected " << expected[i];
    }
  }
}

}  // namespace tercel::kernels::cuda

#pragma once
// What tests of sessions on cuda:0 share.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "src/device/cuda_library.h"
#include "tercel/session.h"
#include "tests/source_folder.h"

namespace tercel {

inline const std::filesystem::path kCheckpoints =
    source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints";

class CudaSession : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_devices().devices.empty()) GTEST_SKIP() << cuda_devices().missing;
    ::setenv("TERCEL_CACHE_DIR", kCache.c_str(), 1);
  }
  static inline const std::string kCache = testing::TempDir() + "session_cuda_test";

  // Rows of random tokens, padded on the right; without padding when `full`.
  NamedTensors inputs(const std::vector<TensorInfo>& wanted, int64_t batch, int64_t length,
                      bool full) {
    std::vector<int64_t> lengths;
    for (int64_t b = 0; b < batch; ++b)
      lengths.push_back(full || b == 0 ? length : 1 + static_cast<int64_t>(random_()) % length);
    NamedTensors all;
    for (const TensorInfo& info : wanted) {
      Tensor tensor(Dtype::i64, {batch, length});
      for (int64_t i = 0; i < tensor.size(); ++i) {
        const bool real = i % length < lengths[static_cast<std::size_t>(i / length)];
        const auto token = static_cast<int64_t>(2 + random_() % 20);
        tensor.values<int64_t>()[static_cast<std::size_t>(i)] =
            info.name == "attention_mask"   ? int64_t{real}
            : info.name == "token_type_ids" ? int64_t{real} * (token % 2)
            : real                          ? token
                                            : 1;
      }
      all.emplace(info.name, tensor);
    }
    return all;
  }

  std::mt19937 random_{std::random_device{}()};
};

// The greatest difference over the greatest element; infinite where there is no number.
inline double distance(const Tensor& a, const Tensor& b) {
  double most = 0, size = 1e-6;
  if (a.shape() != b.shape()) return INFINITY;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.size()); ++i) {
    const double x = a.values<float>()[i], y = b.values<float>()[i];
    if (!std::isfinite(x)) return INFINITY;
    most = std::max(most, std::fabs(x - y));
    size = std::max(size, std::fabs(y));
  }
  return most / size;
}

// Of the angle between their elements; 0 where there is no number.
inline double cosine(const Tensor& a, const Tensor& b) {
  double product = 0, a_size = 1e-30, b_size = 1e-30;
  if (a.shape() != b.shape()) return 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.size()); ++i) {
    const double x = a.values<float>()[i], y = b.values<float>()[i];
    product += x * y;
    a_size += x * x;
    b_size += y * y;
  }
  const double value = product / std::sqrt(a_size * b_size);
  return std::isfinite(value) ? value : 0;
}

}  // namespace tercel

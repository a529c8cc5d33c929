#pragma once
// What the tests of the kernels share.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "src/base/thread_pool.h"
#include "src/kernels/cpu/kernels.h"

namespace tercel::kernels {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Those whose vectors differ: what most kernels are compiled for. Others are tested on cpu_isas().
inline std::vector<CpuIsa> vector_isas() {
  std::vector<CpuIsa> isas;
  for (const CpuIsa isa : {CpuIsa::generic, CpuIsa::avx2, CpuIsa::avx512}) {
    if (cpu_has(isa)) isas.push_back(isa);
  }
  return isas;
}

inline std::vector<CpuIsa> bf16_isas() {
  std::vector<CpuIsa> isas;
  for (const CpuIsa isa : {CpuIsa::avx512_bf16, CpuIsa::amx}) {
    if (cpu_has(isa)) isas.push_back(isa);
  }
  return isas;
}

inline std::string isa_name(const testing::TestParamInfo<CpuIsa>& info) {
  return std::string(to_string(info.param));
}

// A block at a 64-byte boundary, for packed weights and workspaces; full of NaN at first, so that
// what a kernel forgot to write shows.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : data_(std::aligned_alloc(64, (bytes / 64 + 1) * 64)) {
    std::memset(data_, 0xff, bytes);
  }
  ~Memory() { std::free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* get() const { return data_; }

 private:
  void* data_;
};

inline std::vector<float> random_floats(std::mt19937& random, int64_t count, float low = -1,
                                        float high = 1) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = uniform(random);
  return values;
}

inline bool same_bits(const float* a, const float* b, int64_t count) {
  return count == 0 || std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof(float)) == 0;
}

// Each test of a family runs on each instruction set that the machine has.
class PerIsa : public testing::TestWithParam<CpuIsa> {
 protected:
  const CpuKernels& kernels_ = cpu_kernels(GetParam());
  std::mt19937 random_{20240611};
  ThreadPool one_{1};
  ThreadPool three_{3};
};

}  // namespace tercel::kernels

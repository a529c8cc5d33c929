// Conversions. Every type is read into one of three wide ones (i64, u64, f64) and written from it,
// a block at a time: a loop for each type and not for each pair. Between f32 and the half types the
// vectorised kernels are used.

#include <array>
#include <cmath>
#include <cstring>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

constexpr int64_t kBlock = 512;

// Rounds to odd, so that a second rounding to a shorter type is that of the exact value.
float narrowed(double value) {
  const auto rounded = static_cast<float>(value);
  const auto back = static_cast<double>(rounded);
  if (back == value || !std::isfinite(rounded)) return rounded;
  auto bits = std::bit_cast<uint32_t>(rounded);
  if (std::abs(back) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

// As the processor truncates: what does not fit is INT64_MIN, and shorter types keep its low bits.
int64_t truncated(double value) {
  return value >= -0x1p63 && value < 0x1p63 ? static_cast<int64_t>(value) : INT64_MIN;
}

template <class T, class Wide>
T written(Wide value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (is_half_type<T>) {
    if constexpr (std::is_same_v<Wide, double>)
      return store<T>(narrowed(value));
    else
      return store<T>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<Wide, double> && std::is_same_v<T, uint64_t>) {
    return value >= 0x1p63 && value < 0x1p64 ? static_cast<uint64_t>(value)
                                             : static_cast<uint64_t>(truncated(value));
  } else if constexpr (std::is_same_v<Wide, double> && std::is_integral_v<T>) {
    return static_cast<T>(truncated(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class Wide>
using Reader = void (*)(const void* from, int64_t begin, int64_t count, Wide* to);
template <class Wide>
using Writer = void (*)(const Wide* from, int64_t count, void* to, int64_t begin);

template <class T, class Wide>
void read_block(const void* from, int64_t begin, int64_t count, Wide* to) {
  const T* source = static_cast<const T*>(from) + begin;
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Wide>(load(source[i]));
}

template <class T, class Wide>
void write_block(const Wide* from, int64_t count, void* to, int64_t begin) {
  T* target = static_cast<T*>(to) + begin;
  for (int64_t i = 0; i < count; ++i) target[i] = written<T>(from[i]);
}

template <class Wide, class Source>
void convert(Types<Wide>, Source sources, const Tensor& in, Tensor& out, ThreadPool& pool) {
  Reader<Wide> read = nullptr;
  Writer<Wide> write = nullptr;
  dispatch_dtype(sources, in.dtype(),
                 [&](auto tag) { read = read_block<typename decltype(tag)::type, Wide>; });
  dispatch_dtype(AllTypes{}, out.dtype(),
                 [&](auto tag) { write = write_block<typename decltype(tag)::type, Wide>; });
  pool.parallel_for(in.size(), kGrain, [&](int64_t begin, int64_t end) {
    std::array<Wide, kBlock> block;
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t count = std::min(kBlock, end - at);
      read(in.data(), at, count, block.data());
      write(block.data(), count, out.data(), at);
    }
  });
}

using SignedSources = decltype(SignedTypes{} + Types<bool, uint8_t, uint16_t, uint32_t>{});

void convert_any(const Tensor& in, Tensor& out, ThreadPool& pool) {
  if (contains(FloatTypes{}, in.dtype()))
    convert(Types<double>{}, FloatTypes{}, in, out, pool);
  else if (in.dtype() == Dtype::u64)
    convert(Types<uint64_t>{}, Types<uint64_t>{}, in, out, pool);
  else
    convert(Types<int64_t>{}, SignedSources{}, in, out, pool);
}

class HalfCast final : public CpuKernel {
 public:
  explicit HalfCast(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa).convert) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    kernels_.convert({in.size(), in.data(), in.dtype(), out.data(), out.dtype()}, run.pool);
  }

 private:
  const kernels::ConvertKernels& kernels_;
};

class AnyCast final : public CpuKernel {
 public:
  explicit AnyCast(const KernelContext& context)
      : same_(context.input_dtype(0) == context.output_dtype(0)) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    if (!same_)
      convert_any(in, out, run.pool);
    else if (element_bytes(in.dtype()) != 0)
      copy_all(in, out, run.pool);
    else if (in.data() != out.data() && in.bytes() > 0)
      std::memcpy(out.data(), in.data(), in.bytes());
  }
  bool in_place(int input) const override { return same_ && input == 0; }

 private:
  bool same_;
};

std::string refuse_half(const KernelContext& context) {
  const auto half = [](Dtype dtype) { return dtype == Dtype::f16 || dtype == Dtype::bf16; };
  const Dtype from = context.input_dtype(0);
  const Dtype to = context.output_dtype(0);
  if ((from == Dtype::f32 && half(to)) || (half(from) && to == Dtype::f32)) return {};
  return "converts between f32 and f16 or bf16 only";
}

std::string refuse_any(const KernelContext& context) {
  const Dtype from = context.input_dtype(0);
  const Dtype to = context.output_dtype(0);
  if (from == to && from != Dtype::undefined) return {};
  for (const Dtype dtype : {from, to}) {
    if (!contains(AllTypes{}, dtype))
      return fmt::format("{} is not converted: only numbers of 8 to 64 bits and booleans are",
                         to_string(dtype));
  }
  return {};
}

}  // namespace

const CpuImplementation kCastCpu[2] = {{"cast_half", refuse_half, create_kernel<HalfCast>},
                                       {"cast", refuse_any, create_kernel<AnyCast>}};

}  // namespace tercel::ops

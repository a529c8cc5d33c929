// Conversions. Every type is read into one of three wide ones (i64, u64, f64) and written from it,
// a block at a time: a loop for each type and not for each pair. Between f32 and the half types the
// vectorised kernels are used. Text has a kernel of its own, in cast_text_cpu.cc.

#include "src/ops/tensor/cast_cpu.h"

#include <array>
#include <cmath>
#include <cstring>

#include "src/base/packed.h"
#include "src/base/small_float.h"
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

// How a type is read and written; the functions look at what concerns them.
struct Target {
  Dtype dtype;
  SmallFloatOptions small_float;
};

template <class Wide>
using Reader = void (*)(Dtype dtype, const void* from, int64_t begin, int64_t count, Wide* to);
template <class Wide>
using Writer = void (*)(const Target& target, const Wide* from, int64_t count, void* to,
                        int64_t begin);

template <class T, class Wide>
void read_block(Dtype, const void* from, int64_t begin, int64_t count, Wide* to) {
  const T* source = static_cast<const T*>(from) + begin;
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Wide>(load(source[i]));
}

template <class T, class Wide>
void write_block(const Target&, const Wide* from, int64_t count, void* to, int64_t begin) {
  T* target = static_cast<T*>(to) + begin;
  for (int64_t i = 0; i < count; ++i) target[i] = written<T>(from[i]);
}

uint8_t code_at(const void* data, int64_t index, int bits) {
  return bits == 8 ? static_cast<const uint8_t*>(data)[index] : packed_element(data, index, bits);
}

void set_code(void* data, int64_t index, int bits, uint8_t code) {
  if (bits == 8)
    static_cast<uint8_t*>(data)[index] = code;
  else
    set_packed_element(data, index, bits, code);
}

void read_small_floats(Dtype dtype, const void* from, int64_t begin, int64_t count, double* to) {
  const int bits = bits_of(dtype);
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<double>(small_float_value(dtype, code_at(from, begin + i, bits)));
}

template <class Wide>
void write_small_floats(const Target& target, const Wide* from, int64_t count, void* to,
                        int64_t begin) {
  const int bits = bits_of(target.dtype);
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(from[i]);
    set_code(to, begin + i, bits, small_float_code(target.dtype, value, target.small_float));
  }
}

void read_packed(Dtype dtype, const void* from, int64_t begin, int64_t count, int64_t* to) {
  const int bits = bits_of(dtype);
  const int64_t sign = dtype == Dtype::i4 || dtype == Dtype::i2 ? int64_t{1} << (bits - 1) : 0;
  for (int64_t i = 0; i < count; ++i)
    to[i] = (int64_t{packed_element(from, begin + i, bits)} ^ sign) - sign;
}

template <class Wide>
void write_packed(const Target& target, const Wide* from, int64_t count, void* to, int64_t begin) {
  for (int64_t i = 0; i < count; ++i)
    set_packed_element(to, begin + i, bits_of(target.dtype), written<uint8_t>(from[i]));
}

bool is_packed_integer(Dtype dtype) { return is_integer(dtype) && bits_of(dtype) < 8; }

template <class Wide>
Writer<Wide> writer_of(Dtype dtype) {
  if (is_small_float(dtype)) return write_small_floats<Wide>;
  if (is_packed_integer(dtype)) return write_packed<Wide>;
  Writer<Wide> write = nullptr;
  dispatch_dtype(AllTypes{}, dtype,
                 [&](auto tag) { write = write_block<typename decltype(tag)::type, Wide>; });
  return write;
}

template <class Wide, class Source>
Reader<Wide> reader_of(Source sources, Dtype dtype) {
  Reader<Wide> read = nullptr;
  dispatch_dtype(sources, dtype,
                 [&](auto tag) { read = read_block<typename decltype(tag)::type, Wide>; });
  return read;
}

template <class Wide>
void convert(Reader<Wide> read, const Tensor& in, Tensor& out, const Target& target,
             ThreadPool& pool) {
  const Writer<Wide> write = writer_of<Wide>(target.dtype);
  const auto share = [&](int64_t begin, int64_t end) {
    std::array<Wide, kBlock> block;
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t count = std::min(kBlock, end - at);
      read(in.dtype(), in.data(), at, count, block.data());
      write(target, block.data(), count, out.data(), at);
    }
  };
  if (bits_of(target.dtype) >= 8) return pool.parallel_for(in.size(), kGrain, share);
  // Neighbours share bytes: one thread writes them all.
  std::memset(out.data(), 0, out.bytes());
  share(0, in.size());
}

using SignedSources = decltype(SignedTypes{} + Types<bool, uint8_t, uint16_t, uint32_t>{});

void convert_any(const Tensor& in, Tensor& out, const Target& target, ThreadPool& pool) {
  if (is_small_float(in.dtype()))
    convert<double>(read_small_floats, in, out, target, pool);
  else if (is_packed_integer(in.dtype()))
    convert<int64_t>(read_packed, in, out, target, pool);
  else if (contains(FloatTypes{}, in.dtype()))
    convert(reader_of<double>(FloatTypes{}, in.dtype()), in, out, target, pool);
  else if (in.dtype() == Dtype::u64)
    convert(reader_of<uint64_t>(Types<uint64_t>{}, in.dtype()), in, out, target, pool);
  else
    convert(reader_of<int64_t>(SignedSources{}, in.dtype()), in, out, target, pool);
}

SmallFloatOptions small_float_options(const ir::Node& node) {
  SmallFloatOptions options;
  options.saturate = node.int_or("saturate", 1) != 0;
  const std::string mode = node.string_or("round_mode", "up");
  if (mode == "nearest")
    options.rounding = ScaleRounding::nearest;
  else if (mode == "down")
    options.rounding = ScaleRounding::down;
  else if (mode != "up")
    fail(Errc::invalid_file, "{} round_mode \"{}\": expected up, down or nearest", node.label(),
         mode);
  return options;
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
      : same_(context.input_dtype(0) == context.output_dtype(0)),
        target_{context.output_dtype(0), small_float_options(context.node)} {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    if (!same_)
      convert_any(in, out, target_, run.pool);
    else if (element_bytes(in.dtype()) != 0)
      copy_all(in, out, run.pool);
    else if (in.data() != out.data() && in.bytes() > 0)
      std::memcpy(out.data(), in.data(), in.bytes());
  }
  bool in_place(int input) const override { return same_ && input == 0; }

 private:
  bool same_;
  Target target_;
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
    if (!contains(AllTypes{}, dtype) && !is_small_float(dtype) && !is_packed_integer(dtype))
      return fmt::format("{} is not converted", to_string(dtype));
  }
  return {};
}

}  // namespace

const CpuImplementation kCastCpu[3] = {
    {"cast_half", refuse_half, create_kernel<HalfCast>},
    {"cast", refuse_any, create_kernel<AnyCast>},
    {"cast_text", refuse_text_cast, create_text_cast},
};

}  // namespace tercel::ops

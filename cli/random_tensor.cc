#include "cli/random_tensor.h"

#include <algorithm>
#include <charconv>

#include "cli/files.h"

namespace tercel::cli {
namespace {

[[noreturn]] void malformed(std::string_view description) {
  reject("--random …={}: expected a shape such as 2x128, with a type as in 2x128:i64 if need be",
         description);
}

Shape parse_shape(std::string_view text, std::string_view description) {
  Shape shape;
  if (text == "scalar") return shape;
  while (true) {
    int64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || size < 0) malformed(description);
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) return shape;
    if (text.front() != 'x') malformed(description);
    text.remove_prefix(1);
  }
}

template <class T>
void fill_uniform(Tensor& tensor, std::mt19937_64& generator) {
  std::uniform_real_distribution<T> uniform(-1, 1);
  auto* out = static_cast<T*>(tensor.data());
  std::generate_n(out, tensor.size(), [&] { return uniform(generator); });
}

template <class T>
void fill_bits(Tensor& tensor, std::mt19937_64& generator) {
  auto* out = static_cast<T*>(tensor.data());
  std::generate_n(out, tensor.size(), [&] { return static_cast<T>(generator() >> 63); });
}

// `half` is 0.5; the bits of `mantissa` and the sign are free.
void fill_half(Tensor& tensor, uint16_t half, uint16_t mantissa, std::mt19937_64& generator) {
  const auto free = static_cast<uint16_t>(mantissa | 0x8000U);
  auto* out = static_cast<uint16_t*>(tensor.data());
  std::generate_n(out, tensor.size(),
                  [&] { return static_cast<uint16_t>(half | ((generator() >> 40) & free)); });
}

}  // namespace

Tensor random_tensor(std::string_view description, Dtype dtype, std::mt19937_64& generator) {
  const std::size_t colon = description.find(':');
  if (colon != std::string_view::npos) {
    const auto named = parse_dtype(description.substr(colon + 1));
    if (!named) malformed(description);
    dtype = *named;
  }
  Tensor tensor(dtype, parse_shape(description.substr(0, colon), description));
  switch (dtype) {
    case Dtype::f32:
      fill_uniform<float>(tensor, generator);
      break;
    case Dtype::f64:
      fill_uniform<double>(tensor, generator);
      break;
    case Dtype::f16:
      fill_half(tensor, 0x3800, 0x03FF, generator);
      break;
    case Dtype::bf16:
      fill_half(tensor, 0x3F00, 0x007F, generator);
      break;
    case Dtype::boolean:
    case Dtype::i8:
    case Dtype::u8:
      fill_bits<uint8_t>(tensor, generator);
      break;
    case Dtype::i16:
    case Dtype::u16:
      fill_bits<uint16_t>(tensor, generator);
      break;
    case Dtype::i32:
    case Dtype::u32:
      fill_bits<uint32_t>(tensor, generator);
      break;
    case Dtype::i64:
    case Dtype::u64:
      fill_bits<uint64_t>(tensor, generator);
      break;
    default:
      throw Error(Errc::unsupported,
                  fmt::format("--random: no random elements of type {}", to_string(dtype)));
  }
  return tensor;
}

}  // namespace tercel::cli

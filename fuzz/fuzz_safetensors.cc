// Any bytes as a safetensors file: an Error, or tensors that can be read to the last byte.

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/hub/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const auto source = tercel::hub::parse_safetensors(
        std::as_bytes(std::span<const uint8_t>(data, size)), "fuzz.safetensors");
    for (const std::string& name : source->names()) {
      const tercel::Tensor tensor = source->find(name);
      const auto* bytes = static_cast<const volatile unsigned char*>(tensor.data());
      for (std::size_t i = 0; i < tensor.bytes(); ++i) (void)bytes[i];
    }
  } catch (const tercel::Error&) {
  }
  return 0;
}

// Any bytes as pytorch_model.bin, and as a pickle alone: an Error, or tensors that can be read to
// the last byte.

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/hub/pickle.h"
#include "src/hub/pytorch_bin.h"

namespace {

using namespace tercel;

void read_file(std::span<const std::byte> bytes) {
  const auto source = hub::parse_pytorch_bin(bytes, "fuzz.bin");
  for (const std::string& name : source->names()) {
    const Tensor tensor = source->find(name);
    const auto* data = static_cast<const volatile unsigned char*>(tensor.data());
    for (std::size_t i = 0; i < tensor.bytes(); ++i) (void)data[i];
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    read_file(bytes);
  } catch (const Error&) {
  }
  try {
    hub::read_pickle(bytes, "fuzz.pkl");
  } catch (const Error&) {
  }
  return 0;
}

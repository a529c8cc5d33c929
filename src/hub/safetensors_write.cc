#include <cstddef>
#include <cstdint>
#include <set>

#include <nlohmann/json.hpp>

#include "src/base/atomic_file.h"
#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/hub/safetensors.h"
#include "src/hub/safetensors_dtype.h"

namespace tercel::hub {
namespace {

std::string header_of(std::span<const std::pair<std::string, Tensor>> tensors,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t begin = 0;
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    const auto dtype = safetensors_name(tensor.dtype());
    if (dtype.empty()) {
      fail(Errc::invalid_argument, "tensor \"{}\": safetensors has no element type {}", name,
           to_string(tensor.dtype()));
    }
    if (name == "__metadata__" || !names.insert(name).second) {
      fail(Errc::invalid_argument, "tensor \"{}\": expected a name of its own", name);
    }
    const int64_t end = checked_add(begin, static_cast<int64_t>(tensor.bytes()));
    header[name] = {{"dtype", dtype}, {"shape", tensor.shape()}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail(Errc::invalid_argument, "names and metadata of a safetensors file must be UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  std::string length;
  for (int i = 0; i < 8; ++i) {
    length += static_cast<char>((uint64_t{header.size()} >> (8 * i)) & 0xffU);
  }
  AtomicFile file(path);
  file.write(length);
  file.write(header);
  for (const auto& [name, tensor] : tensors) {
    file.write(std::span(static_cast<const std::byte*>(tensor.data()), tensor.bytes()));
  }
  file.commit();
}

}  // namespace tercel::hub

#include "tercel/npy.h"

#include <algorithm>
#include <bit>
#include <fstream>

#include "src/base/atomic_file.h"
#include "src/base/fail.h"
#include "src/data/npy_header.h"

namespace tercel {
namespace {

Tensor widened(const Tensor& tensor) {
  Tensor result(Dtype::f32, tensor.shape());
  const auto* from = static_cast<const uint16_t*>(tensor.data());
  std::transform(from, from + tensor.size(), result.values<float>().begin(), [](uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  });
  return result;
}

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    fail(Errc::not_found, "{}: no such file; give one that numpy.save wrote", name);
  }
  std::size_t left = std::filesystem::file_size(path, error);
  const auto read = [&](void* out, std::size_t count) {
    if (count > left) return false;
    left -= count;
    return bool(file.read(static_cast<char*>(out), static_cast<std::streamsize>(count)));
  };
  const data::NpyHeader header = data::read_npy_header(name, read);
  const std::size_t size = bytes_of(header.dtype, element_count(header.shape));
  if (size != left) {
    data::malformed_npy(name, fmt::format("{} bytes of elements where {} of {} take {}", left,
                                          to_string(header.shape), to_string(header.dtype), size));
  }
  Tensor tensor(header.dtype, header.shape);
  if (size > 0 && !read(tensor.data(), size)) data::malformed_npy(name, "it ends too early");
  data::normalize_booleans(tensor);
  return tensor;
}

void check_npy_dtype(const Tensor& tensor, std::string_view name) {
  if (tensor.dtype() == Dtype::bf16) return;
  try {
    data::npy_header(tensor.dtype(), {});
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", name, error.what());
  }
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  check_npy_dtype(tensor, path.string());
  if (tensor.dtype() == Dtype::bf16) return write_npy(path, widened(tensor));
  AtomicFile file(path);
  file.write(data::npy_header(tensor.dtype(), tensor.shape()));
  file.write(std::span(static_cast<const std::byte*>(tensor.data()), tensor.bytes()));
  file.commit();
}

}  // namespace tercel

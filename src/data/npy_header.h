#pragma once
// What an .npy file says of its array before the elements come.

#include <cstddef>
#include <string>

#include "src/base/function_ref.h"
#include "tercel/tensor.h"

namespace tercel::data {

struct NpyHeader {
  Dtype dtype = Dtype::undefined;
  Shape shape;
};

// Fills a buffer with the next bytes of the file; false when it ends before.
using ReadBytes = FunctionRef<bool(void* out, std::size_t count)>;

// `name` is what messages call the file. Throws Errc::invalid_file, Errc::unsupported.
NpyHeader read_npy_header(const std::string& name, ReadBytes read);

// The header that numpy would write. With `room` bytes it is padded to that size, so that a later
// one with more rows can take its place.
std::string npy_header(Dtype dtype, const Shape& shape, std::size_t room = 0);

// numpy's booleans may be any byte: 0 or 1 afterwards.
void normalize_booleans(Tensor& tensor);

[[noreturn]] void malformed_npy(const std::string& name, std::string_view what);

}  // namespace tercel::data

#include <cstdio>

#include <tercel/dtype.h>
#include <tercel/error.h>
#include <tercel/tensor.h>
#include <tercel/version.h>

// Uses a class, free functions and an exception across the library's boundary, so that a symbol
// that is not exported fails here.
int main() {
  const auto tensor = tercel::Tensor::from({1.0F, 2.0F, 3.0F}, {3});
  try {
    tensor.reshape({2, 2});
    return 1;
  } catch (const tercel::Error& error) {
    if (error.code() != tercel::Errc::invalid_argument) return 1;
  }
  if (tercel::parse_dtype("f16") != tercel::Dtype::f16) return 1;
  std::printf("tercel %s\n", std::string(tercel::version()).c_str());
  return 0;
}

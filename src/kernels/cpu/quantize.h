#pragma once
// Between numbers, sums of products of bytes, and bytes. A byte is the nearest integer, ties to
// even, plus the zero point, within what the type holds; NaN counts as 0.

#include <cstdint>

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

struct ByteType {
  bool is_signed = false;  // int8_t, else uint8_t
  int32_t zero = 0;
};

// bytes[i] = the byte of numbers[i] / scale.
struct QuantizeArgs {
  int64_t count = 0;
  const float* numbers = nullptr;
  void* bytes = nullptr;
  ByteType type;
  float scale = 1;
};

// numbers[i] = (bytes[i] - zero) · scale
struct DequantizeArgs {
  int64_t count = 0;
  const void* bytes = nullptr;
  ByteType type;
  float scale = 1;
  float* numbers = nullptr;
};

// bytes[r, c] = the byte of (sums[r, c] + bias[c]) · scales[r · scales_row + c].
struct RequantizeArgs {
  int64_t rows = 0, columns = 0;
  const int32_t* sums = nullptr;
  const int32_t* bias = nullptr;  // or absent
  const float* scales = nullptr;
  int64_t scales_row = 0;  // 0: those of one row are for all
  void* bytes = nullptr;
  ByteType type;
};

// y[i] = the byte of the sum of both (bytes[i] - zero) · scale.
struct ByteAddend {
  const void* bytes = nullptr;
  ByteType type;
  float scale = 1;  // over that of the sum
};
struct AddBytesArgs {
  int64_t count = 0;
  ByteAddend a, b;
  void* y = nullptr;
  ByteType type;
};

struct QuantizeKernels {
  void (*quantize)(const QuantizeArgs& args, ThreadPool& pool);
  void (*dequantize)(const DequantizeArgs& args, ThreadPool& pool);
  void (*requantize)(const RequantizeArgs& args, ThreadPool& pool);
  void (*add)(const AddBytesArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels

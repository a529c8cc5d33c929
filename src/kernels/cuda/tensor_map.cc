#include "src/kernels/cuda/tensor_map.h"

#include <array>

#include "src/base/fail.h"

namespace tercel::kernels::cuda {
namespace {

// Of the driver, which is not linked: it may not be there.
auto find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t result = cudaGetDriverEntryPointByVersion(
      "cuTensorMapEncodeTiled", &function, CUDA_VERSION, cudaEnableDefault, &found);
  if (result != cudaSuccess || found != cudaDriverEntryPointSuccess)
    fail(Errc::internal, "the NVIDIA driver has no cuTensorMapEncodeTiled");
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

CUtensorMapDataType data_type(Dtype type) {
  return type == Dtype::f16    ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
         : type == Dtype::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                               : CU_TENSOR_MAP_DATA_TYPE_UINT8;
}

}  // namespace

CUtensorMap make_tensor_map(const TensorMapArgs& args) {
  static const auto encode = find_encode();
  const int64_t element = bits_of(args.type) / 8;
  const auto bytes = [&](int64_t elements) { return static_cast<cuuint64_t>(element * elements); };
  const bool many = args.batch > 1 && args.batch_stride != 0;
  const std::array<cuuint64_t, 3> sizes{static_cast<cuuint64_t>(args.columns),
                                        static_cast<cuuint64_t>(args.rows),
                                        static_cast<cuuint64_t>(many ? args.batch : 1)};
  const std::array<cuuint64_t, 2> strides{
      bytes(args.row_stride), bytes(many ? args.batch_stride : args.rows * args.row_stride)};
  const std::array<cuuint32_t, 3> box{static_cast<cuuint32_t>(128 / element),
                                      static_cast<cuuint32_t>(args.box_rows), 1};
  const std::array<cuuint32_t, 3> every{1, 1, 1};
  CUtensorMap map;
  const CUresult result = encode(
      &map, data_type(args.type), 3, const_cast<void*>(args.data), sizes.data(), strides.data(),
      box.data(), every.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    fail(Errc::internal, "cuTensorMapEncodeTiled: error {} of the driver",
         static_cast<int>(result));
  }
  return map;
}

}  // namespace tercel::kernels::cuda

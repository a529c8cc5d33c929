#include "src/ops/cuda_tables.h"

#include <array>

#include "src/device/cuda/device.h"
#include "src/device/cuda_library.h"
#include "src/ops/cuda_util.h"
#include "tercel/export.h"
#include "tercel/version.h"

namespace tercel::ops {

const KernelTable& cuda_kernel_table() {
  static const std::array kFamilies{
      product_cuda_ops(), elementwise_cuda_ops(), normalization_cuda_ops(), attention_cuda_ops(),
      conv_cuda_ops(),    pool_cuda_ops(),        resize_cuda_ops(),        move_cuda_ops(),
      index_cuda_ops(),   reduction_cuda_ops()};
  static const KernelTable kTable(kFamilies);
  return kTable;
}

}  // namespace tercel::ops

// The one function that libtercel_cuda.so exports.
extern "C" TERCEL_API const tercel::CudaLibrary* tercel_cuda_library() {
  static const tercel::CudaLibrary kLibrary{
      tercel::version().data(),   tercel::kCudaLibraryInterface,
      tercel::cuda::open_devices, &tercel::ops::cuda_kernel_table(),
      tercel::ops::convert,       tercel::ops::tuned,
      tercel::ops::take_tuned};
  return &kLibrary;
}

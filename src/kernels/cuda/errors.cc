#include "src/base/fail.h"
#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

void check_cuda(cudaError_t result, const char* call) {
  if (result == cudaSuccess) return;
  fail(result == cudaErrorMemoryAllocation ? Errc::out_of_memory : Errc::internal, "{}: {} ({})",
       call, cudaGetErrorString(result), cudaGetErrorName(result));
}

void check_launch(const char* kernel) { check_cuda(cudaGetLastError(), kernel); }

void unsupported_type(const char* kernel, Dtype type) {
  fail(Errc::unsupported, "the CUDA kernel {} takes no {}", kernel, to_string(type));
}

void unsupported_size(const char* kernel, const char* what, int64_t value) {
  fail(Errc::unsupported, "the CUDA kernel {} takes no {} of {}", kernel, what, value);
}

namespace {

int attribute(cudaDeviceAttr which) {
  int device = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  int value = 0;
  check_cuda(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

int multiprocessors() {
  static const int count = attribute(cudaDevAttrMultiProcessorCount);
  return count;
}

int compute_capability() {
  static const int capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor) +
                                attribute(cudaDevAttrComputeCapabilityMinor);
  return capability;
}

bool has_hopper_kernels() {
#if defined(TERCEL_SM_90A)
  return compute_capability() == 90;
#else
  return false;
#endif
}

}  // namespace tercel::kernels::cuda

#pragma once
// What CUDA implementations share: shapes in the kernels' terms, and constants in the device's
// memory. Pointers of a KernelRun's tensors are the device's, but for inputs that a kernel reads on
// the host.

#include <span>
#include <string>

#include "src/kernels/cuda/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/kernel.h"

namespace tercel::ops {

namespace cuda = kernels::cuda;

inline cudaStream_t stream_of(const KernelRun& run) {
  return static_cast<cudaStream_t>(run.stream->native());
}

// Bytes of one element, 0 for types of less than a byte and for objects.
int element_bytes_of(Dtype dtype);

// Throws Errc::unsupported for more dimensions than the kernels take.
cuda::Extents extents(std::span<const int64_t> dims);
// A broadcast of up to three operands over the output, merged where it goes on contiguously.
struct DeviceBroadcast {
  cuda::Extents dims;
  cuda::Extents strides[BroadcastLoop::kMaxOperands];
};
DeviceBroadcast device_broadcast(const Shape& out, std::initializer_list<const Shape*> inputs);

// Input `index` of a run; null when it is left out.
inline const Tensor* input_of(const KernelRun& run, std::size_t index) {
  return run.inputs.size() > index && run.inputs[index].defined() ? &run.inputs[index] : nullptr;
}
inline const void* data_of(const Tensor* tensor) {
  return tensor != nullptr ? tensor->data() : nullptr;
}

cuda::Activation to_device(Activation activation);

// A constant in the device's memory, its floating-point elements as `dtype`. It is there when the
// kernel runs; who reads it before waits for context.uploads.
Tensor keep(const KernelContext& context, const Tensor& constant, Dtype dtype);
// Constants of one shape as one, [count, shape…]; one that is undefined is zeros.
Tensor keep_stacked(const KernelContext& context, std::span<const Tensor> constants, Dtype dtype);

// Refusals: f32, f16 and bf16; elements of whole bytes; no more dimensions than the kernels take.
std::string refuse_unless_float(const KernelContext& context);  // of input 0
std::string refuse_unless_bytes(const KernelContext& context);  // of output 0
bool has_constant(const KernelContext& context, int index);     // or the input is left out

// As the library's table promises (src/device/cuda_library.h).
void convert(void* to, Dtype to_type, const void* from, Dtype from_type, int64_t count,
             Stream& stream);

std::string tuned(Device& device);
void take_tuned(Device& device, std::string_view text);

// The products of a device; made at the first call.
cuda::GemmLibrary& gemm_library(Device& device);
// The convolutions of a device; made at the first call.
cuda::ConvLibrary& conv_library(Device& device);

}  // namespace tercel::ops

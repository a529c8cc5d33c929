#pragma once
// What holds for every CUDA kernel here.
//
// A function enqueues its kernels on `stream` of the current device and returns; it allocates
// nothing, synchronises with nothing and may be captured into a graph, unless its header says
// otherwise. Pointers are device pointers, aligned to their element; where 16-byte alignment is
// faster it is used when it is there. Strides are in elements. Sizes may be zero: then nothing is
// written. In and out may not overlap unless a header says so.
//
// Scratch memory comes from the caller: `…_scratch(args)` bytes, 256-byte aligned, free again once
// the stream has passed the call. Pointers are not looked at for it.
//
// Sums, softmax and norms are f32 whatever the element type. Booleans are bytes, 0 or 1.
//
// Errors: Errc::unsupported for an element type or a size that no kernel takes; Errc::internal when
// the driver refuses a launch. Faults in a kernel show at a later synchronisation of the stream.
//
// Indices read from memory are checked on the device: one out of range reads nothing (the result is
// zero) or writes nothing, and sets *error to 1 where `error` is given.

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "tercel/dtype.h"

namespace tercel::kernels::cuda {

constexpr int kMaxRank = 8;

// The sizes of an array, or a stride for each of its dimensions; the outermost comes first.
struct Extents {
  int rank = 0;
  int64_t at[kMaxRank] = {};
};

// Throws Errc::internal naming `kernel` when the last launch of this thread was refused.
void check_launch(const char* kernel);
// Throws Errc::internal naming the call when `result` is an error.
void check_cuda(cudaError_t result, const char* call);
// Throws Errc::unsupported: "the CUDA kernel gemm takes no i4".
[[noreturn]] void unsupported_type(const char* kernel, Dtype type);
// Throws Errc::unsupported: "the CUDA kernel attention takes no …", `what` in words.
[[noreturn]] void unsupported_size(const char* kernel, const char* what, int64_t value);

// Of the current device, asked for once.
int multiprocessors();
// 80, 89, 90, …
int compute_capability();
// Whether the kernels of hopper.cuh run here: on compute capability 9.0, if they were compiled for
// it.
bool has_hopper_kernels();

}  // namespace tercel::kernels::cuda

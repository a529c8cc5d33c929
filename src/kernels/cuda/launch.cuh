#pragma once
// Programmatic dependent launch: a kernel may start while the one before it on the stream still
// runs, so that launch latency and what needs no earlier result (weights, set-up) are hidden. A
// kernel launched by launch_early() must call wait_for_earlier() in every thread that goes on,
// before it touches anything that an earlier kernel reads or writes. Below compute capability 9.0
// it is an ordinary launch.

#include <utility>

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// Until the kernels before this one have ended and their writes can be seen.
__device__ __forceinline__ void wait_for_earlier() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The kernel behind this one may start once every block has called it or ended.
__device__ __forceinline__ void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// In clusters of `cluster` blocks, compute capability 9.0 and newer.
template <class... Parameters, class... Arguments>
void launch_clusters_early(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                           std::size_t shared, cudaStream_t stream, unsigned cluster,
                           Arguments&&... arguments) {
  cudaLaunchAttribute attributes[2]{};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim = {cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = compute_capability() < 90 ? 0 : cluster > 1 ? 2 : 1;
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

template <class... Parameters, class... Arguments>
void launch_early(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                  std::size_t shared, cudaStream_t stream, Arguments&&... arguments) {
  launch_clusters_early(name, kernel, grid, block, shared, stream, 1,
                        std::forward<Arguments>(arguments)...);
}

}  // namespace tercel::kernels::cuda

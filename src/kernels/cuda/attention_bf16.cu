#include "src/kernels/cuda/attention_half.cuh"

namespace tercel::kernels::cuda {

void attention_bf16(const AttentionArgs& args, cudaStream_t stream) {
  attention_half<Bfloat>(args, stream);
}

}  // namespace tercel::kernels::cuda

#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {

CpuFamily nn_cpu_ops() {
  static const std::vector<CpuOp> all = [] {
    std::vector<CpuOp> ops;
    for (const CpuFamily part :
         {attention_cpu_ops(), col2im_cpu_ops(), conv_cpu_ops(), deform_conv_cpu_ops(),
          dropout_cpu_ops(), layer_normalization_cpu_ops(), linear_attention_cpu_ops(),
          loss_cpu_ops(), lrn_cpu_ops(), normalization_cpu_ops(), packed_attention_cpu_ops(),
          packed_rows_cpu_ops(), pool_cpu_ops(), rotary_embedding_cpu_ops(), softmax_cpu_ops(),
          unpool_cpu_ops()})
      ops.insert(ops.end(), part.begin(), part.end());
    return ops;
  }();
  return all;
}

}  // namespace tercel::ops

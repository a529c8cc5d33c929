#pragma once
// The parts of the nn family's CPU table, one a file.

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily attention_cpu_ops();
CpuFamily col2im_cpu_ops();
CpuFamily conv_cpu_ops();
CpuFamily deform_conv_cpu_ops();
CpuFamily dropout_cpu_ops();
CpuFamily layer_normalization_cpu_ops();
CpuFamily linear_attention_cpu_ops();
CpuFamily loss_cpu_ops();
CpuFamily lrn_cpu_ops();
CpuFamily normalization_cpu_ops();
CpuFamily packed_attention_cpu_ops();
CpuFamily packed_rows_cpu_ops();
CpuFamily pool_cpu_ops();
CpuFamily rotary_embedding_cpu_ops();
CpuFamily softmax_cpu_ops();
CpuFamily unpool_cpu_ops();

}  // namespace tercel::ops

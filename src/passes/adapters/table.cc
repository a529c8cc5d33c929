#include "src/passes/adapters/adapters.h"

namespace tercel::passes {

std::span<const Adapter> adapters() {
  static constexpr Adapter kAdapters[] = {
      {"BatchNormalization", 9, adapt_batch_statistics},
      {"BatchNormalization", 14, adapt_batch_normalization},
      {"Clip", 11, adapt_clip},
      {"DFT", 20, adapt_dft},
      {"Dropout", 10, adapt_dropout_mask},
      {"Dropout", 12, adapt_dropout},
      {"GridSample", 20, adapt_grid_sample},
      {"GroupNormalization", 21, adapt_group_normalization},
      {"Hardmax", 13, adapt_flattening},
      {"LogSoftmax", 13, adapt_flattening},
      {"OneHot", 11, adapt_one_hot},
      {"Pad", 11, adapt_pad},
      {"ReduceL1", 18, adapt_axes_to_input},
      {"ReduceL2", 18, adapt_axes_to_input},
      {"ReduceLogSum", 18, adapt_axes_to_input},
      {"ReduceLogSumExp", 18, adapt_axes_to_input},
      {"ReduceMax", 18, adapt_axes_to_input},
      {"ReduceMean", 18, adapt_axes_to_input},
      {"ReduceMin", 18, adapt_axes_to_input},
      {"ReduceProd", 18, adapt_axes_to_input},
      {"ReduceSum", 13, adapt_axes_to_input},
      {"ReduceSumSquare", 18, adapt_axes_to_input},
      {"Resize", 11, adapt_resize_inputs},
      {"Resize", 13, adapt_resize_empty},
      {"RoiAlign", 16, adapt_roi_align},
      {"Scan", 9, adapt_scan_batch},
      {"Scatter", 11, adapt_scatter},
      {"Slice", 10, adapt_slice},
      {"Softmax", 13, adapt_flattening},
      {"Split", 13, adapt_split_to_input},
      {"Split", 18, adapt_split_count},
      {"Squeeze", 13, adapt_axes_to_input},
      {"TopK", 10, adapt_top_k},
      {"Unsqueeze", 13, adapt_axes_to_input},
      {"Upsample", 9, adapt_upsample_scales},
      {"Upsample", 10, adapt_upsample},
  };
  return kAdapters;
}

std::span<const ForeignOp> foreign_ops() {
  static constexpr ForeignOp kForeign[] = {
      {"com.microsoft", "DequantizeLinear", adapt_linear},
      {"com.microsoft", "DynamicQuantizeMatMul", adapt_dynamic_quantize_mat_mul},
      {"com.microsoft", "MatMulIntegerToFloat", adapt_mat_mul_integer_to_float},
      {"com.microsoft", "MatMulNBits", adapt_mat_mul_n_bits},
      {"com.microsoft", "QGemm", adapt_q_gemm},
      {"com.microsoft", "QLinearAdd", adapt_qlinear_binary},
      {"com.microsoft", "QLinearAveragePool", adapt_qlinear_average_pool},
      {"com.microsoft", "QLinearConcat", adapt_qlinear_concat},
      {"com.microsoft", "QLinearGlobalAveragePool", adapt_qlinear_global_average_pool},
      {"com.microsoft", "QLinearLeakyRelu", adapt_qlinear_leaky_relu},
      {"com.microsoft", "QLinearMul", adapt_qlinear_binary},
      {"com.microsoft", "QLinearSigmoid", adapt_qlinear_sigmoid},
      {"com.microsoft", "QLinearSoftmax", adapt_qlinear_softmax},
      {"com.microsoft", "QLinearWhere", adapt_qlinear_where},
      {"com.microsoft", "QuantizeLinear", adapt_linear},
  };
  return kForeign;
}

}  // namespace tercel::passes

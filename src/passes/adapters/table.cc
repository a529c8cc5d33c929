#include "src/passes/adapters/adapters.h"

namespace tercel::passes {

std::span<const Adapter> adapters() {
  static constexpr Adapter kAdapters[] = {
      {"BatchNormalization", 14, adapt_batch_normalization},
      {"DFT", 20, adapt_dft},
      {"Dropout", 12, adapt_dropout},
      {"GridSample", 20, adapt_grid_sample},
      {"GroupNormalization", 21, adapt_group_normalization},
      {"Hardmax", 13, adapt_flattening},
      {"LogSoftmax", 13, adapt_flattening},
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
      {"RoiAlign", 16, adapt_roi_align},
      {"Softmax", 13, adapt_flattening},
      {"Split", 13, adapt_split_to_input},
      {"Split", 18, adapt_split_count},
      {"Squeeze", 13, adapt_axes_to_input},
      {"Unsqueeze", 13, adapt_axes_to_input},
  };
  return kAdapters;
}

}  // namespace tercel::passes

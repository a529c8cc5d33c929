#pragma once
// What an Attention node asks for, in the terms of the attention kernels.

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {

struct AttentionAttributes {
  explicit AttentionAttributes(const ir::Node& node);

  int64_t q_heads, kv_heads;  // 0: the inputs have rank 4
  std::optional<float> scale;
  float softcap;
  bool causal;
  int64_t left_window, right_window;
  int64_t scores_mode;
  std::string label;
};

// Sizes, strides, the mask and positions of one run; the pointers to Q, K, V and the output are
// those of their first elements, whatever their type.
struct AttentionProblem {
  kernels::AttentionArgs args;  // q, k, v, out, mask and mask_bool are not set
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  const void* mask = nullptr;
  bool mask_is_boolean = false;
};

// Sizes and strides alone: enough for AttentionKernels::workspace().
kernels::AttentionArgs attention_sizes(const AttentionAttributes& attributes, const Shape& q,
                                       const Shape& k, const Shape& v, const Shape& past_key);

// Bytes of workspace that attention_problem() uses, a multiple of 64.
std::size_t attention_problem_bytes(const kernels::AttentionArgs& sizes, std::size_t element,
                                    bool cache);

// Writes the present key and value (to the outputs, or to `workspace` when they are left out) when
// there is a past or they are wanted. Throws Errc::invalid_argument for a mask that does not fit.
AttentionProblem attention_problem(const AttentionAttributes& attributes, const KernelRun& run,
                                   std::byte* workspace);

}  // namespace tercel::ops

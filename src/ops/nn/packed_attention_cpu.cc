// Attention of packed rows: the attention kernel with the offsets of the sequences.

#include <algorithm>
#include <limits>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/math/packed_weight_cpu.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

constexpr float kHidden = std::numeric_limits<float>::lowest();

class PackedAttentionKernel : public CpuKernel {
 public:
  PackedAttentionKernel(const KernelContext& context, const kernels::AttentionKernels& kernels)
      : kernels_(kernels), label_(context.node.label()) {
    const ir::Node& node = context.node;
    base_.q_heads = node.int_or("q_num_heads", 1);
    base_.kv_heads = node.int_or("kv_num_heads", 1);
    base_.scale = node.float_or("scale", 1.0F);
    base_.softcap = node.float_or("softcap", 0.0F);
    base_.left_window = window(node, "left_window");
    base_.right_window = window(node, "right_window");
  }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    return kernels_.workspace(sizes(inputs[0], inputs[1], inputs[2], inputs[5]), threads);
  }

  void run(const KernelRun& run) const override {
    const Tensor& valid = run.inputs[5];
    const Tensor& bias = run.inputs[6];
    auto args =
        sizes(run.inputs[0].shape(), run.inputs[1].shape(), run.inputs[2].shape(), valid.shape());
    check(run, args);
    args.q = elements<float>(run.inputs[0]);
    args.k = elements<float>(run.inputs[1]);
    args.v = elements<float>(run.inputs[2]);
    args.out = elements<float>(run.outputs[0]);
    args.offsets = elements<int64_t>(run.inputs[3]);
    args.workspace = run.workspace;
    const int64_t width = run.outputs[0].shape()[1];  // rows of no sequence are zeros
    std::fill(args.out + args.offsets[args.batch] * width, args.out + run.outputs[0].size(), 0.0F);
    const bool* seen = elements<bool>(valid);
    const bool hides = run.inputs[0].shape()[0] == valid.size() &&
                       std::find(seen, seen + valid.size(), false) != seen + valid.size();
    if (bias.size() > 1) {
      args.mask = elements<float>(bias);
      args.mask_query = args.q_length;
      args.mask_head = bias.shape()[1] == 1 ? 0 : args.q_length * args.kv_length;
      if (hides) return run_one_by_one(args, run);
    } else if (hides) {
      args.mask_bool = reinterpret_cast<const uint8_t*>(seen);
      args.mask_batch = args.kv_length;
    }
    kernels_.attention(args, run.pool);
  }

 private:
  static int64_t window(const ir::Node& node, const char* name) {
    const int64_t given = node.int_or(name, INT32_MAX);
    return given < 0 || given >= INT32_MAX ? -1 : given;
  }

  kernels::AttentionArgs sizes(const Shape& q, const Shape& k, const Shape& v,
                               const Shape& valid) const {
    kernels::AttentionArgs args = base_;
    args.batch = valid[0];
    args.q_length = args.kv_length = valid[1];
    args.head_size = q[1] / args.q_heads;
    args.v_head_size = v[1] / args.kv_heads;
    args.q_strides = {0, args.head_size, q[1]};
    args.k_strides = {0, args.head_size, k[1]};
    args.v_strides = {0, args.v_head_size, v[1]};
    args.out_strides = {0, args.v_head_size, args.v_head_size * args.q_heads};
    return args;
  }

  void check(const KernelRun& run, const kernels::AttentionArgs& args) const {
    const int64_t rows = run.inputs[0].shape()[0];
    const auto offsets = run.inputs[3].values<int64_t>();
    bool fits = run.inputs[1].shape()[0] == rows && run.inputs[2].shape()[0] == rows &&
                static_cast<int64_t>(offsets.size()) == args.batch + 1 && offsets[0] == 0 &&
                offsets.back() <= rows;
    for (std::size_t i = 0; fits && i + 1 < offsets.size(); ++i) {
      fits = offsets[i] <= offsets[i + 1] && offsets[i + 1] - offsets[i] <= args.q_length;
    }
    if (!fits) {
      fail(Errc::invalid_argument, "{} its offsets are not those of {} sequences of {} rows in all",
           label_, args.batch, rows);
    }
    const Shape& bias = run.inputs[6].shape();
    const bool one = run.inputs[6].size() == 1;
    if (!one && (bias.size() != 4 || bias[0] != 1 || (bias[1] != 1 && bias[1] != args.q_heads) ||
                 bias[2] != args.q_length || bias[3] != args.kv_length)) {
      fail(Errc::invalid_argument, "{} a bias of shape {} does not fit {} heads and {} places",
           label_, to_string(bias), args.q_heads, args.q_length);
    }
  }

  // A bias and hidden keys at once, which the kernel takes as one mask: a sequence at a time.
  void run_one_by_one(kernels::AttentionArgs args, const KernelRun& run) const {
    const int64_t places = args.kv_length;
    const bool* seen = elements<bool>(run.inputs[5]);
    Tensor mask = allocate_tensor(Dtype::f32, run.inputs[6].shape(), run.memory, "a mask");
    const float* bias = args.mask;
    const int64_t* offsets = args.offsets;
    const int64_t batch = args.batch;
    args.batch = 1;
    args.mask = elements<float>(mask);
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t i = 0; i < mask.size(); ++i)
        elements<float>(mask)[i] = seen[b * places + i % places] ? bias[i] : kHidden;
      args.offsets = offsets + b;
      kernels_.attention(args, run.pool);
    }
  }

  const kernels::AttentionKernels& kernels_;
  kernels::AttentionArgs base_;
  std::string label_;
};

class F32Kernel final : public PackedAttentionKernel {
 public:
  explicit F32Kernel(const KernelContext& context)
      : PackedAttentionKernel(context, kernels::cpu_kernels(context.isa).attention) {}
};

class PackedAttentionBf16Kernel final : public PackedAttentionKernel {
 public:
  explicit PackedAttentionBf16Kernel(const KernelContext& context)
      : PackedAttentionKernel(context, *kernels::attention_bf16_kernels(context.isa)) {}
};

std::string refuse_bf16_packed_attention(const KernelContext& context) {
  const std::string reason = PackedWeight::refuse_bf16_factors(context);
  return reason.empty() ? refuse_unless_f32(context) : reason;
}

constexpr CpuImplementation kPackedAttention[] = {
    {"packed_attention_bf16", refuse_bf16_packed_attention,
     create_kernel<PackedAttentionBf16Kernel>},
    {"packed_attention_f32", refuse_unless_f32, create_kernel<F32Kernel>}};
constexpr CpuOp kPackedAttentionOps[] = {{"tercel", "PackedAttention", kPackedAttention}};

}  // namespace

CpuFamily packed_attention_cpu_ops() { return kPackedAttentionOps; }

}  // namespace tercel::ops

#include <algorithm>
#include <cmath>

#include "src/ops/math/packed_weight_cpu.h"
#include "src/ops/nn/attention_problem_cpu.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

bool has(std::span<const Shape> shapes, std::size_t index) {
  return shapes.size() > index && !shapes[index].empty();
}

class AttentionKernel : public CpuKernel {
 public:
  explicit AttentionKernel(const KernelContext& context)
      : attributes_(context.node),
        cache_(context.node.input(4) != nullptr || context.node.output(1) != nullptr ||
               context.node.output(2) != nullptr),
        element_(bytes_of(context.input_dtype(0), 1)) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    const auto sizes = attention_sizes(attributes_, inputs[0], inputs[1], inputs[2],
                                       has(inputs, 4) ? inputs[4] : Shape());
    return attention_problem_bytes(sizes, element_, cache_) + scratch(sizes, threads);
  }

  void run(const KernelRun& run) const override {
    const AttentionProblem problem = attention_problem(attributes_, run, run.workspace);
    compute(problem, run,
            run.workspace + attention_problem_bytes(full_sizes(run), element_, cache_));
  }

 protected:
  virtual std::size_t scratch(const kernels::AttentionArgs& sizes, int threads) const = 0;
  virtual void compute(const AttentionProblem& problem, const KernelRun& run,
                       std::byte* scratch) const = 0;
  const AttentionAttributes& attributes() const { return attributes_; }

 private:
  // As workspace() saw them: before a short mask cut the keys.
  kernels::AttentionArgs full_sizes(const KernelRun& run) const {
    const bool past = run.inputs.size() > 4 && run.inputs[4].defined();
    return attention_sizes(attributes_, run.inputs[0].shape(), run.inputs[1].shape(),
                           run.inputs[2].shape(), past ? run.inputs[4].shape() : Shape());
  }

  AttentionAttributes attributes_;
  bool cache_;
  std::size_t element_;
};

class AttentionVectorKernel : public AttentionKernel {
 public:
  explicit AttentionVectorKernel(const KernelContext& context)
      : AttentionVectorKernel(context, kernels::cpu_kernels(context.isa).attention) {}

 protected:
  AttentionVectorKernel(const KernelContext& context, const kernels::AttentionKernels& kernels)
      : AttentionKernel(context), kernels_(kernels) {}

 private:
  std::size_t scratch(const kernels::AttentionArgs& sizes, int threads) const override {
    return kernels_.workspace(sizes, threads);
  }
  void compute(const AttentionProblem& problem, const KernelRun& run,
               std::byte* scratch) const override {
    kernels::AttentionArgs args = problem.args;
    args.q = static_cast<const float*>(problem.q);
    args.k = static_cast<const float*>(problem.k);
    args.v = static_cast<const float*>(problem.v);
    args.out = elements<float>(run.outputs[0]);
    if (problem.mask_is_boolean)
      args.mask_bool = static_cast<const uint8_t*>(problem.mask);
    else
      args.mask = static_cast<const float*>(problem.mask);
    args.workspace = scratch;
    kernels_.attention(args, run.pool);
  }
  const kernels::AttentionKernels& kernels_;
};

class Bf16Kernel final : public AttentionVectorKernel {
 public:
  explicit Bf16Kernel(const KernelContext& context)
      : AttentionVectorKernel(context, *kernels::attention_bf16_kernels(context.isa)) {}
};

// Any element type and the scores as an output, one row of scores at a time, in f64.
class AttentionNaiveKernel final : public AttentionKernel {
 public:
  using AttentionKernel::AttentionKernel;

 private:
  struct Row {
    int64_t batch, head, query;
  };

  std::size_t scratch(const kernels::AttentionArgs&, int) const override { return 0; }

  void compute(const AttentionProblem& problem, const KernelRun& run, std::byte*) const override {
    const auto& args = problem.args;
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run.pool.parallel_for(
          args.batch * args.q_heads * args.q_length, 1, [&](int64_t begin, int64_t end) {
            std::vector<double> scores;
            for (int64_t i = begin; i < end; ++i) {
              const int64_t item = i / args.q_length;
              const Row row{item / args.q_heads, item % args.q_heads, i % args.q_length};
              attend<T>(problem, run, row, scores);
            }
          });
    });
  }

  static bool sees(const kernels::AttentionArgs& args, const Row& row, int64_t key) {
    const int64_t offset =
        args.position_offsets != nullptr ? args.position_offsets[row.batch] : args.position_offset;
    const int64_t position = row.query + offset;
    if (args.left_window >= 0 && key < position - args.left_window) return false;
    if (args.right_window >= 0 && key > position + args.right_window) return false;
    return key < args.kv_length && (args.kv_lengths == nullptr || key < args.kv_lengths[row.batch]);
  }

  template <class T>
  static double bias(const AttentionProblem& problem, const Row& row, int64_t key) {
    const auto& args = problem.args;
    if (!sees(args, row, key)) return -INFINITY;
    if (problem.mask == nullptr) return 0;
    const int64_t at = row.batch * args.mask_batch + row.head * args.mask_head +
                       row.query * args.mask_query + key * args.mask_key;
    if (problem.mask_is_boolean) return static_cast<const bool*>(problem.mask)[at] ? 0 : -INFINITY;
    return widen(static_cast<const T*>(problem.mask)[at]);
  }

  template <class T>
  void attend(const AttentionProblem& problem, const KernelRun& run, const Row& row,
              std::vector<double>& scores) const {
    const auto& args = problem.args;
    const auto start = [&](const kernels::HeadStrides& strides, int64_t head) {
      return row.batch * strides.batch + head * strides.head;
    };
    const int64_t kv_head = row.head / (args.q_heads / args.kv_heads);
    const T* q = static_cast<const T*>(problem.q) + start(args.q_strides, row.head) +
                 row.query * args.q_strides.row;
    const T* k = static_cast<const T*>(problem.k) + start(args.k_strides, kv_head);
    const T* v = static_cast<const T*>(problem.v) + start(args.v_strides, kv_head);
    T* out = elements<T>(run.outputs[0]) + start(args.out_strides, row.head) +
             row.query * args.out_strides.row;
    T* shown = scores_row<T>(run, args, row);
    const int64_t keys = total_keys(run, args);
    scores.assign(static_cast<std::size_t>(keys), 0);
    double max = -INFINITY;
    double max_bias = -INFINITY;
    for (int64_t j = 0; j < keys; ++j) {
      double score = 0;
      for (int64_t d = 0; d < args.head_size; ++d)
        score += widen(q[d]) * widen(k[j * args.k_strides.row + d]);
      score *= static_cast<double>(args.scale);
      show(shown, j, 0, score);
      if (args.softcap > 0) score = args.softcap * std::tanh(score / args.softcap);
      show(shown, j, 1, score);
      const double added = bias<T>(problem, row, j);
      score += added;
      show(shown, j, 2, score);
      scores[static_cast<std::size_t>(j)] = score;
      max = std::isnan(score) ? score : std::max(max, score);
      max_bias = std::max(max_bias, added);
    }
    double sum = 0;
    for (double& score : scores) {
      score = max_bias == -INFINITY || score == -INFINITY ? 0 : std::exp(score - max);
      sum += score;
    }
    for (int64_t j = 0; j < keys; ++j) {
      double& weight = scores[static_cast<std::size_t>(j)];
      if (sum != 0) weight /= sum;
      show(shown, j, 3, weight);
    }
    for (int64_t d = 0; d < args.v_head_size; ++d) {
      double value = 0;
      for (int64_t j = 0; j < keys; ++j) {
        const double weight = scores[static_cast<std::size_t>(j)];
        if (weight != 0) value += weight * widen(v[j * args.v_strides.row + d]);
      }
      out[d] = narrow<T>(value);
    }
  }

  // The keys of the scores that are an output: a short mask does not cut them.
  static int64_t total_keys(const KernelRun& run, const kernels::AttentionArgs& args) {
    const bool wanted = run.outputs.size() > 3 && run.outputs[3].defined();
    return wanted ? run.outputs[3].shape()[3] : args.kv_length;
  }
  template <class T>
  static T* scores_row(const KernelRun& run, const kernels::AttentionArgs& args, const Row& row) {
    if (run.outputs.size() <= 3 || !run.outputs[3].defined()) return nullptr;
    const int64_t index = (row.batch * args.q_heads + row.head) * args.q_length + row.query;
    return elements<T>(run.outputs[3]) + index * run.outputs[3].shape()[3];
  }
  template <class T>
  void show(T* shown, int64_t key, int64_t mode, double value) const {
    if (shown != nullptr && attributes().scores_mode == mode) shown[key] = narrow<T>(value);
  }
};

std::string refuse_types(const KernelContext& context) {
  const Dtype q = context.input_dtype(0);
  for (const int i : {1, 2, 4, 5}) {
    if (context.node.input(i) != nullptr && context.input_dtype(i) != q)
      return fmt::format("input {} has {} and Q {}", i, to_string(context.input_dtype(i)),
                         to_string(q));
  }
  const Dtype mask = context.input_dtype(3);
  if (context.node.input(3) != nullptr && mask != Dtype::boolean && mask != q)
    return fmt::format("the mask has {}; expected bool or {}", to_string(mask), to_string(q));
  return refuse_dtype(FloatTypes{}, q);
}

std::string refuse_f32_attention(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  if (context.node.output(3) != nullptr) return "the scores are an output";
  if (context.node.int_or("softmax_precision", 1) == static_cast<int64_t>(Dtype::f64))
    return "softmax_precision is double";
  return refuse_types(context);
}

std::string refuse_bf16_attention(const KernelContext& context) {
  const std::string reason = PackedWeight::refuse_bf16_factors(context);
  return reason.empty() ? refuse_f32_attention(context) : reason;
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_attention(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kAttentionImplementations[] = {
    {"attention_bf16", refuse_bf16_attention, create_attention<Bf16Kernel>},
    {"attention_f32", refuse_f32_attention, create_attention<AttentionVectorKernel>},
    {"attention_naive", refuse_types, create_attention<AttentionNaiveKernel>}};
constexpr CpuOp kAttentionOps[] = {{"", "Attention", kAttentionImplementations}};

}  // namespace

CpuFamily attention_cpu_ops() { return kAttentionOps; }

}  // namespace tercel::ops

#include <cmath>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

bool given(const KernelRun& run, std::size_t index) {
  return index < run.inputs.size() && run.inputs[index].defined();
}
bool wanted(const KernelRun& run, std::size_t index) {
  return index < run.outputs.size() && run.outputs[index].defined();
}

// Element `index` of a tensor of any floating-point type, which the state may have for itself.
float read_linear_attention(const Tensor& tensor, int64_t index) {
  float value = 0;
  dispatch_dtype(FloatTypes{}, tensor.dtype(), [&](auto tag) {
    value = static_cast<float>(load(elements<typename decltype(tag)::type>(tensor)[index]));
  });
  return value;
}
void write_linear_attention(Tensor& tensor, int64_t index, float value) {
  dispatch_dtype(FloatTypes{}, tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    elements<T>(tensor)[index] = store<T>(static_cast<ComputeType<T>>(value));
  });
}

// Step by step; a head of keys and values has a state of its own, which its queries share.
class LinearAttentionKernel final : public CpuKernel {
 public:
  explicit LinearAttentionKernel(const KernelContext& context)
      : q_heads_(context.node.int_or("q_num_heads", 1)),
        kv_heads_(context.node.int_or("kv_num_heads", 1)),
        scale_(context.node.float_or("scale", 0.0F)) {}

  void run(const KernelRun& run) const override {
    const int64_t batch = run.inputs[0].shape()[0];
    run.pool.parallel_for(batch * kv_heads_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) head(run, i / kv_heads_, i % kv_heads_);
    });
  }

 private:
  struct Head {
    int64_t steps, keys, values;
    std::vector<float> state;  // [keys, values]
    std::vector<float> change;
  };

  void head(const KernelRun& run, int64_t b, int64_t h) const {
    const Shape& q = run.inputs[0].shape();
    Head head{q[1], q[2] / q_heads_, run.inputs[2].shape()[2] / kv_heads_, {}, {}};
    const int64_t size = head.keys * head.values;
    const int64_t first = (b * kv_heads_ + h) * size;
    head.state.assign(static_cast<std::size_t>(size), 0.0F);
    head.change.resize(static_cast<std::size_t>(head.values));
    for (int64_t i = 0; given(run, 3) && i < size; ++i)
      head.state[static_cast<std::size_t>(i)] = read_linear_attention(run.inputs[3], first + i);
    for (int64_t t = 0; t < head.steps; ++t) {
      const int64_t row = b * head.steps + t;
      if (given(run, 4)) decay(run, head, row, h);
      update(run, head, row, h);
      answer(run, head, row, h);
    }
    for (int64_t i = 0; wanted(run, 1) && i < size; ++i)
      write_linear_attention(run.outputs[1], first + i, head.state[static_cast<std::size_t>(i)]);
  }

  void decay(const KernelRun& run, Head& head, int64_t row, int64_t h) const {
    const bool by_key = run.inputs[4].shape()[2] != kv_heads_;
    for (int64_t k = 0; k < head.keys; ++k) {
      const int64_t at = by_key ? (row * kv_heads_ + h) * head.keys + k : row * kv_heads_ + h;
      const float factor = std::exp(read_linear_attention(run.inputs[4], at));
      for (int64_t v = 0; v < head.values; ++v)
        head.state[static_cast<std::size_t>(k * head.values + v)] *= factor;
    }
  }

  // S += k ⊗ v, or with beta S += beta k ⊗ (v - S^T k).
  void update(const KernelRun& run, Head& head, int64_t row, int64_t h) const {
    const int64_t key = (row * kv_heads_ + h) * head.keys;
    const int64_t value = (row * kv_heads_ + h) * head.values;
    for (int64_t v = 0; v < head.values; ++v) {
      float wish = read_linear_attention(run.inputs[2], value + v);
      if (given(run, 5)) {
        float known = 0;
        for (int64_t k = 0; k < head.keys; ++k) {
          known += head.state[static_cast<std::size_t>(k * head.values + v)] *
                   read_linear_attention(run.inputs[1], key + k);
        }
        const int64_t wide = run.inputs[5].shape()[2];
        wish =
            (wish - known) * read_linear_attention(run.inputs[5], row * wide + (wide == 1 ? 0 : h));
      }
      head.change[static_cast<std::size_t>(v)] = wish;
    }
    for (int64_t k = 0; k < head.keys; ++k) {
      const float weight = read_linear_attention(run.inputs[1], key + k);
      for (int64_t v = 0; v < head.values; ++v)
        head.state[static_cast<std::size_t>(k * head.values + v)] +=
            weight * head.change[static_cast<std::size_t>(v)];
    }
  }

  void answer(const KernelRun& run, const Head& head, int64_t row, int64_t h) const {
    const int64_t shared = q_heads_ / kv_heads_;
    const float scale = scale_ != 0 ? scale_ : 1 / std::sqrt(static_cast<float>(head.keys));
    for (int64_t q = h * shared; q < (h + 1) * shared; ++q) {
      const int64_t query = (row * q_heads_ + q) * head.keys;
      for (int64_t v = 0; v < head.values; ++v) {
        float sum = 0;
        for (int64_t k = 0; k < head.keys; ++k) {
          sum += head.state[static_cast<std::size_t>(k * head.values + v)] *
                 read_linear_attention(run.inputs[0], query + k);
        }
        write_linear_attention(run.outputs[0], (row * q_heads_ + q) * head.values + v, scale * sum);
      }
    }
  }

  int64_t q_heads_;
  int64_t kv_heads_;
  float scale_;
};

class LinearAttentionConvKernel final : public CpuKernel {
 public:
  explicit LinearAttentionConvKernel(const KernelContext& context)
      : silu_(context.node.string_or("activation", "none") != "none") {}

  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const int64_t taps = run.inputs[1].shape()[2];
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run.pool.parallel_for(shape[0] * shape[1], rows_per_grain(shape[2] * taps),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                channel<T>(run, i, i % shape[1], shape[2], taps);
                            });
    });
  }

 private:
  template <class T>
  void channel(const KernelRun& run, int64_t row, int64_t c, int64_t length, int64_t taps) const {
    const T* x = elements<T>(run.inputs[0]) + row * length;
    const T* w = elements<T>(run.inputs[1]) + c * taps;
    const T* past = given(run, 3) ? elements<T>(run.inputs[3]) + row * (taps - 1) : nullptr;
    // What was carried stands before the input.
    const auto at = [&](int64_t t) -> T {
      if (t >= taps - 1) return x[t - (taps - 1)];
      return past != nullptr ? past[t] : T{};
    };
    for (int64_t t = 0; t < length; ++t) {
      ComputeType<T> sum{};
      for (int64_t k = 0; k < taps; ++k) sum += load(w[k]) * load(at(t + k));
      if (given(run, 2)) sum += load(elements<T>(run.inputs[2])[c]);
      if (silu_) sum = sum / (1 + std::exp(-sum));
      elements<T>(run.outputs[0])[row * length + t] = store<T>(sum);
    }
    for (int64_t t = 0; wanted(run, 1) && t + 1 < taps; ++t)
      elements<T>(run.outputs[1])[row * (taps - 1) + t] = at(length + t);
  }

  bool silu_;
};

constexpr CpuImplementation kAttention[] = {
    {"linear_attention", refuse_input0<FloatTypes>, create_kernel<LinearAttentionKernel>}};
constexpr CpuImplementation kLinearAttentionConv[] = {
    {"causal_conv", refuse_input0<FloatTypes>, create_kernel<LinearAttentionConvKernel>}};
constexpr CpuOp kLinearAttentionOps[] = {{"", "CausalConvWithState", kLinearAttentionConv},
                                         {"", "LinearAttention", kAttention}};

}  // namespace

CpuFamily linear_attention_cpu_ops() { return kLinearAttentionOps; }

}  // namespace tercel::ops

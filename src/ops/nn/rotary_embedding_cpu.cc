#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

using RotaryTypes = Types<float, f16, bf16>;

// The input as [batch, length, heads, head], by strides.
struct Layout {
  int64_t batch, length, heads, head;
  int64_t row, next_head;  // elements from one token and one head to the next

  Layout(const Shape& shape, int64_t num_heads) {
    batch = shape[0];
    if (shape.size() == 4) {
      heads = shape[1];
      length = shape[2];
      head = shape[3];
      row = head;
      next_head = length * head;
    } else {
      length = shape[1];
      heads = num_heads;
      head = shape[2] / num_heads;
      row = shape[2];
      next_head = head;
    }
  }
  int64_t start(int64_t b, int64_t s, int64_t h) const {
    return b * length * heads * head + s * row + h * next_head;
  }
};

class RotaryEmbeddingKernel final : public CpuKernel {
 public:
  explicit RotaryEmbeddingKernel(const KernelContext& context)
      : heads_(context.node.int_or("num_heads", 0)),
        rotated_(context.node.int_or("rotary_embedding_dim", 0)),
        interleaved_(context.node.int_or("interleaved", 0) != 0),
        label_(context.node.label()) {}

  void run(const KernelRun& run) const override {
    const Layout layout(run.inputs[0].shape(), heads_);
    const int64_t half = (rotated_ > 0 ? rotated_ : layout.head) / 2;
    check(run, layout, half);
    dispatch_dtype(RotaryTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run.pool.parallel_for(layout.batch * layout.length,
                            rows_per_grain(2 * layout.heads * layout.head),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                rotate_token<T>(run, layout, half, i);
                            });
    });
  }

 private:
  static const int64_t* positions(const KernelRun& run) {
    const bool given = run.inputs.size() > 3 && run.inputs[3].defined();
    return given ? run.inputs[3].values<int64_t>().data() : nullptr;
  }

  void check(const KernelRun& run, const Layout& layout, int64_t half) const {
    const int64_t tokens = layout.batch * layout.length;
    const int64_t* ids = positions(run);
    for (std::size_t i = 1; i <= 2; ++i) {
      const Shape& cache = run.inputs[i].shape();
      const int64_t rows = half == 0 ? 0 : run.inputs[i].size() / half;
      if (cache.back() != half || (ids == nullptr && rows != tokens)) {
        fail(Errc::invalid_argument, "{} input {} has shape {}; expected rows of {} elements",
             label_, i, to_string(cache), half);
      }
      for (int64_t t = 0; ids != nullptr && t < tokens; ++t) {
        if (ids[t] < 0 || ids[t] >= cache[0])
          fail(Errc::invalid_argument, "{} position {} is outside of the {} in the cache", label_,
               ids[t], cache[0]);
      }
    }
    if (ids != nullptr && run.inputs[3].size() != tokens)
      fail(Errc::invalid_argument, "{} has {} positions for {} tokens", label_,
           run.inputs[3].size(), tokens);
  }

  template <class T>
  void rotate_token(const KernelRun& run, const Layout& layout, int64_t half, int64_t token) const {
    const int64_t* ids = positions(run);
    const int64_t row = ids != nullptr ? ids[token] : token;
    const T* cos = elements<T>(run.inputs[1]) + row * half;
    const T* sin = elements<T>(run.inputs[2]) + row * half;
    for (int64_t h = 0; h < layout.heads; ++h) {
      const int64_t at = layout.start(token / layout.length, token % layout.length, h);
      const T* x = elements<T>(run.inputs[0]) + at;
      T* y = elements<T>(run.outputs[0]) + at;
      for (int64_t i = 0; i < half; ++i) {
        const int64_t first = interleaved_ ? 2 * i : i;
        const int64_t second = interleaved_ ? 2 * i + 1 : i + half;
        const float a = load(x[first]);
        const float b = load(x[second]);
        const float c = load(cos[i]);
        const float s = load(sin[i]);
        y[first] = store<T>(c * a - s * b);
        y[second] = store<T>(s * a + c * b);
      }
      for (int64_t i = 2 * half; i < layout.head; ++i) y[i] = x[i];
    }
  }

  int64_t heads_;
  int64_t rotated_;
  bool interleaved_;
  std::string label_;
};

std::unique_ptr<CpuKernel> create_rotary_embedding(const KernelContext& context) {
  return std::make_unique<RotaryEmbeddingKernel>(context);
}

constexpr CpuImplementation kRotaryEmbeddingImplementations[] = {
    {"rotary_embedding", refuse_input0<RotaryTypes>, create_rotary_embedding}};
constexpr CpuOp kRotaryEmbeddingOps[] = {{"", "RotaryEmbedding", kRotaryEmbeddingImplementations}};

}  // namespace

CpuFamily rotary_embedding_cpu_ops() { return kRotaryEmbeddingOps; }

}  // namespace tercel::ops

#include "src/ops/generator/generator_cpu.h"

#include "src/ops/cpu_text.h"
#include "src/ops/generator/generator.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

class ConstantKernel final : public CpuKernel {
 public:
  explicit ConstantKernel(const KernelContext& context) : value_(constant_value(context.node)) {}
  void run(const KernelRun& run) const override {
    copy_all(value_, run.outputs[0], run.pool);
    run.outputs[0] = counted(run.outputs[0], run.memory, "Constant");
  }

 private:
  Tensor value_;
};

class FillKernel final : public CpuKernel {
 public:
  explicit FillKernel(const KernelContext& context) : value_(fill_value(context.node)) {}
  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    copy_strided({value_.data(), 0, {out.size()}, {0}}, out.data(), out.dtype(), run.pool);
  }

 private:
  Tensor value_;
};

// Outputs have the length that the plan knows; where it depends on the data the kernel allocates.
class RangeKernel final : public CpuKernel {
 public:
  explicit RangeKernel(const KernelContext& context)
      : half_steps_(context.node.int_or("stash_type", 1) != 1), known_(length_known(context)) {}
  void run(const KernelRun& run) const override {
    const Dtype dtype = run.inputs[0].dtype();
    dispatch_dtype(NumericTypes{}, dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto start = load(*elements<T>(run.inputs[0]));
      const auto limit = load(*elements<T>(run.inputs[1]));
      const auto delta = load(*elements<T>(run.inputs[2]));
      using Wide = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
      const int64_t count =
          range_count(static_cast<Wide>(start), static_cast<Wide>(limit), static_cast<Wide>(delta));
      Tensor& out = run.outputs[0];
      if (!known_) out = allocate_tensor(dtype, {count}, run.memory, "Range");
      TERCEL_CHECK(out.size() == count);
      T* to = elements<T>(out);
      run.pool.parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to[i] = element<T>(start, delta, i);
      });
    });
  }
  bool allocates_outputs() const override { return !known_; }

 private:
  static bool length_known(const KernelContext& context) {
    if (is_integer(context.input_dtype(0)))
      return context.input_dtype(0) == Dtype::i64 || context.input_dtype(0) == Dtype::i32;
    for (int i = 0; i < 3; ++i) {
      if (context.constant(i) == nullptr) return false;
    }
    return true;
  }

  template <class T>
  T element(ComputeType<T> start, ComputeType<T> delta, int64_t i) const {
    if constexpr (is_half_type<T>) {
      if (half_steps_) return store<T>(start + load(store<T>(delta * static_cast<float>(i))));
    }
    if constexpr (std::is_integral_v<T>) {
      // Unsigned, because the distance between two numbers may not fit.
      return static_cast<T>(static_cast<uint64_t>(start) +
                            static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
    } else {
      return store<T>(start + static_cast<ComputeType<T>>(i) * delta);
    }
  }

  bool half_steps_;
  bool known_;
};

class EyeKernel final : public CpuKernel {
 public:
  explicit EyeKernel(const KernelContext& context) : k_(context.node.int_or("k", 0)) {}
  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    dispatch_dtype(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const int64_t columns = out.shape()[1];
      T* to = elements<T>(out);
      std::fill_n(to, out.size(), T{});
      const int64_t k = std::clamp(k_, -out.shape()[0], columns);
      for (int64_t row = std::max<int64_t>(0, -k); row < out.shape()[0] && row + k < columns; ++row)
        to[row * columns + row + k] = store<T>(static_cast<ComputeType<T>>(1));
    });
  }

 private:
  int64_t k_;
};

std::string refuse_range(const KernelContext& context) {
  return refuse_dtype(NumericTypes{}, context.input_dtype(0));
}
std::string refuse_eye(const KernelContext& context) {
  return refuse_dtype(AllTypes{}, context.output_dtype(0));
}

constexpr CpuImplementation kConstantCpu[] = {
    {"constant", refuse_packed, create_kernel<ConstantKernel>}};
constexpr CpuImplementation kFillCpu[] = {{"fill", refuse_packed, create_kernel<FillKernel>}};
constexpr CpuImplementation kRangeCpu[] = {{"range", refuse_range, create_kernel<RangeKernel>}};
constexpr CpuImplementation kEyeCpu[] = {{"eye", refuse_eye, create_kernel<EyeKernel>}};

}  // namespace

CpuFamily generator_cpu_ops() {
  static const CpuOp kOps[] = {{"", "Bernoulli", kBernoulliCpu},
                               {"", "Constant", kConstantCpu},
                               {"", "ConstantOfShape", kFillCpu},
                               {"", "EyeLike", kEyeCpu},
                               {"", "Multinomial", kMultinomialCpu},
                               {"", "RandomNormal", kRandomNormalCpu},
                               {"", "RandomNormalLike", kRandomNormalCpu},
                               {"", "RandomUniform", kRandomUniformCpu},
                               {"", "RandomUniformLike", kRandomUniformCpu},
                               {"", "Range", kRangeCpu}};
  return kOps;
}

}  // namespace tercel::ops

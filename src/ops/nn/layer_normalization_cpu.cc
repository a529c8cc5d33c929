#include <array>
#include <cmath>

#include <fmt/format.h>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

// LayerNormalization and RMSNormalization over [rows, columns].
struct Sizes {
  int64_t rows, columns;
  Sizes(const Shape& shape, int64_t axis) {
    const int rank = static_cast<int>(shape.size());
    const int at = static_cast<int>(axis < 0 ? axis + rank : axis);
    rows = product(shape, 0, at);
    columns = product(shape, at, rank);
  }
};

const Tensor* operand(const KernelRun& run, std::size_t index) {
  return run.inputs.size() > index && run.inputs[index].defined() ? &run.inputs[index] : nullptr;
}

float* statistics(const KernelRun& run, std::size_t index) {
  return run.outputs.size() > index && run.outputs[index].defined()
             ? elements<float>(run.outputs[index])
             : nullptr;
}

class LayerNormalizationVectorKernel final : public CpuKernel {
 public:
  explicit LayerNormalizationVectorKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa)),
        axis_(context.node.int_or("axis", -1)),
        epsilon_(context.node.float_or("epsilon", 1e-5F)),
        rms_(context.node.is("RMSNormalization")) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Sizes sizes(run.inputs[0].shape(), axis_);
    const Tensor* bias = operand(run, 2);
    const kernels::NormArgs args{
        .rows = sizes.rows,
        .columns = sizes.columns,
        .x = elements<float>(run.inputs[0]),
        .norm = {elements<float>(run.inputs[1]), bias != nullptr ? elements<float>(*bias) : nullptr,
                 epsilon_},
        .y = elements<float>(run.outputs[0]),
        .mean = statistics(run, 1),
        .inv_deviation = statistics(run, 2)};
    if (rms_)
      kernels_.reduce.rms_norm(args, run.pool);
    else
      kernels_.reduce.layer_norm(args, run.pool);
  }

 private:
  const kernels::CpuKernels& kernels_;
  int64_t axis_;
  float epsilon_;
  bool rms_;
};

// LayerNormalization of what is looked up in constant tables, whose rows are read where they lie.
class EmbeddingKernel final : public CpuKernel {
 public:
  static constexpr std::size_t kMaxTables = 4;

  explicit EmbeddingKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa)),
        label_(context.node.label()),
        lookups_(context.lookups.begin(), context.lookups.end()),
        scale_(*context.constant(1)),
        epsilon_(context.node.float_or("epsilon", 1e-5F)) {
    if (context.constant(2) != nullptr) bias_ = *context.constant(2);
  }

  // The checked indices of each table.
  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>, int) const override {
    int64_t count = 0;
    for (const Lookup& lookup : lookups_) {
      count +=
          lookup.index < 0 ? 1 : element_count(inputs[static_cast<std::size_t>(rows_of(lookup))]);
    }
    return static_cast<std::size_t>(count) * sizeof(int64_t);
  }

  void run(const KernelRun& run) const override {
    auto* indices = reinterpret_cast<int64_t*>(run.workspace);
    std::array<kernels::EmbeddingTable, kMaxTables> tables;
    for (std::size_t i = 0; i < lookups_.size(); ++i) {
      const Tensor& table = lookups_[i].table;
      const int64_t count = look_up(lookups_[i], run, indices);
      tables[i] = {table.data(), table.dtype(), indices, count};
      indices += count;
    }
    const Sizes sizes(run.outputs[0].shape(), -1);
    kernels_.reduce.embedding_norm(
        {.rows = sizes.rows,
         .columns = sizes.columns,
         .tables = std::span(tables).first(lookups_.size()),
         .norm = {elements<float>(scale_), bias_.defined() ? elements<float>(bias_) : nullptr,
                  epsilon_},
         .y = elements<float>(run.outputs[0])},
        run.pool);
  }

 private:
  static int rows_of(const Lookup& lookup) { return lookup.pick < 0 ? lookup.index : lookup.pick; }

  // Returns how many there are.
  int64_t look_up(const Lookup& lookup, const KernelRun& run, int64_t* indices) const {
    if (lookup.index < 0) {
      *indices = 0;
      return 1;
    }
    const auto index = run.inputs[static_cast<std::size_t>(lookup.index)].values<int64_t>();
    const auto rows = run.inputs[static_cast<std::size_t>(rows_of(lookup))].values<int64_t>();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const int64_t at =
          lookup.pick < 0
              ? rows[i]
              : index[static_cast<std::size_t>(checked_index(rows[i], std::ssize(index), label_))];
      indices[i] = checked_index(at, lookup.table.shape()[0], label_);
    }
    return std::ssize(rows);
  }

  const kernels::CpuKernels& kernels_;
  std::string label_;
  std::vector<Lookup> lookups_;
  Tensor scale_;
  Tensor bias_;  // may be undefined
  float epsilon_;
};

// Any floating-point types; scale and bias broadcast to the input. Sums are in f64, so that the
// statistics are right in whatever precision stash_type names.
class LayerNormalizationGenericKernel final : public CpuKernel {
 public:
  explicit LayerNormalizationGenericKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", -1)),
        epsilon_(context.node.float_or("epsilon", 1e-5F)),
        rms_(context.node.is("RMSNormalization")) {}

  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto input) {
      dispatch_dtype(FloatTypes{}, run.inputs[1].dtype(), [&](auto scale) {
        normalize<typename decltype(input)::type, typename decltype(scale)::type>(run);
      });
    });
  }

 private:
  struct Moments {
    double mean = 0, inverse = 0;
  };

  template <class T>
  Moments moments(const T* x, int64_t columns) const {
    Moments result;
    const auto count = static_cast<double>(columns);
    for (int64_t i = 0; i < columns && !rms_; ++i) result.mean += widen(x[i]) / count;
    double squares = 0;
    for (int64_t i = 0; i < columns; ++i) {
      const double difference = widen(x[i]) - result.mean;
      squares += difference * difference;
    }
    result.inverse = 1 / std::sqrt(squares / count + epsilon_);
    return result;
  }

  template <class T, class S>
  void normalize(const KernelRun& run) const {
    const Sizes sizes(run.inputs[0].shape(), axis_);
    const Tensor& scale = run.inputs[1];
    const Tensor* bias = operand(run, 2);
    const Shape& shape = run.inputs[0].shape();
    const BroadcastLoop loop =
        broadcast_loop(shape, {&scale.shape(), bias != nullptr ? &bias->shape() : &scale.shape()});
    const T* x = elements<T>(run.inputs[0]);
    run.pool.parallel_for(
        sizes.rows, rows_per_grain(4 * sizes.columns), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            const Moments m = moments(x + row * sizes.columns, sizes.columns);
            put(run, 1, row, m.mean);
            put(run, 2, row, m.inverse);
            for (int64_t i = row * sizes.columns; i < (row + 1) * sizes.columns; ++i) {
              const auto at = loop.locate(i);
              // ONNX rounds what is normalised to the input's type before it is scaled.
              const T normal = narrow<T>((widen(x[i]) - m.mean) * m.inverse);
              double y = widen(normal) * widen(elements<S>(scale)[at[0]]);
              if (bias != nullptr) y += widen(elements<S>(*bias)[at[1]]);
              elements<S>(run.outputs[0])[i] = narrow<S>(y);
            }
          }
        });
  }

  static void put(const KernelRun& run, std::size_t output, int64_t row, double value) {
    if (run.outputs.size() <= output || !run.outputs[output].defined()) return;
    dispatch_dtype(FloatTypes{}, run.outputs[output].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      elements<T>(run.outputs[output])[row] = narrow<T>(value);
    });
  }

  int64_t axis_;
  double epsilon_;
  bool rms_;
};

// The vector kernel wants a scale, and a bias, with one element a column.
bool fills_columns(const KernelContext& context, int index) {
  const ir::Type* x = context.facts.type(context.node.input(0));
  const ir::Type* type = context.facts.type(context.node.input(index));
  if (x == nullptr || type == nullptr || !x->has_rank() || !type->has_rank()) return false;
  const auto axis = context.node.int_or("axis", -1);
  const int at = static_cast<int>(axis < 0 ? axis + x->rank() : axis);
  const int columns = x->rank() - at;
  if (type->rank() != columns) return false;
  for (int i = 0; i < columns; ++i) {
    if (!(*x->dims)[static_cast<std::size_t>(at + i)].equals(
            (*type->dims)[static_cast<std::size_t>(i)]))
      return false;
  }
  return true;
}

std::string refuse_f32_layer_normalization(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  if (context.input_dtype(1) != Dtype::f32) return "the scale is not f32";
  if (context.node.int_or("stash_type", 1) != 1) return "stash_type is not float";
  if (!fills_columns(context, 1)) return "the scale has not one element for each column";
  if (context.node.input(2) != nullptr && context.input_dtype(2) != Dtype::f32)
    return "the bias is not f32";
  if (context.node.input(2) != nullptr && !fills_columns(context, 2))
    return "the bias has not one element for each column";
  return {};
}
std::string refuse_embedding(const KernelContext& context) {
  if (context.lookups.empty()) return "nothing is looked up";
  if (context.lookups.size() > EmbeddingKernel::kMaxTables)
    return fmt::format("sums up no more than {} tables", EmbeddingKernel::kMaxTables);
  for (const Lookup& lookup : context.lookups) {
    const Dtype type = lookup.table.dtype();
    if (type != Dtype::f32 && type != Dtype::f16 && type != Dtype::bf16)
      return fmt::format("a table is {}", to_string(type));
  }
  return refuse_f32_layer_normalization(context);
}
std::string refuse_generic_layer_normalization(const KernelContext& context) {
  if (context.node.input(2) != nullptr && context.input_dtype(2) != context.input_dtype(1))
    return "scale and bias have different element types";
  const std::string reason = refuse_dtype(FloatTypes{}, context.input_dtype(1));
  return reason.empty() ? refuse_input0<FloatTypes>(context) : reason;
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_layer_normalization(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kLayerNormalizationImplementations[] = {
    {.name = "embedding_norm",
     .refuse = refuse_embedding,
     .create = create_layer_normalization<EmbeddingKernel>,
     .lookups = true},
    {"norm_f32", refuse_f32_layer_normalization,
     create_layer_normalization<LayerNormalizationVectorKernel>},
    {"norm_generic", refuse_generic_layer_normalization,
     create_layer_normalization<LayerNormalizationGenericKernel>}};
constexpr CpuOp kLayerNormalizationOps[] = {
    {"", "LayerNormalization", kLayerNormalizationImplementations},
    {"", "RMSNormalization", kLayerNormalizationImplementations}};

}  // namespace

CpuFamily layer_normalization_cpu_ops() { return kLayerNormalizationOps; }

}  // namespace tercel::ops

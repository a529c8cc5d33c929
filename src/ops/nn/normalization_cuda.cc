// Layer, RMS and batch normalisation, softmax.

#include <cmath>
#include <utility>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"

namespace tercel::ops {
namespace {

class NormKernel final : public Kernel {
 public:
  explicit NormKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", -1)),
        epsilon_(context.node.float_or("epsilon", 1e-5F)),
        rms_(context.node.is("RMSNormalization")) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const int at = static_cast<int>(axis_ < 0 ? axis_ + x.rank() : axis_);
    cuda::NormArgs args;
    args.type = x.dtype();
    args.rms = rms_;
    args.rows = product(x.shape(), 0, at);
    args.columns = product(x.shape(), at, x.rank());
    args.x = x.data();
    args.scale = run.inputs[1].data();
    args.shift = data_of(input_of(run, 2));
    args.epsilon = epsilon_;
    args.y = run.outputs[0].data();
    args.x_row = args.y_row = args.columns;
    args.mean = statistics(run, rms_ ? 3 : 1);
    args.inv_deviation = statistics(run, 2);
    cuda::norm(args, stream_of(run));
  }

 private:
  static float* statistics(const KernelRun& run, std::size_t index) {
    const bool wanted = run.outputs.size() > index && run.outputs[index].defined();
    return wanted ? elements<float>(run.outputs[index]) : nullptr;
  }

  int64_t axis_;
  float epsilon_;
  bool rms_;
};

// One element a column.
bool fills_columns(const KernelContext& context, int index) {
  const ir::Type* x = context.facts.type(context.node.input(0));
  const ir::Type* type = context.facts.type(context.node.input(index));
  if (x == nullptr || type == nullptr || !x->has_rank() || !type->has_rank()) return false;
  const auto axis = context.node.int_or("axis", -1);
  const int at = static_cast<int>(axis < 0 ? axis + x->rank() : axis);
  if (type->rank() != x->rank() - at) return false;
  for (int i = 0; i < type->rank(); ++i) {
    if (!(*x->dims)[static_cast<std::size_t>(at + i)].equals(
            (*type->dims)[static_cast<std::size_t>(i)]))
      return false;
  }
  return true;
}

std::string refuse_norm(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  for (int i = 1; i < context.node.num_inputs(); ++i) {
    if (context.node.input(i) == nullptr) continue;
    if (context.input_dtype(i) != context.input_dtype(0))
      return fmt::format("input {} has another type than input 0", i);
    if (!fills_columns(context, i)) return fmt::format("input {} has not one element a column", i);
  }
  for (int i = 1; i < context.node.num_outputs(); ++i) {
    if (context.node.output(i) != nullptr && context.output_dtype(i) != Dtype::f32)
      return "its statistics are wanted in a type that is not f32";
  }
  return {};
}

// LayerNormalization of what is looked up in constant tables.
class LookupNormKernel final : public Kernel {
 public:
  explicit LookupNormKernel(const KernelContext& context)
      : type_(context.output_dtype(0)), epsilon_(context.node.float_or("epsilon", 1e-5F)) {
    for (const Lookup& lookup : context.lookups) {
      lookups_.push_back(lookup);
      lookups_.back().table = keep(context, lookup.table, type_);
    }
    scale_ = keep(context, *context.constant(1), type_);
    if (context.constant(2) != nullptr) shift_ = keep(context, *context.constant(2), type_);
  }

  void run(const KernelRun& run) const override {
    const Shape& shape = run.outputs[0].shape();
    cuda::EmbeddingNormArgs args;
    args.type = type_;
    args.columns = shape.back();
    args.rows = product(shape, 0, static_cast<int>(shape.size()) - 1);
    for (std::size_t i = 0; i < lookups_.size(); ++i) args.tables[i] = table(lookups_[i], run);
    args.scale = scale_.data();
    args.shift = data_of(shift_.defined() ? &shift_ : nullptr);
    args.epsilon = epsilon_;
    args.y = run.outputs[0].data();
    args.error = run.fault;
    cuda::embedding_norm(args, stream_of(run));
  }

 private:
  static cuda::EmbeddingTable table(const Lookup& lookup, const KernelRun& run) {
    cuda::EmbeddingTable table{.rows = lookup.table.data(), .size = lookup.table.shape()[0]};
    if (lookup.index < 0) return table;
    const Tensor& ids = run.inputs[static_cast<std::size_t>(lookup.index)];
    table.ids = ids.data();
    table.count = ids.size();
    if (lookup.pick < 0) return table;
    const Tensor& pick = run.inputs[static_cast<std::size_t>(lookup.pick)];
    table.ids_count = ids.size();
    table.pick = elements<int64_t>(pick);
    table.count = pick.size();
    return table;
  }

  Dtype type_;
  float epsilon_;
  std::vector<Lookup> lookups_;
  Tensor scale_;
  Tensor shift_;  // may be undefined
};

std::string refuse_lookups(const KernelContext& context) {
  if (context.lookups.empty()) return "nothing is looked up";
  if (context.lookups.size() > cuda::EmbeddingNormArgs::kMaxTables)
    return fmt::format("sums up no more than {} tables", cuda::EmbeddingNormArgs::kMaxTables);
  return refuse_norm(context);
}

class SoftmaxKernel final : public Kernel {
 public:
  explicit SoftmaxKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", -1)), log_(context.node.is("LogSoftmax")) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    cuda::softmax({.type = run.inputs[0].dtype(),
                   .outer = view.outer,
                   .axis = view.axis,
                   .inner = view.inner,
                   .x = run.inputs[0].data(),
                   .y = run.outputs[0].data(),
                   .log = log_},
                  stream_of(run));
  }

 private:
  int64_t axis_;
  bool log_;
};

constexpr Implementation kLayerNorm[] = {{.name = "embedding_norm",
                                          .refuse = refuse_lookups,
                                          .create = create_kernel<LookupNormKernel>,
                                          .lookups = true},
                                         {"norm", refuse_norm, create_kernel<NormKernel>}};
// By statistics that the model holds: one multiplication and one addition an element.
class BatchNormKernel final : public Kernel {
 public:
  explicit BatchNormKernel(const KernelContext& context) : channels_last_(context.layouts.input) {
    const int64_t channels = context.constant(1)->size();
    Tensor scale(Dtype::f32, {channels});
    Tensor shift(Dtype::f32, {channels});
    const double epsilon = static_cast<double>(context.node.float_or("epsilon", 1e-5F));
    const auto of = [&](int input, std::size_t c) {
      return static_cast<double>(context.constant(input)->values<float>()[c]);
    };
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const double factor = of(1, c) / std::sqrt(of(4, c) + epsilon);
      scale.values<float>()[c] = static_cast<float>(factor);
      shift.values<float>()[c] = static_cast<float>(of(2, c) - of(3, c) * factor);
    }
    scale_ = keep(context, scale, Dtype::f32);
    shift_ = keep(context, shift, Dtype::f32);
  }
  bool absorbs(int input) const override { return input > 0; }
  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    cuda::ScaleShiftArgs args;
    args.type = x.dtype();
    args.channels = scale_.size();
    args.outer = x.shape()[0];
    args.inner = product(x.shape(), 2, x.rank());
    if (channels_last_) args.outer *= std::exchange(args.inner, 1);
    args.x = x.data();
    args.scale = elements<float>(scale_);
    args.shift = elements<float>(shift_);
    args.y = run.outputs[0].data();
    cuda::scale_shift(args, stream_of(run));
  }

 private:
  bool channels_last_;
  Tensor scale_, shift_;
};

std::string refuse_batch_norm(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  if (context.layouts.input != context.layouts.output) return "turns no image";
  if (context.node.num_outputs() > 1) return "its statistics are wanted";
  const ir::Type* x = context.facts.type(context.node.input(0));
  if (x == nullptr || !x->has_rank() || x->rank() < 2) return "the rank is not 2 or more";
  for (int i = 1; i <= 4; ++i) {
    const Tensor* constant = context.constant(i);
    if (constant == nullptr || constant->dtype() != Dtype::f32)
      return fmt::format("input {} is not a constant of f32", i);
  }
  return {};
}

constexpr Implementation kNorm[] = {{"norm", refuse_norm, create_kernel<NormKernel>}};
constexpr Implementation kSoftmax[] = {
    {"softmax", refuse_unless_float, create_kernel<SoftmaxKernel>}};
constexpr Implementation kBatchNorm[] = {
    {"scale_shift", refuse_batch_norm, create_kernel<BatchNormKernel>, false, true}};
constexpr OperatorKernels kOps[] = {{"", "BatchNormalization", kBatchNorm},
                                    {"", "LayerNormalization", kLayerNorm},
                                    {"", "RMSNormalization", kNorm},
                                    {"", "Softmax", kSoftmax},
                                    {"", "LogSoftmax", kSoftmax}};

}  // namespace

CudaFamily normalization_cuda_ops() { return kOps; }

}  // namespace tercel::ops

// Operators that read or write at indices, which are checked on the device.

#include <numeric>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"

namespace tercel::ops {
namespace {

class GatherKernel final : public Kernel {
 public:
  explicit GatherKernel(const KernelContext& context) : axis_(context.node.int_or("axis", 0)) {}
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    cuda::gather({.element_bytes = element_bytes_of(run.inputs[0].dtype()),
                  .outer = view.outer,
                  .axis = view.axis,
                  .inner = view.inner,
                  .count = run.inputs[1].size(),
                  .in = run.inputs[0].data(),
                  .index_type = run.inputs[1].dtype(),
                  .indices = run.inputs[1].data(),
                  .out = run.outputs[0].data(),
                  .error = run.fault},
                 stream_of(run));
  }

 private:
  int64_t axis_;
};

class GatherElementsKernel final : public Kernel {
 public:
  explicit GatherElementsKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", 0)), label_(context.node.label()) {}
  void run(const KernelRun& run) const override {
    const Shape& data = run.inputs[0].shape();
    const Shape& indices = run.inputs[1].shape();
    const auto axis =
        static_cast<std::size_t>(axis_ < 0 ? axis_ + static_cast<int64_t>(data.size()) : axis_);
    for (std::size_t d = 0; d < indices.size(); ++d) {
      if (d != axis && indices[d] > data[d]) {
        fail(Errc::invalid_argument, "{} indices of shape {} reach beyond data of shape {}", label_,
             to_string(indices), to_string(data));
      }
    }
    cuda::gather_elements({.element_bytes = element_bytes_of(run.inputs[0].dtype()),
                           .in_dims = extents(data),
                           .index_dims = extents(indices),
                           .axis = static_cast<int>(axis),
                           .in = run.inputs[0].data(),
                           .index_type = run.inputs[1].dtype(),
                           .indices = run.inputs[1].data(),
                           .out = run.outputs[0].data(),
                           .error = run.fault},
                          stream_of(run));
  }

 private:
  int64_t axis_;
  std::string label_;
};

class GatherNdKernel final : public Kernel {
 public:
  explicit GatherNdKernel(const KernelContext& context)
      : batch_(static_cast<int>(context.node.int_or("batch_dims", 0))) {}
  void run(const KernelRun& run) const override {
    const Tensor& data = run.inputs[0];
    const Tensor& indices = run.inputs[1];
    const auto depth = static_cast<int>(indices.shape().back());
    const int64_t batches = product(indices.shape(), 0, batch_);
    const int64_t slices = product(indices.shape(), 0, indices.rank() - 1);
    const std::span<const int64_t> dims(data.shape());
    cuda::gather_nd({.element_bytes = element_bytes_of(data.dtype()),
                     .batch = batches,
                     .count = batches == 0 ? 0 : slices / batches,
                     .slice = product(data.shape(), batch_ + depth, data.rank()),
                     .depth = depth,
                     .dims = extents(dims.subspan(static_cast<std::size_t>(batch_))),
                     .in = data.data(),
                     .index_type = indices.dtype(),
                     .indices = indices.data(),
                     .out = run.outputs[0].data(),
                     .error = run.fault},
                    stream_of(run));
  }

 private:
  int batch_;
};

cuda::ScatterOp scatter_op(const ir::Node& node) {
  const std::string reduction = node.string_or("reduction", "none");
  if (reduction == "add") return cuda::ScatterOp::add;
  if (reduction == "mul") return cuda::ScatterOp::mul;
  if (reduction == "max") return cuda::ScatterOp::max;
  return reduction == "min" ? cuda::ScatterOp::min : cuda::ScatterOp::none;
}

// The data first, then the updates.
class ScatterKernel : public Kernel {
 public:
  explicit ScatterKernel(const KernelContext& context)
      : device_(*context.device), op_(scatter_op(context.node)) {}
  bool in_place(int input) const override { return input == 0; }

 protected:
  void copy_data(const KernelRun& run) const {
    Tensor& out = run.outputs[0];
    if (out.data() != run.inputs[0].data())
      device_.copy(out.data(), run.inputs[0].data(), out.bytes(), *run.stream);
  }
  cuda::ScatterOp op() const { return op_; }

 private:
  Device& device_;
  cuda::ScatterOp op_;
};

class ScatterElementsKernel final : public ScatterKernel {
 public:
  explicit ScatterElementsKernel(const KernelContext& context)
      : ScatterKernel(context), axis_(context.node.int_or("axis", 0)) {}
  void run(const KernelRun& run) const override {
    copy_data(run);
    const Tensor& out = run.outputs[0];
    const int64_t axis = axis_ < 0 ? axis_ + out.rank() : axis_;
    cuda::scatter_elements({.op = op(),
                            .type = out.dtype(),
                            .out_dims = extents(out.shape()),
                            .index_dims = extents(run.inputs[1].shape()),
                            .axis = static_cast<int>(axis),
                            .index_type = run.inputs[1].dtype(),
                            .indices = run.inputs[1].data(),
                            .updates = run.inputs[2].data(),
                            .out = run.outputs[0].data(),
                            .error = run.fault},
                           stream_of(run));
  }

 private:
  int64_t axis_;
};

class ScatterNdKernel final : public ScatterKernel {
 public:
  using ScatterKernel::ScatterKernel;
  void run(const KernelRun& run) const override {
    copy_data(run);
    const Tensor& out = run.outputs[0];
    const Tensor& indices = run.inputs[1];
    const auto depth = static_cast<int>(indices.shape().back());
    cuda::scatter_nd({.op = op(),
                      .type = out.dtype(),
                      .count = product(indices.shape(), 0, indices.rank() - 1),
                      .slice = product(out.shape(), depth, out.rank()),
                      .depth = depth,
                      .dims = extents(out.shape()),
                      .index_type = indices.dtype(),
                      .indices = indices.data(),
                      .updates = run.inputs[2].data(),
                      .out = run.outputs[0].data(),
                      .error = run.fault},
                     stream_of(run));
  }
};

// Sums of floating-point numbers at one place would come in any order; where an index comes twice,
// the CPU's order decides.
std::string refuse_scatter(const KernelContext& context) {
  if (std::string reason = refuse_unless_bytes(context); !reason.empty()) return reason;
  return scatter_op(context.node) == cuda::ScatterOp::none
             ? std::string()
             : "updates at one place would be combined in any order";
}

class CumulativeKernel final : public Kernel {
 public:
  explicit CumulativeKernel(const KernelContext& context)
      : product_(context.node.is("CumProd")),
        exclusive_(context.node.int_or("exclusive", 0) != 0),
        reverse_(context.node.int_or("reverse", 0) != 0) {}
  bool reads_on_host(int input) const override { return input == 1; }
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), integer_value(run.inputs[1]));
    cuda::cumulative({.type = run.inputs[0].dtype(),
                      .product = product_,
                      .exclusive = exclusive_,
                      .reverse = reverse_,
                      .outer = view.outer,
                      .axis = view.axis,
                      .inner = view.inner,
                      .x = run.inputs[0].data(),
                      .y = run.outputs[0].data()},
                     stream_of(run));
  }

 private:
  bool product_;
  bool exclusive_;
  bool reverse_;
};

using CumulativeTypes = Types<float, f16, bf16, double, int32_t, int64_t, uint32_t, uint64_t>;

constexpr Implementation kGather[] = {{"gather", refuse_unless_bytes, create_kernel<GatherKernel>}};
constexpr Implementation kGatherElements[] = {
    {"gather_elements", refuse_unless_bytes, create_kernel<GatherElementsKernel>}};
constexpr Implementation kGatherNd[] = {
    {"gather_nd", refuse_unless_bytes, create_kernel<GatherNdKernel>}};
constexpr Implementation kScatterElements[] = {
    {"scatter_elements", refuse_scatter, create_kernel<ScatterElementsKernel>}};
constexpr Implementation kScatterNd[] = {
    {"scatter_nd", refuse_scatter, create_kernel<ScatterNdKernel>}};
constexpr Implementation kCumulative[] = {
    {"cumulative", refuse_input0<CumulativeTypes>, create_kernel<CumulativeKernel>}};
constexpr OperatorKernels kOps[] = {
    {"", "Gather", kGather},       {"", "GatherElements", kGatherElements},
    {"", "GatherND", kGatherNd},   {"", "ScatterElements", kScatterElements},
    {"", "ScatterND", kScatterNd}, {"", "CumSum", kCumulative},
    {"", "CumProd", kCumulative}};

}  // namespace

CudaFamily index_cuda_ops() { return kOps; }

}  // namespace tercel::ops

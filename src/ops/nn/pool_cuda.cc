// Pooling of windows, and of whole images, which is a reduction.

#include <algorithm>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {
namespace {

class PoolKernel final : public Kernel {
 public:
  explicit PoolKernel(const KernelContext& context)
      : node_(context.node), channels_last_(context.layouts.input) {
    args_.max = node_.is("MaxPool");
    args_.with_pads = node_.int_or("count_include_pad", 0) != 0;
    args_.channels_last = channels_last_;
  }
  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const SlideAxes axes =
        slide_axes(node_, window_of(node_, in.size() - 2), in, run.outputs[0].shape());
    cuda::PoolArgs args = args_;
    for (std::size_t d = 0; d < kMaxSpatial; ++d) {
      args.axes[d] = {axes[d].in,       axes[d].out,   axes[d].kernel, axes[d].stride,
                      axes[d].dilation, axes[d].begin, axes[d].end};
    }
    args.type = run.inputs[0].dtype();
    args.batch = in[0];
    args.channels = in[1];
    args.x = run.inputs[0].data();
    args.y = run.outputs[0].data();
    cuda::pool(args, stream_of(run));
  }

 private:
  const ir::Node& node_;
  bool channels_last_;
  cuda::PoolArgs args_;
};

std::string refuse_windows(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  if (context.node.output(1) != nullptr) return "the places of the maxima are wanted";
  const ir::Type* x = context.facts.type(context.node.input(0));
  if (x == nullptr || !x->has_rank()) return "the rank is not known";
  const auto spatial = static_cast<std::size_t>(x->rank()) - 2;
  return spatial > kMaxSpatial
             ? fmt::format("{} spatial dimensions; at most {} are supported", spatial, kMaxSpatial)
             : std::string();
}

std::string refuse_pool(const KernelContext& context) {
  if (context.layouts.input || context.layouts.output) return "an image lies channels last";
  return refuse_windows(context);
}
std::string refuse_pool_channels_last(const KernelContext& context) {
  if (!context.layouts.input || !context.layouts.output) return "an image is not channels last";
  return refuse_windows(context);
}

cuda::ReduceOp reduction_of(const ir::Node& node) {
  if (node.is("GlobalAveragePool")) return cuda::ReduceOp::mean;
  if (node.is("GlobalMaxPool")) return cuda::ReduceOp::max;
  return node.int_or("p", 2) == 1 ? cuda::ReduceOp::l1 : cuda::ReduceOp::l2;
}

// Its output, of one pixel, lies in both ways.
class GlobalPoolKernel final : public Kernel {
 public:
  explicit GlobalPoolKernel(const KernelContext& context)
      : op_(reduction_of(context.node)), channels_last_(context.layouts.input) {}
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const int64_t batch = x.shape()[0];
    const int64_t channels = x.shape()[1];
    cuda::reduce({.op = op_,
                  .type = x.dtype(),
                  .outer = channels_last_ ? batch : batch * channels,
                  .axis = product(x.shape(), 2, x.rank()),
                  .inner = channels_last_ ? channels : 1,
                  .x = x.data(),
                  .y = run.outputs[0].data()},
                 stream_of(run));
  }

 private:
  cuda::ReduceOp op_;
  bool channels_last_;
};

std::string refuse_global_pool(const KernelContext& context) {
  if (context.node.is("GlobalLpPool") && context.node.int_or("p", 2) > 2)
    return "p is neither 1 nor 2";
  return refuse_unless_float(context);
}

std::string refuse_global_channels_last(const KernelContext& context) {
  if (!context.layouts.input) return "the image is not channels last";
  return refuse_global_pool(context);
}

constexpr Implementation kPool[] = {
    {"pool_channels_last", refuse_pool_channels_last, create_kernel<PoolKernel>, false, true},
    {"pool", refuse_pool, create_kernel<PoolKernel>}};
constexpr Implementation kGlobal[] = {
    {"pool_channels_last", refuse_global_channels_last, create_kernel<GlobalPoolKernel>, false,
     true},
    {"pool_global", refuse_global_pool, create_kernel<GlobalPoolKernel>, false, true}};
constexpr OperatorKernels kOps[] = {{"", "MaxPool", kPool},
                                    {"", "AveragePool", kPool},
                                    {"", "GlobalAveragePool", kGlobal},
                                    {"", "GlobalMaxPool", kGlobal},
                                    {"", "GlobalLpPool", kGlobal}};

}  // namespace

CudaFamily pool_cuda_ops() { return kOps; }

}  // namespace tercel::ops

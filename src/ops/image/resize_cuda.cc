// Resize to nearest elements, or by linear interpolation. Scales, sizes and axes are read on the
// host.

#include <algorithm>
#include <array>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"
#include "src/ops/image/resize.h"

namespace tercel::ops {
namespace {

cuda::NearestMode nearest_mode(const ir::Node& node) {
  const std::string mode = node.string_or("nearest_mode", "round_prefer_floor");
  if (mode == "round_prefer_ceil") return cuda::NearestMode::round_prefer_ceil;
  if (mode == "floor") return cuda::NearestMode::floor;
  return mode == "ceil" ? cuda::NearestMode::ceil : cuda::NearestMode::round_prefer_floor;
}

// The same positions as those of the CPU's kernel.
cuda::ResizeAxis device_axis(const std::string& how, const ResizedAxis& resized, int64_t in) {
  cuda::ResizeAxis axis{in, resized.size, true};
  const auto width = static_cast<double>(in);
  const double length = resized.scale * width;
  axis.over = resized.scale;
  if (how == "asymmetric") return axis;
  if (how == "align_corners" || (how == "pytorch_half_pixel" && length == 1)) {
    axis.times = length == 1 ? 0 : width - 1;
    axis.over = length == 1 ? 1 : length - 1;
    return axis;
  }
  axis.shift = 0.5;
  if (how == "tf_half_pixel_for_nn") return axis;
  axis.offset = -0.5;
  if (how == "half_pixel_symmetric")
    axis.offset += width / 2 * (1 - static_cast<double>(resized.size) / length);
  return axis;
}

class ResizeKernel final : public Kernel {
 public:
  explicit ResizeKernel(const KernelContext& context)
      : node_(context.node),
        transformation_(node_.string_or("coordinate_transformation_mode", "half_pixel")),
        channels_last_(context.layouts.input) {
    args_.linear = node_.string_or("mode", "nearest") == "linear";
    args_.nearest = nearest_mode(node_);
  }
  bool reads_on_host(int input) const override { return input > 0; }
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    if (run.outputs[0].size() == 0) return;
    if (x.size() == 0)
      fail(Errc::invalid_argument, "{} an empty input has nothing to resize", node_.label());
    cuda::ResizeArgs args = args_;
    args.type = x.dtype();
    args.rank = x.rank();
    args.x = x.data();
    args.y = run.outputs[0].data();
    for (std::size_t d = 0; d < x.shape().size(); ++d)
      args.axes[d] = {x.shape()[d], x.shape()[d], false};
    for (const ResizedAxis& resized : resized_of(run)) {
      const int64_t in = x.shape()[resized.axis];
      if (in != resized.size || resized.scale != 1)
        args.axes[resized.axis] = device_axis(transformation_, resized, in);
    }
    if (channels_last_) std::rotate(args.axes + 1, args.axes + 2, args.axes + args.rank);
    cuda::resize(args, stream_of(run));
  }

 private:
  std::vector<ResizedAxis> resized_of(const KernelRun& run) const {
    const Shape& in = run.inputs[0].shape();
    const Tensor* scales = input_of(run, 2);
    if (scales == nullptr || scales->size() == 0) {
      const std::vector<int64_t> sizes = integer_values(run.inputs[3]);
      return resized_axes(node_, in, nullptr, &sizes);
    }
    const auto values = scales->values<float>();
    const std::vector<float> given(values.begin(), values.end());
    return resized_axes(node_, in, &given, nullptr);
  }

  const ir::Node& node_;
  std::string transformation_;
  bool channels_last_;
  cuda::ResizeArgs args_;
};

std::string refuse_resize(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  const ir::Node& node = context.node;
  if (node.string_or("mode", "nearest") == "cubic") return "the mode is cubic";
  if (node.int_or("antialias", 0) != 0) return "it smooths what it makes smaller";
  if (node.int_or("exclude_outside", 0) != 0) return "weights outside are excluded";
  if (node.string_or("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize")
    return "it crops";
  if (!has_constant(context, 2)) return "the scales are not constant";
  const Tensor* scales = context.constant(2);
  if (scales != nullptr && scales->dtype() != Dtype::f32) return "the scales are not f32";
  const ir::Type* x = context.facts.type(node.input(0));
  return x != nullptr && x->has_rank() && x->rank() <= cuda::kMaxRank
             ? std::string()
             : fmt::format("the rank is not known, or more than {}", cuda::kMaxRank);
}

std::string refuse_channels_last(const KernelContext& context) {
  if (!context.layouts.input || !context.layouts.output) return "an image is not channels last";
  return refuse_resize(context);
}

constexpr Implementation kResize[] = {
    {"resize_channels_last", refuse_channels_last, create_kernel<ResizeKernel>, false, true},
    {"resize", refuse_resize, create_kernel<ResizeKernel>}};
constexpr OperatorKernels kOps[] = {{"", "Resize", kResize}};

}  // namespace

CudaFamily resize_cuda_ops() { return kOps; }

}  // namespace tercel::ops

// Operators that move elements without looking at them. Shapes, axes and positions are read on the
// host.

#include <algorithm>
#include <numeric>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"
#include "src/ops/tensor/move_cpu.h"
#include "src/ops/tensor/slice.h"

namespace tercel::ops {
namespace {

// out[i] = in[i], with the input's element [0, 0, …] at `offset` and a stride for each dimension.
void copy_by_strides(const Tensor& in, int64_t offset, std::span<const int64_t> dims,
                     std::span<const int64_t> strides, Tensor& out, const KernelRun& run) {
  const cuda::Extents sizes = extents(dims);
  const int bytes = element_bytes_of(in.dtype());
  cuda::strided_copy({.element_bytes = bytes,
                      .dims = sizes,
                      .in_strides = extents(strides),
                      .out_strides = cuda::row_major(sizes),
                      .in = static_cast<const std::byte*>(in.data()) + offset * bytes,
                      .out = out.data()},
                     stream_of(run));
}

void permute(const Tensor& in, const Shape& shape, std::span<const std::size_t> order, Tensor& out,
             const KernelRun& run) {
  const std::vector<int64_t> all = row_major(shape);
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;
  for (const std::size_t axis : order) {
    dims.push_back(shape[axis]);
    strides.push_back(all[axis]);
  }
  copy_by_strides(in, 0, dims, strides, out, run);
}

class TransposeKernel final : public Kernel {
 public:
  explicit TransposeKernel(const KernelContext& context)
      : perm_(context.node.ints_or("perm", {})) {}
  void run(const KernelRun& run) const override {
    const int64_t rank = run.inputs[0].rank();
    std::vector<std::size_t> order;
    for (int64_t i = 0; i < rank; ++i) {
      const int64_t axis = perm_.empty() ? rank - 1 - i : perm_[static_cast<std::size_t>(i)];
      order.push_back(static_cast<std::size_t>(axis < 0 ? axis + rank : axis));
    }
    permute(run.inputs[0], run.inputs[0].shape(), order, run.outputs[0], run);
  }

 private:
  std::vector<int64_t> perm_;
};

class SliceKernel final : public Kernel {
 public:
  explicit SliceKernel(const KernelContext& context) : label_(context.node.label()) {}
  bool reads_on_host(int input) const override { return input > 0; }
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const auto optional = [&](std::size_t index, std::vector<int64_t> otherwise) {
      const Tensor* given = input_of(run, index);
      return given != nullptr ? integer_values(*given) : std::move(otherwise);
    };
    const auto starts = integer_values(run.inputs[1]);
    const auto ends = integer_values(run.inputs[2]);
    std::vector<int64_t> first(starts.size());
    std::iota(first.begin(), first.end(), 0);
    const auto axes = optional(3, first);
    const auto steps = optional(4, std::vector<int64_t>(starts.size(), 1));
    Shape dims = in.shape();
    std::vector<int64_t> strides = row_major(in.shape());
    int64_t offset = 0;
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto axis = static_cast<std::size_t>(checked_index(axes[i], in.rank(), label_));
      const SliceRange range = slice_range(in.shape()[axis], starts[i], ends[i], steps[i]);
      dims[axis] = range.count;
      offset += range.start * strides[axis];
      strides[axis] *= range.count > 1 ? range.step : 1;
    }
    copy_by_strides(in, offset, dims, strides, run.outputs[0], run);
  }

 private:
  std::string label_;
};

class SplitKernel final : public Kernel {
 public:
  explicit SplitKernel(const KernelContext& context) : axis_(context.node.int_or("axis", 0)) {}
  bool reads_on_host(int input) const override { return input > 0; }
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + in.rank() : axis_);
    const std::vector<int64_t> strides = row_major(in.shape());
    const std::vector<int64_t> lengths = lengths_of(run, in.shape()[axis]);
    int64_t begin = 0;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
      Shape dims = in.shape();
      dims[axis] = lengths[i];
      if (run.outputs[i].defined())
        copy_by_strides(in, begin * strides[axis], dims, strides, run.outputs[i], run);
      begin += lengths[i];
    }
  }

 private:
  // Outputs may be left out, so that their shapes do not tell all lengths.
  static std::vector<int64_t> lengths_of(const KernelRun& run, int64_t whole) {
    if (const Tensor* given = input_of(run, 1)) return integer_values(*given);
    const auto count = static_cast<int64_t>(run.outputs.size());
    const int64_t chunk = (whole + count - 1) / count;
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < count; ++i) {
      lengths.push_back(std::min(chunk, whole));
      whole -= lengths.back();
    }
    return lengths;
  }
  int64_t axis_;
};

class ExpandKernel final : public Kernel {
 public:
  explicit ExpandKernel(const KernelContext&) {}
  bool reads_on_host(int input) const override { return input > 0; }
  void run(const KernelRun& run) const override {
    const DeviceBroadcast loop = device_broadcast(run.outputs[0].shape(), {&run.inputs[0].shape()});
    cuda::strided_copy({.element_bytes = element_bytes_of(run.outputs[0].dtype()),
                        .dims = loop.dims,
                        .in_strides = loop.strides[0],
                        .out_strides = cuda::row_major(loop.dims),
                        .in = run.inputs[0].data(),
                        .out = run.outputs[0].data()},
                       stream_of(run));
  }
};

class TileKernel final : public Kernel {
 public:
  explicit TileKernel(const KernelContext&) {}
  bool reads_on_host(int input) const override { return input > 0; }
  void run(const KernelRun& run) const override {
    cuda::tile({.element_bytes = element_bytes_of(run.outputs[0].dtype()),
                .in_dims = extents(run.inputs[0].shape()),
                .out_dims = extents(run.outputs[0].shape()),
                .in = run.inputs[0].data(),
                .out = run.outputs[0].data()},
               stream_of(run));
  }
};

// The block's two dimensions come before the channels (DCR) or after them (CRD).
class DepthToSpaceKernel final : public Kernel {
 public:
  explicit DepthToSpaceKernel(const KernelContext& context)
      : block_(context.node.int_or("blocksize", 1)),
        channels_last_(context.node.string_or("mode", "DCR") == "DCR") {}
  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const int64_t depth = in[1] / (block_ * block_);
    if (channels_last_) {
      permute(run.inputs[0], {in[0], block_, block_, depth, in[2], in[3]},
              std::array<std::size_t, 6>{0, 3, 4, 1, 5, 2}, run.outputs[0], run);
    } else {
      permute(run.inputs[0], {in[0], depth, block_, block_, in[2], in[3]},
              std::array<std::size_t, 6>{0, 1, 4, 2, 5, 3}, run.outputs[0], run);
    }
  }

 private:
  int64_t block_;
  bool channels_last_;
};

class ConcatKernel final : public Kernel {
 public:
  explicit ConcatKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", 0)), channels_last_(context.layouts.output) {}
  void run(const KernelRun& run) const override {
    const AxisView whole = view_axis(run.outputs[0].shape(), axis_);
    cuda::ConcatArgs args;
    args.element_bytes = element_bytes_of(run.outputs[0].dtype());
    args.outer = channels_last_ ? whole.outer * whole.inner : whole.outer;
    args.inner = channels_last_ ? 1 : whole.inner;
    args.total = whole.axis;
    args.out = run.outputs[0].data();
    int64_t taken = 0;
    for (const Tensor& in : run.inputs) {
      args.in[args.parts] = in.data();
      args.axis[args.parts] = view_axis(in.shape(), axis_).axis;
      taken += args.axis[args.parts];
      if (++args.parts < cuda::kMaxParts && &in != &run.inputs.back()) continue;
      cuda::concat(args, stream_of(run));
      args.begin = taken;
      args.parts = 0;
    }
  }

 private:
  int64_t axis_;
  bool channels_last_;
};

std::string refuse_concat_channels_last(const KernelContext& context) {
  if (!context.layouts.input || !context.layouts.output) return "an image is not channels last";
  return context.node.int_or("axis", 0) == 1 ? refuse_unless_bytes(context)
                                             : "joins images by another axis than their channels";
}

class PadKernel final : public Kernel {
 public:
  explicit PadKernel(const KernelContext& context)
      : label_(context.node.label()), mode_(mode_of(context.node)) {}
  bool reads_on_host(int input) const override { return input == 1 || input == 3; }
  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const auto pads = integer_values(run.inputs[1]);
    std::vector<int64_t> axes(in.size());
    std::iota(axes.begin(), axes.end(), 0);
    if (const Tensor* given = input_of(run, 3)) axes = integer_values(*given);
    std::vector<int64_t> before(in.size(), 0);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const int64_t axis = checked_index(axes[i], static_cast<int64_t>(in.size()), label_);
      before[static_cast<std::size_t>(axis)] = pads[i];
    }
    if (mode_ != cuda::PadMode::constant && run.inputs[0].size() == 0)
      fail(Errc::invalid_argument, "{} an empty axis has no elements to pad with", label_);
    cuda::pad({.element_bytes = element_bytes_of(run.outputs[0].dtype()),
               .mode = mode_,
               .in_dims = extents(in),
               .out_dims = extents(run.outputs[0].shape()),
               .before = extents(before),
               .in = run.inputs[0].data(),
               .value = data_of(input_of(run, 2)),
               .out = run.outputs[0].data()},
              stream_of(run));
  }

 private:
  static cuda::PadMode mode_of(const ir::Node& node) {
    const std::string mode = node.string_or("mode", "constant");
    if (mode == "reflect") return cuda::PadMode::reflect;
    if (mode == "edge") return cuda::PadMode::edge;
    return mode == "wrap" ? cuda::PadMode::wrap : cuda::PadMode::constant;
  }

  std::string label_;
  cuda::PadMode mode_;
};

class TriluKernel final : public Kernel {
 public:
  explicit TriluKernel(const KernelContext& context)
      : upper_(context.node.int_or("upper", 1) != 0) {}
  bool reads_on_host(int input) const override { return input == 1; }
  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const Tensor* k = input_of(run, 1);
    cuda::trilu({.element_bytes = element_bytes_of(in.dtype()),
                 .batch = product(in.shape(), 0, in.rank() - 2),
                 .rows = in.shape()[static_cast<std::size_t>(in.rank()) - 2],
                 .columns = in.shape().back(),
                 .k = k != nullptr ? integer_value(*k) : 0,
                 .upper = upper_,
                 .in = in.data(),
                 .out = run.outputs[0].data()},
                stream_of(run));
  }

 private:
  bool upper_;
};

template <class Made>
constexpr Implementation made(std::string_view name) {
  return {name, refuse_unless_bytes, create_kernel<Made>};
}
constexpr Implementation kTranspose[] = {made<TransposeKernel>("transpose")};
constexpr Implementation kSlice[] = {made<SliceKernel>("slice")};
constexpr Implementation kSplit[] = {made<SplitKernel>("split")};
constexpr Implementation kExpand[] = {made<ExpandKernel>("expand")};
constexpr Implementation kTile[] = {made<TileKernel>("tile")};
constexpr Implementation kDepthToSpace[] = {made<DepthToSpaceKernel>("depth_to_space")};
constexpr Implementation kConcat[] = {
    {"concat_channels_last", refuse_concat_channels_last, create_kernel<ConcatKernel>, false, true},
    made<ConcatKernel>("concat")};
constexpr Implementation kPad[] = {made<PadKernel>("pad")};
constexpr Implementation kTrilu[] = {made<TriluKernel>("trilu")};
constexpr OperatorKernels kOps[] = {
    {"", "Transpose", kTranspose}, {"", "Slice", kSlice}, {"", "Split", kSplit},
    {"", "Expand", kExpand},       {"", "Tile", kTile},   {"", "DepthToSpace", kDepthToSpace},
    {"", "Concat", kConcat},       {"", "Pad", kPad},     {"", "Trilu", kTrilu}};

}  // namespace

CudaFamily move_cuda_ops() { return kOps; }

}  // namespace tercel::ops

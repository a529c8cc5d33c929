// Operators that copy their input with other strides: Transpose, Slice, Split, Expand, Tile,
// DepthToSpace, SpaceToDepth.

#include <numeric>

#include "src/ops/tensor/slice.h"
#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

void permute(const Tensor& in, const Shape& shape, const std::vector<std::size_t>& order,
             Tensor& out, ThreadPool& pool) {
  const std::vector<int64_t> strides = row_major(shape);
  StridedSource source{in.data(), 0, {}, {}};
  for (const std::size_t axis : order) {
    source.dims.push_back(shape[axis]);
    source.strides.push_back(strides[axis]);
  }
  copy_strided(source, out.data(), in.dtype(), pool);
}

class TransposeKernel final : public CpuKernel {
 public:
  explicit TransposeKernel(const KernelContext& context)
      : perm_(context.node.ints_or("perm", {})) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const int64_t rank = in.rank();
    std::vector<std::size_t> order;
    for (int64_t i = 0; i < rank; ++i) {
      const int64_t axis = perm_.empty() ? rank - 1 - i : perm_[static_cast<std::size_t>(i)];
      order.push_back(static_cast<std::size_t>(axis < 0 ? axis + rank : axis));
    }
    permute(in, in.shape(), order, run.outputs[0], run.pool);
  }

 private:
  std::vector<int64_t> perm_;
};

class SliceKernel final : public CpuKernel {
 public:
  explicit SliceKernel(const KernelContext& context) : label_(context.node.label()) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const auto optional = [&](std::size_t index, std::vector<int64_t> otherwise) {
      return index < run.inputs.size() && run.inputs[index].defined()
                 ? integer_values(run.inputs[index])
                 : std::move(otherwise);
    };
    const auto starts = integer_values(run.inputs[1]);
    const auto ends = integer_values(run.inputs[2]);
    std::vector<int64_t> first(starts.size());
    std::iota(first.begin(), first.end(), 0);
    const auto axes = optional(3, first);
    const auto steps = optional(4, std::vector<int64_t>(starts.size(), 1));
    StridedSource source{in.data(), 0, in.shape(), row_major(in.shape())};
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto axis = static_cast<std::size_t>(checked_index(axes[i], in.rank(), label_));
      const SliceRange range = slice_range(in.shape()[axis], starts[i], ends[i], steps[i]);
      source.dims[axis] = range.count;
      source.offset += range.start * source.strides[axis];
      source.strides[axis] *= range.count > 1 ? range.step : 1;
    }
    copy_strided(source, run.outputs[0].data(), in.dtype(), run.pool);
  }

 private:
  std::string label_;
};

class SplitKernel final : public CpuKernel {
 public:
  explicit SplitKernel(const KernelContext& context) : axis_(context.node.int_or("axis", 0)) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + in.rank() : axis_);
    const std::vector<int64_t> strides = row_major(in.shape());
    const std::vector<int64_t> lengths = lengths_of(run, in.shape()[axis]);
    int64_t begin = 0;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
      Shape dims = in.shape();
      dims[axis] = lengths[i];
      if (run.outputs[i].defined()) {
        copy_strided({in.data(), begin * strides[axis], dims, strides}, run.outputs[i].data(),
                     in.dtype(), run.pool);
      }
      begin += lengths[i];
    }
  }

 private:
  // Outputs may be left out, so that their shapes do not tell all lengths.
  static std::vector<int64_t> lengths_of(const KernelRun& run, int64_t whole) {
    if (run.inputs.size() > 1 && run.inputs[1].defined()) return integer_values(run.inputs[1]);
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

class ExpandKernel final : public CpuKernel {
 public:
  explicit ExpandKernel(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    const std::vector<int64_t> strides = row_major(in.shape());
    const std::size_t added = out.shape().size() - in.shape().size();
    StridedSource source{in.data(), 0, out.shape(), std::vector<int64_t>(added, 0)};
    for (std::size_t i = 0; i < strides.size(); ++i)
      source.strides.push_back(in.shape()[i] == 1 ? 0 : strides[i]);
    copy_strided(source, out.data(), in.dtype(), run.pool);
  }
};

class TileKernel final : public CpuKernel {
 public:
  explicit TileKernel(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const auto repeats = integer_values(run.inputs[1]);
    const std::vector<int64_t> strides = row_major(in.shape());
    StridedSource source{in.data(), 0, {}, {}};
    for (std::size_t i = 0; i < strides.size(); ++i) {
      source.dims.insert(source.dims.end(), {repeats[i], in.shape()[i]});
      source.strides.insert(source.strides.end(), {0, strides[i]});
    }
    copy_strided(source, run.outputs[0].data(), in.dtype(), run.pool);
  }
};

// The block's two dimensions come before the channels (DCR) or after them (CRD).
class DepthToSpaceKernel final : public CpuKernel {
 public:
  explicit DepthToSpaceKernel(const KernelContext& context)
      : block_(context.node.int_or("blocksize", 1)),
        channels_last_(context.node.string_or("mode", "DCR") == "DCR") {}
  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const int64_t depth = in[1] / (block_ * block_);
    if (channels_last_) {
      permute(run.inputs[0], {in[0], block_, block_, depth, in[2], in[3]}, {0, 3, 4, 1, 5, 2},
              run.outputs[0], run.pool);
    } else {
      permute(run.inputs[0], {in[0], depth, block_, block_, in[2], in[3]}, {0, 1, 4, 2, 5, 3},
              run.outputs[0], run.pool);
    }
  }

 private:
  int64_t block_;
  bool channels_last_;
};

class SpaceToDepthKernel final : public CpuKernel {
 public:
  explicit SpaceToDepthKernel(const KernelContext& context)
      : block_(context.node.int_or("blocksize", 1)),
        channels_last_(context.node.string_or("mode", "DCR") == "DCR") {}
  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const Shape split{in[0], in[1], in[2] / block_, block_, in[3] / block_, block_};
    const std::vector<std::size_t> order = channels_last_
                                               ? std::vector<std::size_t>{0, 3, 5, 1, 2, 4}
                                               : std::vector<std::size_t>{0, 1, 3, 5, 2, 4};
    permute(run.inputs[0], split, order, run.outputs[0], run.pool);
  }

 private:
  int64_t block_;
  bool channels_last_;
};

}  // namespace

const CpuImplementation kTransposeCpu[1] = {
    {"transpose", refuse_packed, create_kernel<TransposeKernel>}};
const CpuImplementation kSliceCpu[1] = {{"slice", refuse_packed, create_kernel<SliceKernel>}};
const CpuImplementation kSplitCpu[1] = {{"split", refuse_packed, create_kernel<SplitKernel>}};
const CpuImplementation kExpandCpu[1] = {{"expand", refuse_packed, create_kernel<ExpandKernel>}};
const CpuImplementation kTileCpu[1] = {{"tile", refuse_packed, create_kernel<TileKernel>}};
const CpuImplementation kDepthToSpaceCpu[1] = {
    {"depth_to_space", refuse_packed, create_kernel<DepthToSpaceKernel>}};
const CpuImplementation kSpaceToDepthCpu[1] = {
    {"space_to_depth", refuse_packed, create_kernel<SpaceToDepthKernel>}};

}  // namespace tercel::ops

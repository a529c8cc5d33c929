// Sequences share their items: a new sequence copies handles, and the elements only of what joins
// it. Optional values are the values themselves, or undefined tensors.

#include <algorithm>

#include "src/ops/cpu_tables.h"
#include "src/ops/cpu_text.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

class SequenceKernel : public TextKernel {
 public:
  explicit SequenceKernel(const KernelContext& context) : label_(context.node.label()) {}
  bool allocates_outputs() const override { return true; }

 protected:
  std::span<const Tensor> items(const Tensor& tensor) const {
    if (!tensor.is_sequence()) {
      fail(Errc::invalid_argument, "{} expects a sequence, not {}", label_,
           to_string(tensor.dtype()));
    }
    return tensor.items();
  }
  static Tensor sequence(std::size_t count, const KernelRun& run) {
    return allocate_tensor(Dtype::sequence, {static_cast<int64_t>(count)}, run.memory, "sequence");
  }
  // The number of an optional input, counted from the front.
  std::size_t position(const KernelRun& run, std::size_t input, std::size_t count) const {
    const Tensor& tensor = run.inputs[input];
    const bool whole = tensor.dtype() == Dtype::i64 || tensor.dtype() == Dtype::i32;
    if (!whole || tensor.size() != 1)
      fail(Errc::invalid_argument, "{} expects one integer as position", label_);
    return static_cast<std::size_t>(
        checked_index(integer_value(tensor), static_cast<int64_t>(count), label_));
  }
  static bool given(const KernelRun& run, std::size_t input) {
    return input < run.inputs.size() && run.inputs[input].defined();
  }

  std::string label_;
};

struct Construct final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    Tensor out = sequence(run.inputs.size(), run);
    for (std::size_t i = 0; i < run.inputs.size(); ++i)
      out.items()[i] = copy_tensor(run.inputs[i], run.memory, "SequenceConstruct");
    run.outputs[0] = std::move(out);
  }
};

struct Empty final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override { run.outputs[0] = sequence(0, run); }
};

struct Insert final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    const auto before = items(run.inputs[0]);
    if (!before.empty() && before[0].dtype() != run.inputs[1].dtype()) {
      fail(Errc::invalid_argument, "{} a tensor of {} does not fit into a sequence of {}", label_,
           to_string(run.inputs[1].dtype()), to_string(before[0].dtype()));
    }
    // One position more than there are items: behind the last.
    const std::size_t at =
        given(run, 2) ? insertion(run, static_cast<int64_t>(before.size())) : before.size();
    Tensor out = sequence(before.size() + 1, run);
    const auto after = out.items();
    std::copy_n(before.begin(), at, after.begin());
    after[at] = copy_tensor(run.inputs[1], run.memory, "SequenceInsert");
    std::copy(before.begin() + static_cast<std::ptrdiff_t>(at), before.end(),
              after.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    run.outputs[0] = std::move(out);
  }

 private:
  // A negative position counts from the back: -1 is the place before the last item.
  std::size_t insertion(const KernelRun& run, int64_t count) const {
    const bool whole = run.inputs[2].dtype() == Dtype::i64 || run.inputs[2].dtype() == Dtype::i32;
    const int64_t given_at =
        whole && run.inputs[2].size() == 1 ? integer_value(run.inputs[2]) : INT64_MIN;
    if (given_at < -count || given_at > count) {
      fail(Errc::invalid_argument, "{} expects a position from {} to {}", label_, -count, count);
    }
    return static_cast<std::size_t>(given_at < 0 ? given_at + count : given_at);
  }
};

struct Erase final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    const auto before = items(run.inputs[0]);
    if (before.empty()) fail(Errc::invalid_argument, "{} the sequence is empty", label_);
    const std::size_t at = given(run, 1) ? position(run, 1, before.size()) : before.size() - 1;
    Tensor out = sequence(before.size() - 1, run);
    std::copy_n(before.begin(), at, out.items().begin());
    std::copy(before.begin() + static_cast<std::ptrdiff_t>(at) + 1, before.end(),
              out.items().begin() + static_cast<std::ptrdiff_t>(at));
    run.outputs[0] = std::move(out);
  }
};

struct At final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    const auto all = items(run.inputs[0]);
    run.outputs[0] = all[position(run, 1, all.size())];
  }
};

struct Length final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    run.outputs[0] = allocate_tensor(Dtype::i64, {}, run.memory, "SequenceLength");
    *elements<int64_t>(run.outputs[0]) = static_cast<int64_t>(items(run.inputs[0]).size());
  }
};

// Elements [begin, begin + count) of an axis.
Tensor cut(const Tensor& in, int64_t axis, int64_t begin, int64_t count, Shape shape,
           const KernelRun& run) {
  const AxisView view = view_axis(in.shape(), axis);
  Tensor out = allocate_tensor(in.dtype(), shape, run.memory, "SplitToSequence");
  copy_strided({in.data(),
                begin * view.inner,
                {view.outer, count, view.inner},
                {view.axis * view.inner, view.inner, 1}},
               out.data(), in.dtype(), run.pool);
  return counted(out, run.memory, "SplitToSequence");
}

class SplitToSequence final : public SequenceKernel {
 public:
  explicit SplitToSequence(const KernelContext& context)
      : SequenceKernel(context),
        axis_(context.node.int_or("axis", 0)),
        keeps_(context.node.int_or("keepdims", 1) != 0) {}

  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    if (axis_ < -in.rank() || axis_ >= in.rank())
      fail(Errc::invalid_file, "{} axis {} is out of range for rank {}", label_, axis_, in.rank());
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + in.rank() : axis_);
    const int64_t whole = in.shape()[axis];
    const std::vector<int64_t> given_lengths =
        given(run, 1) ? integer_values(run.inputs[1]) : std::vector<int64_t>{1};
    const bool chunks = !given(run, 1) || run.inputs[1].rank() == 0;
    check(given_lengths, chunks, whole);
    const int64_t chunk = chunks ? given_lengths[0] : 0;
    const int64_t count = chunks ? whole / chunk + (whole % chunk != 0 ? 1 : 0)
                                 : static_cast<int64_t>(given_lengths.size());
    Tensor out = sequence(static_cast<std::size_t>(count), run);
    int64_t begin = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t length =
          chunks ? std::min(chunk, whole - begin) : given_lengths[static_cast<std::size_t>(i)];
      Shape shape = in.shape();
      shape[axis] = length;
      if (!given(run, 1) && !keeps_) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
      out.items()[static_cast<std::size_t>(i)] = cut(in, axis_, begin, length, shape, run);
      begin += length;
    }
    run.outputs[0] = std::move(out);
  }

 private:
  void check(const std::vector<int64_t>& lengths, bool chunks, int64_t whole) const {
    int64_t sum = 0;
    bool fits = true;
    for (const int64_t length : lengths) {
      fits = fits && length >= (chunks ? 1 : 0) && (chunks || length <= whole - sum);
      if (fits && !chunks) sum += length;
    }
    if (!fits || (!chunks && sum != whole)) {
      fail(Errc::invalid_argument, "{} split: expected lengths that add up to {}", label_, whole);
    }
  }

  int64_t axis_;
  bool keeps_;
};

class ConcatFromSequence final : public SequenceKernel {
 public:
  explicit ConcatFromSequence(const KernelContext& context)
      : SequenceKernel(context),
        axis_(context.node.int_or("axis", 0)),
        stacks_(context.node.int_or("new_axis", 0) != 0) {}

  void run(const KernelRun& run) const override {
    const auto parts = items(run.inputs[0]);
    if (parts.empty()) fail(Errc::invalid_argument, "{} the sequence is empty", label_);
    if (element_bytes(parts[0].dtype()) == 0) {
      fail(Errc::unsupported, "{} elements of {} are packed", label_, to_string(parts[0].dtype()));
    }
    const int64_t rank = parts[0].rank() + (stacks_ ? 1 : 0);
    if (axis_ < -rank || axis_ >= rank)
      fail(Errc::invalid_file, "{} axis {} is out of range for rank {}", label_, axis_, rank);
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + rank : axis_);
    Shape shape = shape_of(parts[0], axis);
    int64_t total = 0;
    for (const Tensor& part : parts) {
      Shape own = shape_of(part, axis);
      const int64_t length = own.size() > axis ? own[axis] : 0;
      if (own.size() == shape.size()) own[axis] = shape[axis];
      if (own != shape || part.dtype() != parts[0].dtype()) {
        fail(Errc::invalid_argument, "{} {} {} does not fit behind {} {}", label_,
             to_string(part.dtype()), to_string(part.shape()), to_string(parts[0].dtype()),
             to_string(parts[0].shape()));
      }
      total += length;
    }
    shape[axis] = total;
    Tensor out = allocate_tensor(parts[0].dtype(), shape, run.memory, "ConcatFromSequence");
    join(parts, view_axis(shape, static_cast<int64_t>(axis)), out);
    run.outputs[0] = counted(out, run.memory, "ConcatFromSequence");
  }

 private:
  Shape shape_of(const Tensor& part, std::size_t axis) const {
    Shape shape = part.shape();
    if (stacks_)
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(std::min(axis, shape.size())), 1);
    return shape;
  }

  static void join(std::span<const Tensor> parts, const AxisView& whole, Tensor& out) {
    dispatch_element(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* column = elements<T>(out);
      for (const Tensor& part : parts) {
        const int64_t row = whole.outer > 0 ? part.size() / whole.outer : 0;
        for (int64_t i = 0; i < whole.outer; ++i) {
          std::copy_n(elements<T>(part) + i * row, row, column + i * whole.axis * whole.inner);
        }
        column += row;
      }
    });
  }

  int64_t axis_;
  bool stacks_;
};

struct Optional final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    if (given(run, 0)) run.outputs[0] = copy_tensor(run.inputs[0], run.memory, "Optional");
  }
};

struct GetElement final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    if (!given(run, 0)) fail(Errc::invalid_argument, "{} the optional value is missing", label_);
    run.outputs[0] = copy_tensor(run.inputs[0], run.memory, "OptionalGetElement");
  }
};

struct HasElement final : SequenceKernel {
  using SequenceKernel::SequenceKernel;
  void run(const KernelRun& run) const override {
    run.outputs[0] = allocate_tensor(Dtype::boolean, {}, run.memory, "OptionalHasElement");
    *elements<bool>(run.outputs[0]) = given(run, 0);
  }
};

std::string refuse_packed_input(const KernelContext& context) {
  const Dtype dtype = context.input_dtype(0);
  if (dtype == Dtype::undefined) return "the element type is not known";
  return element_bytes(dtype) == 0 ? fmt::format("elements of {} are packed", to_string(dtype))
                                   : std::string();
}

constexpr CpuImplementation kConcat[] = {
    {"concat", refuse_nothing, create_kernel<ConcatFromSequence>}};
constexpr CpuImplementation kOptional[] = {{"optional", refuse_nothing, create_kernel<Optional>}};
constexpr CpuImplementation kGet[] = {{"get", refuse_nothing, create_kernel<GetElement>}};
constexpr CpuImplementation kHas[] = {{"has", refuse_nothing, create_kernel<HasElement>}};
constexpr CpuImplementation kAt[] = {{"at", refuse_nothing, create_kernel<At>}};
constexpr CpuImplementation kConstruct[] = {
    {"construct", refuse_nothing, create_kernel<Construct>}};
constexpr CpuImplementation kEmpty[] = {{"empty", refuse_nothing, create_kernel<Empty>}};
constexpr CpuImplementation kErase[] = {{"erase", refuse_nothing, create_kernel<Erase>}};
constexpr CpuImplementation kInsert[] = {{"insert", refuse_nothing, create_kernel<Insert>}};
constexpr CpuImplementation kLength[] = {{"length", refuse_nothing, create_kernel<Length>}};
constexpr CpuImplementation kSplit[] = {
    {"split", refuse_packed_input, create_kernel<SplitToSequence>}};

}  // namespace

CpuFamily sequence_cpu_ops() {
  static const CpuOp kOps[] = {{"", "ConcatFromSequence", kConcat},
                               {"", "Optional", kOptional},
                               {"", "OptionalGetElement", kGet},
                               {"", "OptionalHasElement", kHas},
                               {"", "SequenceAt", kAt},
                               {"", "SequenceConstruct", kConstruct},
                               {"", "SequenceEmpty", kEmpty},
                               {"", "SequenceErase", kErase},
                               {"", "SequenceInsert", kInsert},
                               {"", "SequenceLength", kLength},
                               {"", "SplitToSequence", kSplit}};
  return kOps;
}

}  // namespace tercel::ops

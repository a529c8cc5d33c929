// Reductions over axes that lie side by side, which are one axis to the kernel.

#include <algorithm>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"

namespace tercel::ops {
namespace {

using cuda::ReduceOp;

struct Row {
  std::string_view name;
  ReduceOp op;
};
constexpr Row kRows[] = {
    {"ReduceL1", ReduceOp::l1},          {"ReduceL2", ReduceOp::l2},
    {"ReduceLogSum", ReduceOp::log_sum}, {"ReduceLogSumExp", ReduceOp::log_sum_exp},
    {"ReduceMax", ReduceOp::max},        {"ReduceMean", ReduceOp::mean},
    {"ReduceMin", ReduceOp::min},        {"ReduceProd", ReduceOp::prod},
    {"ReduceSum", ReduceOp::sum},        {"ReduceSumSquare", ReduceOp::sum_square}};

ReduceOp op_of(const ir::Node& node) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [&](const Row& r) { return r.name == node.op_type(); });
  TERCEL_CHECK(row != std::end(kRows));
  return row->op;
}

// The axes [begin, end) that are reduced of an input of `rank` dimensions; nothing when they do not
// lie side by side, or are out of range.
std::optional<std::pair<int, int>> reduced(const std::vector<int64_t>& axes, bool noop, int rank) {
  if (axes.empty()) return std::pair{0, noop ? 0 : rank};
  std::vector<bool> chosen(static_cast<std::size_t>(rank), false);
  for (const int64_t axis : axes) {
    if (axis < -rank || axis >= rank) return std::nullopt;
    chosen[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  const auto begin = std::find(chosen.begin(), chosen.end(), true);
  const auto end = std::find(begin, chosen.end(), false);
  if (std::find(end, chosen.end(), true) != chosen.end()) return std::nullopt;
  return std::pair{static_cast<int>(begin - chosen.begin()),
                   static_cast<int>(end - chosen.begin())};
}

std::vector<int64_t> axes_of(const KernelContext& context) {
  const Tensor* axes = context.constant(1);
  return axes != nullptr ? integer_values(*axes) : std::vector<int64_t>();
}

class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(const KernelContext& context)
      : op_(op_of(context.node)),
        axes_(axes_of(context)),
        noop_(context.node.int_or("noop_with_empty_axes", 0) != 0) {}
  bool reads_on_host(int input) const override { return input == 1; }
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const auto [begin, end] = reduced(axes_, noop_, x.rank()).value();
    cuda::reduce({.op = op_,
                  .type = x.dtype(),
                  .outer = product(x.shape(), 0, begin),
                  .axis = product(x.shape(), begin, end),
                  .inner = product(x.shape(), end, x.rank()),
                  .x = x.data(),
                  .y = run.outputs[0].data()},
                 stream_of(run));
  }

 private:
  ReduceOp op_;
  std::vector<int64_t> axes_;
  bool noop_;
};

using ReduceTypes =
    Types<float, f16, bf16, double, int32_t, int64_t, uint32_t, uint64_t, int8_t, uint8_t>;

std::string refuse_reduce(const KernelContext& context) {
  if (std::string reason = refuse_input0<ReduceTypes>(context); !reason.empty()) return reason;
  if (!has_constant(context, 1)) return "its axes are not constant";
  const ReduceOp op = op_of(context.node);
  const bool real = op == ReduceOp::l2 || op == ReduceOp::log_sum || op == ReduceOp::log_sum_exp;
  if (real && !is_floating_point(context.input_dtype(0))) return "takes no integers";
  const ir::Type* x = context.facts.type(context.node.input(0));
  if (x == nullptr || !x->has_rank()) return "the rank is not known";
  const bool noop = context.node.int_or("noop_with_empty_axes", 0) != 0;
  return reduced(axes_of(context), noop, x->rank()) ? std::string()
                                                    : "its axes do not lie side by side";
}

class ArgKernel final : public Kernel {
 public:
  explicit ArgKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", 0)),
        max_(context.node.is("ArgMax")),
        last_(context.node.int_or("select_last_index", 0) != 0) {}
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    cuda::arg_reduce({.type = run.inputs[0].dtype(),
                      .max = max_,
                      .last = last_,
                      .outer = view.outer,
                      .axis = view.axis,
                      .inner = view.inner,
                      .x = run.inputs[0].data(),
                      .y = elements<int64_t>(run.outputs[0])},
                     stream_of(run));
  }

 private:
  int64_t axis_;
  bool max_;
  bool last_;
};

constexpr Implementation kReduce[] = {{"reduce", refuse_reduce, create_kernel<ReduceKernel>}};
constexpr Implementation kArg[] = {
    {"arg_reduce", refuse_input0<NumericTypes>, create_kernel<ArgKernel>}};

}  // namespace

CudaFamily reduction_cuda_ops() {
  static const std::vector<OperatorKernels> kOps = [] {
    std::vector<OperatorKernels> rows{{"", "ArgMax", kArg}, {"", "ArgMin", kArg}};
    for (const Row& row : kRows) rows.push_back({"", row.name, kReduce});
    return rows;
  }();
  return kOps;
}

}  // namespace tercel::ops

// Operators that compute element by element.

#include <algorithm>
#include <array>
#include <vector>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"

namespace tercel::ops {
namespace {

using cuda::BinaryOp;
using cuda::UnaryOp;

constexpr bool is_float(Dtype dtype) {
  return dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16 || dtype == Dtype::f64;
}

enum class Takes { floats, numbers, integers, booleans };

std::string refuse_type(Takes takes, Dtype dtype) {
  const bool fits = takes == Takes::floats     ? is_float(dtype)
                    : takes == Takes::integers ? is_integer(dtype) && bits_of(dtype) >= 8
                    : takes == Takes::booleans
                        ? dtype == Dtype::boolean
                        : is_float(dtype) || (is_integer(dtype) && bits_of(dtype) >= 8);
  return fits ? std::string() : fmt::format("takes no {}", to_string(dtype));
}

// --- One operand ---------------------------------------------------------------------------------

// alpha and beta are attributes of the node.
struct UnaryRow {
  std::string_view name;
  UnaryOp op;
  Takes takes = Takes::floats;
  std::string_view alpha_name = "alpha";
  float alpha = 0.0F;
  std::string_view beta_name = "beta";
  float beta = 0.0F;
};

constexpr UnaryRow kUnary[] = {
    {"Abs", UnaryOp::abs, Takes::numbers},
    {"Neg", UnaryOp::neg, Takes::numbers},
    {"Sign", UnaryOp::sign, Takes::numbers},
    {"Relu", UnaryOp::relu, Takes::numbers},
    {"Floor", UnaryOp::floor},
    {"Ceil", UnaryOp::ceil},
    {"Round", UnaryOp::round},
    {"Sqrt", UnaryOp::sqrt},
    {"Reciprocal", UnaryOp::reciprocal},
    {"Exp", UnaryOp::exp},
    {"Log", UnaryOp::log},
    {"Sin", UnaryOp::sin},
    {"Cos", UnaryOp::cos},
    {"Tan", UnaryOp::tan},
    {"Asin", UnaryOp::asin},
    {"Acos", UnaryOp::acos},
    {"Atan", UnaryOp::atan},
    {"Sinh", UnaryOp::sinh},
    {"Cosh", UnaryOp::cosh},
    {"Asinh", UnaryOp::asinh},
    {"Acosh", UnaryOp::acosh},
    {"Atanh", UnaryOp::atanh},
    {"Erf", UnaryOp::erf},
    {"Tanh", UnaryOp::tanh},
    {"Sigmoid", UnaryOp::sigmoid},
    {"Softplus", UnaryOp::softplus},
    {"Softsign", UnaryOp::softsign},
    {"Mish", UnaryOp::mish},
    {"HardSwish", UnaryOp::hard_swish},
    {"Gelu", UnaryOp::gelu},
    {"Swish", UnaryOp::swish, Takes::floats, "alpha", 1.0F},
    {"LeakyRelu", UnaryOp::leaky_relu, Takes::floats, "alpha", 0.01F},
    {"Elu", UnaryOp::elu, Takes::floats, "alpha", 1.0F},
    {"Celu", UnaryOp::celu, Takes::floats, "alpha", 1.0F},
    {"Selu", UnaryOp::selu, Takes::floats, "alpha", 1.67326319217681884765625F, "gamma",
     1.05070102214813232421875F},
    {"HardSigmoid", UnaryOp::hard_sigmoid, Takes::floats, "alpha", 0.2F, "beta", 0.5F},
    {"Shrink", UnaryOp::shrink, Takes::floats, "lambd", 0.5F, "bias", 0.0F},
    {"ThresholdedRelu", UnaryOp::thresholded_relu, Takes::floats, "alpha", 1.0F},
    {"BitwiseNot", UnaryOp::bitwise_not, Takes::integers},
    {"Not", UnaryOp::logical_not, Takes::booleans},
    {"IsNaN", UnaryOp::is_nan},
    {"IsInf", UnaryOp::is_inf},
};

const UnaryRow& unary_row(const ir::Node& node) {
  const auto* row = std::find_if(std::begin(kUnary), std::end(kUnary),
                                 [&](const UnaryRow& r) { return r.name == node.op_type(); });
  TERCEL_CHECK(row != std::end(kUnary));
  return *row;
}

class UnaryKernel final : public Kernel {
 public:
  explicit UnaryKernel(const KernelContext& context) {
    const ir::Node& node = context.node;
    const UnaryRow& row = unary_row(node);
    args_.op = row.op;
    args_.alpha = node.float_or(row.alpha_name, row.alpha);
    args_.beta = node.float_or(row.beta_name, row.beta);
    if (node.is("Gelu") && node.string_or("approximate", "none") == "tanh")
      args_.op = UnaryOp::gelu_tanh;
    if (node.is("IsInf")) {
      args_.alpha = node.int_or("detect_negative", 1) != 0 ? 1.0F : 0.0F;
      args_.beta = node.int_or("detect_positive", 1) != 0 ? 1.0F : 0.0F;
    }
    same_type_ = context.input_dtype(0) == context.output_dtype(0);
  }
  bool in_place(int input) const override { return input == 0 && same_type_; }
  void run(const KernelRun& run) const override {
    cuda::UnaryArgs args = args_;
    args.type = run.inputs[0].dtype();
    args.count = run.inputs[0].size();
    args.x = run.inputs[0].data();
    args.y = run.outputs[0].data();
    cuda::unary(args, stream_of(run));
  }

 private:
  cuda::UnaryArgs args_;
  bool same_type_ = false;
};

std::string refuse_unary(const KernelContext& context) {
  return refuse_type(unary_row(context.node).takes, context.input_dtype(0));
}

constexpr Implementation kUnaryKernel[] = {{"unary", refuse_unary, create_kernel<UnaryKernel>}};

// --- Two operands --------------------------------------------------------------------------------

struct BinaryRow {
  std::string_view name;
  BinaryOp op;
  Takes takes = Takes::numbers;
};

constexpr BinaryRow kBinary[] = {
    {"Add", BinaryOp::add},
    {"Sub", BinaryOp::sub},
    {"Mul", BinaryOp::mul},
    {"Div", BinaryOp::div},
    {"Pow", BinaryOp::pow},
    {"Mod", BinaryOp::mod},
    {"PRelu", BinaryOp::prelu},
    {"BitwiseAnd", BinaryOp::bit_and, Takes::integers},
    {"BitwiseOr", BinaryOp::bit_or, Takes::integers},
    {"BitwiseXor", BinaryOp::bit_xor, Takes::integers},
    {"BitShift", BinaryOp::shift_left, Takes::integers},
    {"Equal", BinaryOp::equal},
    {"Greater", BinaryOp::greater},
    {"GreaterOrEqual", BinaryOp::greater_equal},
    {"Less", BinaryOp::less},
    {"LessOrEqual", BinaryOp::less_equal},
    {"And", BinaryOp::logical_and, Takes::booleans},
    {"Or", BinaryOp::logical_or, Takes::booleans},
    {"Xor", BinaryOp::logical_xor, Takes::booleans},
};
constexpr BinaryRow kVariadic[] = {
    {"Sum", BinaryOp::add}, {"Max", BinaryOp::max}, {"Min", BinaryOp::min}};

template <std::size_t Size>
const BinaryRow& binary_row(const BinaryRow (&rows)[Size], const ir::Node& node) {
  const auto* row = std::find_if(std::begin(rows), std::end(rows),
                                 [&](const BinaryRow& r) { return r.name == node.op_type(); });
  TERCEL_CHECK(row != std::end(rows));
  return *row;
}

void combine(BinaryOp op, const Tensor& a, const Tensor& b, Tensor& out, const KernelRun& run) {
  const DeviceBroadcast loop = device_broadcast(out.shape(), {&a.shape(), &b.shape()});
  cuda::binary({.op = op,
                .type = a.dtype(),
                .dims = loop.dims,
                .a_strides = loop.strides[0],
                .b_strides = loop.strides[1],
                .a = a.data(),
                .b = b.data(),
                .out = out.data()},
               stream_of(run));
}

class BinaryKernel final : public Kernel {
 public:
  explicit BinaryKernel(const KernelContext& context)
      : op_(binary_row(kBinary, context.node).op),
        same_type_(context.input_dtype(0) == context.output_dtype(0)) {
    const ir::Node& node = context.node;
    if (node.is("Mod") && node.int_or("fmod", 0) != 0) op_ = BinaryOp::fmod;
    if (node.is("BitShift") && node.string_or("direction", "") == "RIGHT")
      op_ = BinaryOp::shift_right;
  }
  // Sizes agree, so an operand in place is not broadcast.
  bool in_place(int) const override { return same_type_; }
  void run(const KernelRun& run) const override {
    combine(op_, run.inputs[0], run.inputs[1], run.outputs[0], run);
  }

 private:
  BinaryOp op_;
  bool same_type_;
};

std::string refuse_binary(const KernelContext& context) {
  const Dtype dtype = context.input_dtype(0);
  if (context.input_dtype(1) != dtype) return "its operands have different types";
  if (context.node.is("Equal") && dtype == Dtype::boolean) return {};
  return refuse_type(binary_row(kBinary, context.node).takes, dtype);
}

// Two operands, then the result with the next.
class VariadicKernel final : public Kernel {
 public:
  explicit VariadicKernel(const KernelContext& context)
      : device_(*context.device), op_(binary_row(kVariadic, context.node).op) {}
  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    if (run.inputs.size() == 1)
      return device_.copy(out.data(), run.inputs[0].data(), out.bytes(), *run.stream);
    combine(op_, run.inputs[0], run.inputs[1], out, run);
    for (std::size_t i = 2; i < run.inputs.size(); ++i) combine(op_, out, run.inputs[i], out, run);
  }

 private:
  Device& device_;
  BinaryOp op_;
};

std::string refuse_variadic(const KernelContext& context) {
  return refuse_type(Takes::numbers, context.input_dtype(0));
}

constexpr Implementation kBinaryKernel[] = {{"binary", refuse_binary, create_kernel<BinaryKernel>}};
constexpr Implementation kVariadicKernel[] = {
    {"binary", refuse_variadic, create_kernel<VariadicKernel>}};

// --- Others --------------------------------------------------------------------------------------

class ClipKernel final : public Kernel {
 public:
  explicit ClipKernel(const KernelContext&) {}
  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    cuda::clip({.type = run.inputs[0].dtype(),
                .count = run.inputs[0].size(),
                .x = run.inputs[0].data(),
                .low = data_of(input_of(run, 1)),
                .high = data_of(input_of(run, 2)),
                .y = run.outputs[0].data()},
               stream_of(run));
  }
};

class WhereKernel final : public Kernel {
 public:
  explicit WhereKernel(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    const DeviceBroadcast loop =
        device_broadcast(run.outputs[0].shape(),
                         {&run.inputs[0].shape(), &run.inputs[1].shape(), &run.inputs[2].shape()});
    cuda::where({.element_bytes = element_bytes_of(run.outputs[0].dtype()),
                 .dims = loop.dims,
                 .condition_strides = loop.strides[0],
                 .a_strides = loop.strides[1],
                 .b_strides = loop.strides[2],
                 .condition = static_cast<const uint8_t*>(run.inputs[0].data()),
                 .a = run.inputs[1].data(),
                 .b = run.inputs[2].data(),
                 .out = run.outputs[0].data()},
                stream_of(run));
  }
};

// Cast and CastLike.
class CastKernel final : public Kernel {
 public:
  explicit CastKernel(const KernelContext& context)
      : device_(*context.device),
        saturate_(context.node.int_or("saturate", 1) != 0),
        same_(context.input_dtype(0) == context.output_dtype(0)) {}
  bool in_place(int input) const override { return input == 0 && same_; }
  void run(const KernelRun& run) const override {
    const Tensor& from = run.inputs[0];
    Tensor& to = run.outputs[0];
    if (to.data() == from.data()) return;
    if (same_) return device_.copy(to.data(), from.data(), to.bytes(), *run.stream);
    cuda::cast({.count = from.size(),
                .from = from.data(),
                .from_type = from.dtype(),
                .to = to.data(),
                .to_type = to.dtype(),
                .saturate = saturate_},
               stream_of(run));
  }

 private:
  Device& device_;
  bool saturate_;
  bool same_;
};

std::string refuse_cast(const KernelContext& context) {
  for (const Dtype dtype : {context.input_dtype(0), context.output_dtype(0)}) {
    const std::string reason =
        dtype == Dtype::boolean ? std::string() : refuse_type(Takes::numbers, dtype);
    if (!reason.empty()) return reason;
  }
  return {};
}

constexpr Implementation kClip[] = {{"clip", refuse_variadic, create_kernel<ClipKernel>}};
constexpr Implementation kWhere[] = {{"where", refuse_unless_bytes, create_kernel<WhereKernel>}};
constexpr Implementation kCast[] = {{"cast", refuse_cast, create_kernel<CastKernel>}};

}  // namespace

CudaFamily elementwise_cuda_ops() {
  static const std::vector<OperatorKernels> kOps = [] {
    std::vector<OperatorKernels> rows{
        {"", "Clip", kClip}, {"", "Where", kWhere}, {"", "Cast", kCast}, {"", "CastLike", kCast}};
    for (const UnaryRow& row : kUnary) rows.push_back({"", row.name, kUnaryKernel});
    for (const BinaryRow& row : kBinary) rows.push_back({"", row.name, kBinaryKernel});
    for (const BinaryRow& row : kVariadic) rows.push_back({"", row.name, kVariadicKernel});
    return rows;
  }();
  return kOps;
}

}  // namespace tercel::ops

#include "src/ops/op_test_util.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {
namespace {

struct OneNode {
  ir::Model model;
  ir::Node* node = nullptr;
  std::vector<ir::Type> types;
};

void build(OneNode& one, const RunOptions& options, const std::string& op_type,
           const std::vector<Tensor>& inputs, const std::vector<ir::Builder::Attr>& attributes,
           int outputs) {
  one.model.opsets[""] = ir::kOpset;
  ir::Builder builder(one.model.graph);
  std::vector<ir::Value*> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto listed =
        std::count(options.constant.begin(), options.constant.end(), static_cast<int>(i));
    if (!inputs[i].defined()) {
      values.push_back(nullptr);
    } else if (options.constants || listed > 0) {
      values.push_back(builder.constant(inputs[i]));
    } else {
      one.types.push_back(ir::Type::tensor(inputs[i].dtype(), ir::to_dims(inputs[i].shape())));
      values.push_back(one.model.graph.add_input("x" + std::to_string(i), one.types.back()));
    }
  }
  one.node = builder.node(op_type, values, outputs, attributes);
  for (int i = 0; i < outputs; ++i) one.model.graph.add_output(one.node->output(i));
}

void share_memory(const CpuKernel& kernel, const std::vector<Tensor>& inputs, Tensor& output) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!kernel.in_place(static_cast<int>(i)) || inputs[i].bytes() != output.bytes()) continue;
    output = Tensor::view_of(inputs[i].data(), output.dtype(), output.shape(),
                             std::make_shared<Tensor>(inputs[i]));
    return;
  }
}

template <class T>
T random_element(std::mt19937& engine) {
  if constexpr (std::is_same_v<T, bool>) {
    return (engine() & 1U) != 0;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(
        std::uniform_int_distribution<int>(std::is_signed_v<T> ? -9 : 0, 9)(engine));
  } else {
    return store<T>(static_cast<ComputeType<T>>(std::normal_distribution<float>()(engine)));
  }
}

}  // namespace

OpRun run_op_with(const RunOptions& options, const std::string& op_type,
                  const std::vector<Tensor>& inputs,
                  const std::vector<ir::Builder::Attr>& attributes, int outputs) {
  OneNode one;
  const std::size_t own = inputs.size() - (options.epilogue.residual ? 1 : 0);
  const std::vector<Tensor> of_node(inputs.begin(),
                                    inputs.begin() + static_cast<std::ptrdiff_t>(own));
  build(one, options, op_type, of_node, attributes, outputs);
  const Facts facts = infer(one.model.graph, one.types, &one.model);
  ThreadPool pool(options.threads);
  const auto memory = make_cpu_allocator();
  const KernelContext context{
      *one.node, facts, options.isa, pool, *memory, options.weight_dtype, options.epilogue};
  const Choice choice = choose_cpu_kernel(context);

  std::vector<Tensor> results(static_cast<std::size_t>(outputs));
  std::vector<Shape> input_shapes;
  std::vector<Shape> output_shapes;
  std::vector<Tensor> given;
  for (const Tensor& input : inputs) {
    input_shapes.push_back(input.shape());
    const bool absorbed = choice.kernel->absorbs(static_cast<int>(given.size()));
    given.push_back(!input.defined() || absorbed ? Tensor() : input.clone());
  }
  for (int i = 0; i < outputs && !choice.kernel->allocates_outputs(); ++i) {
    const ir::Type* type = facts.type(one.node->output(i));
    const auto shape = type != nullptr ? type->shape() : std::nullopt;
    if (!shape) fail(Errc::internal, "{}: output {} has no shape", op_type, i);
    results[static_cast<std::size_t>(i)] = Tensor(type->dtype, *shape);
    output_shapes.push_back(*shape);
  }
  if (options.in_place && !choice.kernel->allocates_outputs())
    share_memory(*choice.kernel, given, results[0]);
  const auto workspace = memory->allocate(
      choice.kernel->workspace(input_shapes, output_shapes, pool.size()) + 1, "workspace");
  run_kernel(*choice.kernel, {given, results, workspace->data(), pool, *memory});
  return {std::move(results), std::string(choice.implementation)};
}

std::vector<Tensor> run_op(const std::string& op_type, const std::vector<Tensor>& inputs,
                           const std::vector<ir::Builder::Attr>& attributes, int outputs) {
  return run_op_with({}, op_type, inputs, attributes, outputs).outputs;
}

std::vector<ir::Type> infer_op(const std::string& op_type, const std::vector<ir::Type>& inputs,
                               const std::vector<ir::Builder::Attr>& attributes, int outputs) {
  ir::Model model;
  model.opsets[""] = ir::kOpset;
  ir::Builder builder(model.graph);
  std::vector<ir::Value*> values;
  values.reserve(inputs.size());
  for (const ir::Type& type : inputs) values.push_back(model.graph.add_input("", type));
  const ir::Node* node = builder.node(op_type, values, outputs, attributes);
  const Facts facts = infer(model.graph, {}, &model);
  std::vector<ir::Type> types;
  for (int i = 0; i < outputs; ++i) {
    const ir::Type* type = facts.type(node->output(i));
    types.push_back(type != nullptr ? *type : ir::Type{});
  }
  return types;
}

Tensor random_tensor(Dtype dtype, Shape shape, uint32_t seed) {
  Tensor tensor(dtype, std::move(shape));
  std::mt19937 engine(seed);
  dispatch_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < tensor.size(); ++i) elements<T>(tensor)[i] = random_element<T>(engine);
  });
  return tensor;
}

std::vector<double> to_doubles(const Tensor& tensor) {
  std::vector<double> values;
  dispatch_dtype(tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < tensor.size(); ++i)
      values.push_back(static_cast<double>(load(elements<T>(tensor)[i])));
  });
  return values;
}

Tensor ints(const std::vector<int64_t>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

Tensor from_doubles(const std::vector<double>& values, Dtype dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape));
  TERCEL_CHECK(tensor.size() == static_cast<int64_t>(values.size()));
  dispatch_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::size_t i = 0; i < values.size(); ++i)
      elements<T>(tensor)[i] = store<T>(static_cast<ComputeType<T>>(values[i]));
  });
  return tensor;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0);
}

double distance(const Tensor& a, const std::vector<double>& b) {
  const std::vector<double> x = to_doubles(a);
  if (x.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] == b[i] || (std::isnan(x[i]) && std::isnan(b[i]))) continue;
    const double error = std::abs(x[i] - b[i]) / (1 + std::abs(b[i]));
    worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
  }
  return worst;
}

}  // namespace tercel::ops

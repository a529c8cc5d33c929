#include "src/ops/infer.h"

#include <utility>

#include "src/ir/place.h"
#include "src/ops/op_def.h"
#include "src/ops/rules.h"

namespace tercel::ops {

std::optional<Contents> contents_of(const Tensor& tensor) {
  if (tensor.rank() > 1 || tensor.size() > kMaxContents) return std::nullopt;
  Contents contents;
  const auto copy = [&](auto values) {
    for (const auto value : values) contents.emplace_back(static_cast<int64_t>(value));
  };
  switch (tensor.dtype()) {
    case Dtype::i64:
      copy(tensor.values<int64_t>());
      return contents;
    case Dtype::i32:
      copy(tensor.values<int32_t>());
      return contents;
    case Dtype::boolean:
      copy(tensor.values<bool>());
      return contents;
    default:
      return std::nullopt;
  }
}

namespace {

ir::Type type_of(const Tensor& tensor) {
  if (tensor.is_sequence()) {
    ir::Type type{ir::Type::Kind::sequence, Dtype::undefined, std::nullopt, nullptr};
    if (tensor.size() > 0 && tensor.items()[0].defined())
      type.element = std::make_shared<ir::Type>(ir::Type::tensor(tensor.items()[0].dtype()));
    return type;
  }
  return ir::Type::tensor(tensor.dtype(), ir::to_dims(tensor.shape()));
}

// What both descriptions say together; throws when they contradict each other.
ir::Type merge(const ir::Type& declared, const ir::Type& inferred, const ir::Value& value) {
  if (inferred.kind == ir::Type::Kind::unknown) return declared;
  if (declared.kind == ir::Type::Kind::unknown) return inferred;
  const auto clash = [&] {
    fail(Errc::invalid_file, "value \"{}\" is declared as {}, but its producer gives {}",
         shown(value.name()), ir::to_string(declared), ir::to_string(inferred));
  };
  if (declared.kind != inferred.kind) clash();
  ir::Type merged = inferred;
  if (merged.element == nullptr) merged.element = declared.element;
  if (merged.dtype == Dtype::undefined) merged.dtype = declared.dtype;
  if (declared.dtype != Dtype::undefined && merged.dtype != declared.dtype) clash();
  if (!declared.dims) return merged;
  if (!merged.dims) {
    merged.dims = declared.dims;
    return merged;
  }
  if (merged.dims->size() != declared.dims->size()) clash();
  for (std::size_t i = 0; i < merged.dims->size(); ++i) {
    ir::Dim& dim = (*merged.dims)[i];
    const ir::Dim& other = (*declared.dims)[i];
    if (dim.known() && other.known() && dim.value() != other.value()) clash();
    if (!dim.known() && (other.known() || !dim.symbolic())) dim = other;
  }
  return merged;
}

// Whether merging `declared` into `inferred` leaves it as it is, by a quick look.
bool says_no_more(const ir::Type& declared, const ir::Type& inferred) {
  return declared.kind == inferred.kind && declared.dtype == inferred.dtype && !declared.dims &&
         declared.element == nullptr;
}

void infer_arguments(const ir::Graph& graph, const std::vector<ir::Type>& inputs, Facts& facts) {
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    const ir::Value* input = graph.inputs()[i];
    facts.set_type(input, i < inputs.size() ? merge(input->type, inputs[i], *input) : input->type);
  }
}

void infer_graph(const ir::Graph& graph, Facts& facts, const ir::Model* model) {
  for (const ir::Value* initializer : graph.initializers()) {
    if (!initializer->is_constant()) continue;
    facts.learn(initializer, initializer->initializer());
  }
  for (const auto& node : graph.nodes()) infer_node(*node, facts, model);
}

void infer_call(const ir::Node& node, const ir::Function& function, Facts& facts,
                const ir::Model* model) {
  Facts inner;
  if (!facts.enter_call(inner)) return;
  std::vector<ir::Type> types;
  for (std::size_t i = 0; i < function.body.inputs().size(); ++i) {
    const ir::Value* input = node.input(static_cast<int>(i));
    const ir::Type* type = input != nullptr ? facts.type(input) : nullptr;
    types.push_back(type != nullptr ? *type : ir::Type{});
  }
  infer_arguments(function.body, types, inner);
  infer_graph(function.body, inner, model);
  for (int i = 0; i < node.num_outputs(); ++i) {
    const auto index = static_cast<std::size_t>(i);
    if (node.output(i) == nullptr || index >= function.body.outputs().size()) continue;
    if (const ir::Type* type = inner.type(function.body.outputs()[index]))
      facts.set_type(node.output(i), *type);
  }
}

}  // namespace

namespace {

std::size_t bytes_of(const ir::Type& type) {
  constexpr std::size_t kEntry = 96;  // of the map and the type itself
  std::size_t bytes = kEntry;
  if (!type.dims) return bytes;
  for (const ir::Dim& dim : *type.dims) bytes += sizeof(dim) + dim.symbol().size();
  return bytes;
}

std::size_t bytes_of(const Contents& contents) {
  constexpr std::size_t kEntry = 64;
  std::size_t bytes = kEntry;
  for (const Known& element : contents) bytes += sizeof(element) + element.symbol().size();
  return bytes;
}

}  // namespace

const ir::Type* Facts::type(const ir::Value* value) const {
  if (value->id() < types_.size()) {
    const TypeOf& known = types_[value->id()];
    if (known.value == value) return &known.type;
  }
  return value->type.kind != ir::Type::Kind::unknown ? &value->type : nullptr;
}

const Contents* Facts::contents(const ir::Value* value) const {
  const auto found = contents_.find(value);
  return found != contents_.end() ? &found->second : nullptr;
}

void Facts::set_type(const ir::Value* value, ir::Type type) {
  constexpr std::size_t kMost = std::size_t{160} << 20;
  type_bytes_ += bytes_of(type);
  if (type_bytes_ > kMost) {
    fail(Errc::invalid_file,
         "value \"{}\": with its shape, those of the model take more than {} MiB; split the model",
         shown(value->name()), kMost >> 20U);
  }
  if (value->id() >= types_.size()) types_.resize(value->id() + 1);
  TypeOf& known = types_[value->id()];
  TERCEL_CHECK(known.value == nullptr || known.value == value);
  if (known.value != nullptr) type_bytes_ -= bytes_of(known.type);
  known.value = value;
  known.type = std::move(type);
}

void Facts::add_declared(const ir::Value* value) {
  if (value->type.kind == ir::Type::Kind::unknown) return;
  const ir::Type* known = type(value);
  if (known == &value->type) return;
  if (known->kind != ir::Type::Kind::unknown && says_no_more(value->type, *known)) return;
  set_type(value, merge(value->type, *known, *value));
}

void Facts::set_contents(const ir::Value* value, Contents contents) {
  constexpr std::size_t kMost = std::size_t{64} << 20;
  const auto [found, added] = contents_.try_emplace(value);
  if (!added) content_bytes_ -= bytes_of(found->second);
  const std::size_t bytes = bytes_of(contents);
  if (static_cast<int64_t>(contents.size()) > kMaxContents || content_bytes_ + bytes > kMost) {
    contents_.erase(found);
    return;
  }
  content_bytes_ += bytes;
  found->second = std::move(contents);
}

bool Facts::enter_call(Facts& callee) {
  constexpr int kMaxCalls = 1024;
  if (calls_ == nullptr) calls_ = std::make_shared<int>(0);
  callee.calls_ = calls_;
  return ++*calls_ <= kMaxCalls;
}

void Facts::learn(const ir::Value* value, const Tensor& tensor) {
  set_type(value, type_of(tensor));
  if (auto known = contents_of(tensor)) set_contents(value, std::move(*known));
}

const ir::Type* InferContext::input(int index) const {
  const ir::Value* value = node_.input(index);
  return value != nullptr ? facts_.type(value) : nullptr;
}

Dtype InferContext::dtype(int index) const {
  const ir::Type* type = input(index);
  return type != nullptr ? type->dtype : Dtype::undefined;
}

const ir::Dims* InferContext::dims(int index) const {
  const ir::Type* type = input(index);
  return type != nullptr && type->kind == ir::Type::Kind::tensor && type->dims ? &*type->dims
                                                                               : nullptr;
}

std::optional<int> InferContext::rank(int index) const {
  const ir::Dims* known = dims(index);
  return known != nullptr ? std::optional<int>(static_cast<int>(known->size())) : std::nullopt;
}

const Contents* InferContext::contents(int index) const {
  const ir::Value* value = node_.input(index);
  return value != nullptr ? facts_.contents(value) : nullptr;
}

std::optional<std::vector<int64_t>> InferContext::numbers(int index) const {
  const Contents* known = contents(index);
  if (known == nullptr) return std::nullopt;
  std::vector<int64_t> result;
  for (const Known& element : *known) {
    if (!element.is_number()) return std::nullopt;
    result.push_back(element.number());
  }
  return result;
}

const Tensor* InferContext::constant(int index) const {
  const ir::Value* value = node_.input(index);
  return value != nullptr && value->is_constant() ? &value->initializer() : nullptr;
}

void InferContext::set_output(int index, ir::Type type) {
  if (const ir::Value* value = node_.output(index)) facts_.set_type(value, std::move(type));
}

void InferContext::set_contents(int index, Contents contents) {
  if (const ir::Value* value = node_.output(index)) facts_.set_contents(value, std::move(contents));
}

int InferContext::axis(int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank) reject("axis {} is out of range for rank {}", axis, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::vector<ir::Type> InferContext::infer_subgraph(const ir::Graph& graph,
                                                   const std::vector<ir::Type>& types) {
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    const ir::Value* input = graph.inputs()[i];
    // The sizes that a body declares are claims, and those of one iteration at most.
    const ir::Type declared = without_shape(input->type);
    facts_.set_type(input, i < types.size() ? merge(declared, types[i], *input) : declared);
  }
  infer_graph(graph, facts_, model_);
  std::vector<ir::Type> results;
  for (const ir::Value* output : graph.outputs()) {
    const ir::Type* type = facts_.type(output);
    results.push_back(type != nullptr ? *type : ir::Type{});
  }
  return results;
}

namespace {

// Whoever plans or allocates an output may count its bytes.
void check_sizes(const ir::Node& node, const Facts& facts) {
  for (int i = 0; i < node.num_outputs(); ++i) {
    const ir::Type* type = node.output(i) != nullptr ? facts.type(node.output(i)) : nullptr;
    if (type == nullptr || type->kind != ir::Type::Kind::tensor) continue;
    if (const auto shape = type->shape()) bytes_of(type->dtype, element_count(*shape));
  }
}

}  // namespace

void infer_node(const ir::Node& node, Facts& facts, const ir::Model* model) {
  if (const OpDef* def = find_op(node.domain(), node.op_type())) {
    ir::at_node(node, [&] {
      check_node(node, *def);
      InferContext context(node, facts, model);
      def->infer(context);
      check_sizes(node, facts);
    });
  } else if (const ir::Function* function =
                 model != nullptr
                     ? model->find_function(node.domain(), node.op_type(), node.overload)
                     : nullptr) {
    infer_call(node, *function, facts, model);
  }
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (const ir::Value* output = node.output(i)) facts.add_declared(output);
  }
}

Facts infer(const ir::Graph& graph, const std::vector<ir::Type>& inputs, const ir::Model* model) {
  Facts facts;
  infer_arguments(graph, inputs, facts);
  infer_graph(graph, facts, model);
  return facts;
}

void infer_types(ir::Model& model) {
  const Facts facts = infer(model.graph, {}, &model);
  const auto write = [&](ir::Value* value) {
    if (const ir::Type* type = facts.type(value)) value->type = *type;
  };
  for (const auto& node : model.graph.nodes()) {
    for (int i = 0; i < node->num_outputs(); ++i) {
      if (ir::Value* output = node->output(i)) write(output);
    }
  }
}

void forget_declared_shapes(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (int i = 0; i < node->num_outputs(); ++i) {
      if (ir::Value* output = node->output(i)) output->type = without_shape(output->type);
    }
    for (const ir::Attribute& attribute : std::as_const(*node).attributes()) {
      const auto* subgraph = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data);
      if (subgraph != nullptr) forget_declared_shapes(**subgraph);
    }
  }
}

}  // namespace tercel::ops

#include "src/ir/onnx_graph.h"

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/ir/onnx_fields.h"

namespace tercel::ir {
namespace {

void define(Scope& scope, std::string_view name, Value* value, const std::string& place) {
  if (!scope.values.emplace(name, value).second) {
    fail(Errc::invalid_file, "{}: two values are named \"{}\"; names must be unique", place,
         shown(name));
  }
}

void describe(Value& value, const ValueInfo& info) {
  // What a constant is, its tensor says.
  if (info.type.kind != Type::Kind::unknown && !value.is_constant()) value.type = info.type;
  if (!info.doc.empty()) value.doc = info.doc;
  if (!info.metadata.empty()) value.metadata = info.metadata;
}

// A TensorAnnotation; one of a value that is not there is left out.
void annotate(WireReader fields, const Scope& scope) {
  std::string_view name;
  Metadata parameters;
  while (fields.next()) {
    if (fields.field() == proto::annotation::tensor_name) {
      name = fields.name();
    } else if (fields.field() == proto::annotation::parameters) {
      parameters.push_back(read_entry(fields.message()));
    } else {
      fields.skip();
    }
  }
  const auto found = scope.values.find(name);
  if (found != scope.values.end()) found->second->quantization = std::move(parameters);
}

// Whether a tensor may be the default of an input of that type.
bool agrees(const Type& type, const Tensor& tensor) {
  if (type.kind == Type::Kind::unknown) return true;
  if (type.kind != Type::Kind::tensor) return false;
  if (type.dtype != Dtype::undefined && type.dtype != tensor.dtype()) return false;
  if (!type.dims) return true;
  if (type.rank() != tensor.rank()) return false;
  for (std::size_t i = 0; i < type.dims->size(); ++i) {
    const Dim& dim = (*type.dims)[i];
    if (dim.known() && dim.value() != tensor.shape()[i]) return false;
  }
  return true;
}

}  // namespace

Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer) {
    if (const auto found = scope->values.find(name); found != scope->values.end()) {
      return found->second;
    }
  }
  return nullptr;
}

// What a graph or a function consists of, not yet read.
struct GraphReader::Parts {
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> infos;
  std::vector<WireReader> nodes;
  std::vector<WireReader> initializers;
  std::vector<WireReader> sparse;
  std::vector<WireReader> annotations;
};

// What of a node waits until all values of its graph are known.
struct GraphReader::Links {
  Node* node = nullptr;
  std::vector<std::string_view> inputs;
  std::vector<WireReader> attributes;
};

void GraphReader::read_graph(WireReader fields, Graph& graph, const std::string& place,
                             const Scope* outer) {
  Parts parts;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::graph::name:
        graph.name = fields.name();
        break;
      case proto::graph::doc_string:
        graph.doc = fields.text();
        break;
      case proto::graph::metadata_props:
        graph.metadata.push_back(read_entry(fields.message()));
        break;
      case proto::graph::input:
        parts.inputs.push_back(read_value_info(fields.message(), place));
        break;
      case proto::graph::output:
        parts.outputs.push_back(read_value_info(fields.message(), place));
        break;
      case proto::graph::value_info:
        parts.infos.push_back(read_value_info(fields.message(), place));
        break;
      case proto::graph::node:
        parts.nodes.push_back(fields.message());
        break;
      case proto::graph::initializer:
        parts.initializers.push_back(fields.message());
        break;
      case proto::graph::sparse_initializer:
        parts.sparse.push_back(fields.message());
        break;
      case proto::graph::quantization_annotation:
        parts.annotations.push_back(fields.message());
        break;
      default:
        fields.skip();
    }
  }
  Scope scope;
  scope.outer = outer;
  fill(parts, graph, scope, place);
}

void GraphReader::read_function_body(WireReader fields, Graph& graph, const std::string& place) {
  Parts parts;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::function::input:
        parts.inputs.push_back({fields.name(), {}, {}, {}});
        break;
      case proto::function::output:
        parts.outputs.push_back({fields.name(), {}, {}, {}});
        break;
      case proto::function::value_info:
        parts.infos.push_back(read_value_info(fields.message(), place));
        break;
      case proto::function::node:
        parts.nodes.push_back(fields.message());
        break;
      default:
        fields.skip();
    }
  }
  Scope scope;
  fill(parts, graph, scope, place);
}

void GraphReader::count(const Parts& parts, const std::string& place) {
  nodes_ += static_cast<int64_t>(parts.nodes.size()) * (depth_ + 1);
  if (nodes_ > kMaxNodes) {
    fail(Errc::invalid_file,
         "{}: more than {} nodes, those of subgraphs counted once a graph around them; split the "
         "model",
         place, kMaxNodes);
  }
  values_ += parts.inputs.size() + parts.outputs.size() + parts.infos.size() +
             parts.initializers.size() + parts.sparse.size();
  if (values_ > kMaxValues)
    fail(Errc::invalid_file, "{}: more than {} inputs, constants and descriptions of values", place,
         kMaxValues);
  for (const auto* list : {&parts.inputs, &parts.outputs}) {
    if (list->size() > kMaxArguments) {
      fail(Errc::invalid_file, "{}: {} {}; at most {} are read", place, list->size(),
           list == &parts.inputs ? "inputs" : "outputs", kMaxArguments);
    }
  }
}

void GraphReader::fill(const Parts& parts, Graph& graph, Scope& scope, const std::string& place) {
  count(parts, place);
  scope.values.reserve(parts.inputs.size() + parts.initializers.size() + parts.nodes.size());
  add_inputs(parts, graph, scope, place);
  std::vector<Links> links;
  links.reserve(parts.nodes.size());
  for (const WireReader& node : parts.nodes) {
    links.push_back(add_node(node, graph, scope, place));
  }
  for (const Links& link_of_node : links) link(link_of_node, scope, place);
  for (const ValueInfo& info : parts.infos) {
    const auto found = scope.values.find(info.name);
    if (found != scope.values.end()) describe(*found->second, info);
  }
  for (const WireReader& annotation : parts.annotations) annotate(annotation, scope);
  for (const ValueInfo& info : parts.outputs) {
    Value* value = scope.find(info.name);
    if (value == nullptr) {
      fail(Errc::invalid_file, "{}: output \"{}\" is not computed by any node", place,
           shown(info.name));
    }
    if (&value->graph() == &graph && !value->is_graph_input()) describe(*value, info);
    graph.add_output(value);
  }
  if (const Node* stuck = graph.sort(); stuck != nullptr) {
    fail(Errc::invalid_file, "{}: node {} depends on its own output", place, stuck->label());
  }
}

void GraphReader::add_inputs(const Parts& parts, Graph& graph, Scope& scope,
                             const std::string& place) {
  for (const ValueInfo& info : parts.inputs) {
    if (info.name.empty()) fail(Errc::invalid_file, "{}: an input has no name", place);
    Value* value = graph.add_input(std::string(info.name), info.type);
    describe(*value, info);
    define(scope, info.name, value, place);
  }
  for (const WireReader& initializer : parts.initializers) {
    add_initializer(tensors_.read(initializer, place), graph, scope, place);
  }
  for (const WireReader& initializer : parts.sparse) {
    add_initializer(tensors_.read_sparse(initializer, place), graph, scope, place);
  }
}

void GraphReader::add_initializer(const NamedTensor& named, Graph& graph, Scope& scope,
                                  const std::string& place) {
  if (named.name.empty()) fail(Errc::invalid_file, "{}: an initializer has no name", place);
  if (const auto input = scope.values.find(named.name); input != scope.values.end()) {
    Value* value = input->second;
    if (!value->is_graph_input() || value->initializer().defined()) {
      fail(Errc::invalid_file, "{}: two initializers are named \"{}\"", place, shown(named.name));
    }
    if (!agrees(value->type, named.tensor)) {
      fail(Errc::invalid_file, "{}: input \"{}\": its default is {} of shape {}, its type {}",
           place, shown(named.name), tercel::to_string(named.tensor.dtype()),
           tercel::to_string(named.tensor.shape()), to_string(value->type));
    }
    graph.set_default(value, named.tensor);
    return;
  }
  Value* value = graph.add_initializer(std::string(named.name), named.tensor);
  value->doc = named.doc;
  value->metadata = named.metadata;
  define(scope, named.name, value, place);
}

GraphReader::Links GraphReader::add_node(WireReader fields, Graph& graph, Scope& scope,
                                         const std::string& place) {
  Links links;
  std::vector<std::string_view> outputs;
  std::string_view op_type;
  std::string_view domain;
  std::string_view name;
  std::string_view overload;
  std::string_view doc;
  Metadata metadata;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::node::input:
        links.inputs.push_back(fields.name());
        break;
      case proto::node::output:
        outputs.push_back(fields.name());
        break;
      case proto::node::name:
        name = fields.name();
        break;
      case proto::node::op_type:
        op_type = fields.name();
        break;
      case proto::node::domain:
        domain = fields.name();
        break;
      case proto::node::overload:
        overload = fields.name();
        break;
      case proto::node::doc_string:
        doc = fields.text();
        break;
      case proto::node::attribute:
        links.attributes.push_back(fields.message());
        break;
      case proto::node::metadata_props:
        metadata.push_back(read_entry(fields.message()));
        break;
      default:
        fields.skip();
    }
  }
  if (op_type.empty())
    fail(Errc::invalid_file, "{}: node \"{}\" has no operator", place, shown(name));
  if (domain == "ai.onnx") domain = {};
  Node* node = graph.add_node(std::string(op_type), {}, std::string(domain));
  node->name = name;
  node->overload = overload;
  node->doc = doc;
  node->metadata = std::move(metadata);
  for (const std::string_view output : outputs) {
    if (output.empty()) {
      node->add_missing_output();
    } else {
      define(scope, output, node->add_output(std::string(output)), place);
    }
  }
  links.node = node;
  return links;
}

void GraphReader::link(const Links& links, const Scope& scope, const std::string& place) {
  Node& node = *links.node;
  int index = 0;
  for (const std::string_view input : links.inputs) {
    Value* value = input.empty() ? nullptr : scope.find(input);
    if (value == nullptr && !input.empty()) {
      fail(Errc::invalid_file, "{}: node {}: input \"{}\" is not a value of the graph", place,
           node.label(), shown(input));
    }
    node.set_input(index++, value);
  }
  if (links.attributes.empty()) return;
  const std::string here = place + ": node " + node.label();
  if (links.attributes.size() > kMaxAttributes) {
    fail(Errc::invalid_file, "{}: {} attributes; at most {} are read", here,
         links.attributes.size(), kMaxAttributes);
  }
  for (const WireReader& fields : links.attributes) {
    Attribute attribute = read_attribute(fields, node.graph(), scope, here);
    // Sparse constants are held dense; so they are written.
    if (attribute.name == "sparse_value" && node.is("Constant")) attribute.name = "value";
    if (node.has_attribute(attribute.name)) {
      fail(Errc::invalid_file, "{}: two attributes are named \"{}\"", here, shown(attribute.name));
    }
    node.add_attribute(std::move(attribute));
  }
}

std::shared_ptr<Graph> GraphReader::read_subgraph(WireReader fields, Graph& outer,
                                                  const Scope& scope, const std::string& place) {
  if (depth_ >= kMaxGraphDepth) {
    fail(Errc::invalid_file, "{}: graphs are nested more than {} deep", shown(outer.name),
         kMaxGraphDepth);
  }
  auto graph = std::make_shared<Graph>(std::string(), &outer);
  ++depth_;
  read_graph(fields, *graph, place, &scope);
  --depth_;
  return graph;
}

}  // namespace tercel::ir

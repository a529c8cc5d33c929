#include "src/ir/onnx_encode.h"

#include <limits>

#include "src/base/fail.h"
#include "src/ir/onnx_fields.h"

namespace tercel::ir {
namespace {

using Writer = protozero::pbf_writer;
using proto::Kind;

// A nested Writer takes itself back when nothing was added to it; a scalar's shape must stay.
void add_empty(Writer& out, uint32_t field) { out.add_message(field, "", 0); }

// A type as a message of its own.
void encode_type_field(Writer& out, uint32_t field, const Type& type) {
  if (type.kind == Type::Kind::unknown) return add_empty(out, field);
  Writer part(out, field);
  encode_type(part, type);
}

void encode_tensor_type(Writer out, const Type& type) {
  out.add_int32(proto::type::elem_type, static_cast<int32_t>(type.dtype));
  if (!type.dims) return;
  if (type.dims->empty()) return add_empty(out, proto::type::shape);
  Writer shape(out, proto::type::shape);
  for (const Dim& dim : *type.dims) {
    if (!dim.known() && !dim.symbolic()) {
      add_empty(shape, proto::shape::dim);
      continue;
    }
    Writer part(shape, proto::shape::dim);
    if (dim.known()) part.add_int64(proto::shape::dim_value, dim.value());
    if (dim.symbolic()) part.add_string(proto::shape::dim_param, dim.symbol());
  }
}

void encode_value_info(Writer out, const Value& value) {
  out.add_string(proto::value_info::name, value.name());
  if (value.type.kind != Type::Kind::unknown) {
    Writer type(out, proto::value_info::type);
    encode_type(type, value.type);
  }
  if (!value.doc.empty()) out.add_string(proto::value_info::doc_string, value.doc);
  encode_metadata(out, proto::value_info::metadata_props, value.metadata);
}

// The intermediate values of which something is known.
void encode_value_infos(Writer& out, uint32_t field, const Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (int i = 0; i < node->num_outputs(); ++i) {
      const Value* value = node->output(i);
      if (value == nullptr || value->is_graph_output()) continue;
      if (value->type.kind == Type::Kind::unknown && value->doc.empty() &&
          value->metadata.empty()) {
        continue;
      }
      encode_value_info(Writer(out, field), *value);
    }
  }
}

// Only what still names values of the graph: a pass may have taken them away.
void encode_annotation(Writer& out, const Graph& graph, const Value& value) {
  Metadata kept;
  for (const auto& entry : value.quantization) {
    if (graph.name_taken(entry.second)) kept.push_back(entry);
  }
  if (kept.empty()) return;
  Writer part(out, proto::graph::quantization_annotation);
  part.add_string(proto::annotation::tensor_name, value.name());
  encode_metadata(part, proto::annotation::parameters, kept);
}

void encode_annotations(Writer& out, const Graph& graph) {
  for (const Value* input : graph.inputs()) encode_annotation(out, graph, *input);
  for (const Value* value : graph.initializers()) {
    if (!value->is_graph_input()) encode_annotation(out, graph, *value);
  }
  for (const auto& node : graph.nodes()) {
    for (int i = 0; i < node->num_outputs(); ++i) {
      if (node->output(i) != nullptr) encode_annotation(out, graph, *node->output(i));
    }
  }
}

// Encodes what an attribute holds, and says its kind.
struct DataEncoder {
  Writer& out;

  Kind operator()(std::monostate) const { return Kind::undefined; }
  Kind operator()(float value) const {
    out.add_float(proto::attribute::f, value);
    return Kind::float_;
  }
  Kind operator()(int64_t value) const {
    out.add_int64(proto::attribute::i, value);
    return Kind::int_;
  }
  Kind operator()(const std::string& value) const {
    out.add_bytes(proto::attribute::s, value);
    return Kind::string;
  }
  Kind operator()(const Tensor& value) const {
    Writer part(out, proto::attribute::t);
    encode_tensor(part, value);
    return Kind::tensor;
  }
  Kind operator()(const std::shared_ptr<Graph>& value) const {
    Writer part(out, proto::attribute::g);
    encode_graph(part, *value);
    return Kind::graph;
  }
  Kind operator()(const Type& value) const {
    encode_type_field(out, proto::attribute::tp, value);
    return Kind::type_proto;
  }
  Kind operator()(const std::vector<float>& values) const {
    for (const float value : values) out.add_float(proto::attribute::floats, value);
    return Kind::floats;
  }
  Kind operator()(const std::vector<int64_t>& values) const {
    for (const int64_t value : values) out.add_int64(proto::attribute::ints, value);
    return Kind::ints;
  }
  Kind operator()(const std::vector<std::string>& values) const {
    for (const auto& value : values) out.add_bytes(proto::attribute::strings, value);
    return Kind::strings;
  }
  Kind operator()(const std::vector<Tensor>& values) const {
    for (const auto& value : values) {
      Writer part(out, proto::attribute::tensors);
      encode_tensor(part, value);
    }
    return Kind::tensors;
  }
  Kind operator()(const std::vector<std::shared_ptr<Graph>>& values) const {
    for (const auto& value : values) {
      Writer part(out, proto::attribute::graphs);
      encode_graph(part, *value);
    }
    return Kind::graphs;
  }
  Kind operator()(const std::vector<Type>& values) const {
    for (const auto& value : values) {
      encode_type_field(out, proto::attribute::type_protos, value);
    }
    return Kind::type_protos;
  }
};

void encode_attribute(Writer out, const Attribute& attribute) {
  out.add_string(proto::attribute::name, attribute.name);
  if (!attribute.doc.empty()) out.add_string(proto::attribute::doc_string, attribute.doc);
  if (!attribute.ref.empty()) {
    out.add_int32(proto::attribute::type, attribute.ref_type);
    out.add_string(proto::attribute::ref_attr_name, attribute.ref);
    return;
  }
  const Kind kind = std::visit(DataEncoder{out}, attribute.data);
  out.add_int32(proto::attribute::type, static_cast<int32_t>(kind));
}

// Functions have no initializers in the file: a Constant node stands for each.
void encode_constant(Writer out, const Value& value) {
  out.add_string(proto::node::output, value.name());
  out.add_string(proto::node::op_type, "Constant");
  Writer attribute(out, proto::node::attribute);
  attribute.add_string(proto::attribute::name, "value");
  const Kind kind = DataEncoder{attribute}(value.initializer());
  attribute.add_int32(proto::attribute::type, static_cast<int32_t>(kind));
}

}  // namespace

std::span<const std::byte> raw_bytes(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.data()), tensor.bytes()};
}

void encode_metadata(Writer& out, uint32_t field, const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    Writer entry(out, field);
    entry.add_string(proto::entry::key, key);
    entry.add_string(proto::entry::value, value);
  }
}

void encode_opsets(Writer& out, uint32_t field, const std::map<std::string, int64_t>& opsets) {
  for (const auto& [domain, version] : opsets) {
    Writer entry(out, field);
    entry.add_string(proto::opset::domain, domain);
    entry.add_int64(proto::opset::version, version);
  }
}

void encode_type(Writer& out, const Type& type) {
  const auto container = [&](uint32_t field, uint32_t element_field) {
    const bool map = type.kind == Type::Kind::map;
    if (!map && type.element == nullptr) return add_empty(out, field);
    Writer part(out, field);
    if (map) part.add_int32(proto::type::key_type, static_cast<int32_t>(type.dtype));
    if (type.element != nullptr) encode_type_field(part, element_field, *type.element);
  };
  switch (type.kind) {
    case Type::Kind::unknown:
      return;
    case Type::Kind::tensor:
      return encode_tensor_type(Writer(out, proto::type::tensor), type);
    case Type::Kind::sparse_tensor:
      return encode_tensor_type(Writer(out, proto::type::sparse_tensor), type);
    case Type::Kind::sequence:
      return container(proto::type::sequence, proto::type::elem_type);
    case Type::Kind::optional:
      return container(proto::type::optional, proto::type::elem_type);
    case Type::Kind::map:
      return container(proto::type::map, proto::type::value_type);
  }
}

void encode_dims(Writer& out, const Shape& shape) {
  for (const int64_t dim : shape) out.add_int64(proto::tensor::dims, dim);
}

void encode_tensor(Writer& out, const Tensor& tensor, const std::string& name,
                   const std::string& doc, const Metadata& metadata) {
  encode_dims(out, tensor.shape());
  out.add_int32(proto::tensor::data_type, static_cast<int32_t>(tensor.dtype()));
  if (tensor.dtype() == Dtype::string) {
    for (const std::string& value : tensor.strings()) {
      out.add_bytes(proto::tensor::string_data, value);
    }
  }
  if (!name.empty()) out.add_string(proto::tensor::name, name);
  if (tensor.dtype() != Dtype::string) {
    const auto bytes = raw_bytes(tensor);
    if (bytes.size() > std::numeric_limits<int32_t>::max()) {
      fail(Errc::unsupported, "a constant of {} bytes inside a node; protobuf allows 2 GiB",
           bytes.size());
    }
    out.add_bytes(proto::tensor::raw_data, reinterpret_cast<const char*>(bytes.data()),
                  bytes.size());
  }
  if (!doc.empty()) out.add_string(proto::tensor::doc_string, doc);
  encode_metadata(out, proto::tensor::metadata_props, metadata);
}

void encode_node(Writer& out, const Node& node) {
  for (const Value* input : node.inputs()) {
    out.add_string(proto::node::input, input != nullptr ? input->name() : std::string());
  }
  for (int i = 0; i < node.num_outputs(); ++i) {
    out.add_string(proto::node::output,
                   node.output(i) != nullptr ? node.output(i)->name() : std::string());
  }
  if (!node.name.empty()) out.add_string(proto::node::name, node.name);
  out.add_string(proto::node::op_type, node.op_type());
  for (const Attribute& attribute : node.attributes()) {
    encode_attribute(Writer(out, proto::node::attribute), attribute);
  }
  if (!node.doc.empty()) out.add_string(proto::node::doc_string, node.doc);
  if (!node.domain().empty()) out.add_string(proto::node::domain, node.domain());
  if (!node.overload.empty()) out.add_string(proto::node::overload, node.overload);
  encode_metadata(out, proto::node::metadata_props, node.metadata);
}

void encode_graph_head(Writer& out, const Graph& graph) {
  for (const auto& node : graph.nodes()) {
    Writer part(out, proto::graph::node);
    encode_node(part, *node);
  }
  out.add_string(proto::graph::name, graph.name);
}

void encode_graph_tail(Writer& out, const Graph& graph) {
  if (!graph.doc.empty()) out.add_string(proto::graph::doc_string, graph.doc);
  for (const Value* input : graph.inputs()) {
    encode_value_info(Writer(out, proto::graph::input), *input);
  }
  for (const Value* output : graph.outputs()) {
    encode_value_info(Writer(out, proto::graph::output), *output);
  }
  encode_value_infos(out, proto::graph::value_info, graph);
  encode_annotations(out, graph);
  encode_metadata(out, proto::graph::metadata_props, graph.metadata);
}

void encode_graph(Writer& out, const Graph& graph) {
  encode_graph_head(out, graph);
  for (const Value* value : graph.initializers()) {
    Writer part(out, proto::graph::initializer);
    const bool input = value->is_graph_input();
    encode_tensor(part, value->initializer(), value->name(), input ? std::string() : value->doc,
                  input ? Metadata() : value->metadata);
  }
  encode_graph_tail(out, graph);
}

void encode_function(Writer& out, const Function& function) {
  out.add_string(proto::function::name, function.name);
  for (const Value* input : function.body.inputs()) {
    out.add_string(proto::function::input, input->name());
  }
  for (const Value* output : function.body.outputs()) {
    out.add_string(proto::function::output, output->name());
  }
  for (const auto& attribute : function.attributes) {
    out.add_string(proto::function::attribute, attribute);
  }
  for (const Value* value : function.body.initializers()) {
    encode_constant(Writer(out, proto::function::node), *value);
  }
  for (const auto& node : function.body.nodes()) {
    Writer part(out, proto::function::node);
    encode_node(part, *node);
  }
  if (!function.doc.empty()) out.add_string(proto::function::doc_string, function.doc);
  encode_opsets(out, proto::function::opset_import, function.opsets);
  out.add_string(proto::function::domain, function.domain);
  for (const Attribute& attribute : function.defaults) {
    encode_attribute(Writer(out, proto::function::attribute_proto), attribute);
  }
  for (const Value* input : function.body.inputs()) {
    if (input->type.kind != Type::Kind::unknown) {
      encode_value_info(Writer(out, proto::function::value_info), *input);
    }
  }
  encode_value_infos(out, proto::function::value_info, function.body);
  if (!function.overload.empty()) out.add_string(proto::function::overload, function.overload);
  encode_metadata(out, proto::function::metadata_props, function.metadata);
}

}  // namespace tercel::ir

// AttributeProto: one of fourteen kinds of value.

#include <optional>

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/ir/onnx_fields.h"
#include "src/ir/onnx_graph.h"

namespace tercel::ir {
namespace {

using proto::Kind;

// The fields of an AttributeProto; messages not yet read.
struct Fields {
  std::string_view name;
  std::string_view ref;
  std::string_view doc;
  Kind kind = Kind::undefined;
  Kind seen = Kind::undefined;  // by the field that is set, for files older than `type`
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::optional<WireReader> message;  // t, g, tp or sparse_tensor
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  std::vector<WireReader> tensors;
  std::vector<WireReader> graphs;
  std::vector<WireReader> sparse;
  std::vector<WireReader> types;
};

// One field; false when it is not of this message.
bool take_single(WireReader& reader, Fields& fields) {
  const auto message = [&](Kind kind) {
    fields.message = reader.message();
    fields.seen = kind;
    return true;
  };
  switch (reader.field()) {
    case proto::attribute::f:
      fields.f = reader.f32();
      fields.seen = Kind::float_;
      return true;
    case proto::attribute::i:
      fields.i = reader.integer();
      fields.seen = Kind::int_;
      return true;
    case proto::attribute::s:
      fields.s = reader.text();
      fields.seen = Kind::string;
      return true;
    case proto::attribute::t:
      return message(Kind::tensor);
    case proto::attribute::g:
      return message(Kind::graph);
    case proto::attribute::tp:
      return message(Kind::type_proto);
    case proto::attribute::sparse_tensor:
      return message(Kind::sparse_tensor);
    default:
      return false;
  }
}

bool take_list(WireReader& reader, Fields& fields) {
  const auto message = [&](std::vector<WireReader>& list, Kind kind) {
    list.push_back(reader.message());
    fields.seen = kind;
    return true;
  };
  switch (reader.field()) {
    case proto::attribute::floats:
      reader.fixed<float>([&](float value) { fields.floats.push_back(value); });
      fields.seen = Kind::floats;
      return true;
    case proto::attribute::ints:
      reader.integers([&](int64_t value) { fields.ints.push_back(value); });
      fields.seen = Kind::ints;
      return true;
    case proto::attribute::strings:
      fields.strings.emplace_back(reader.text());
      fields.seen = Kind::strings;
      return true;
    case proto::attribute::tensors:
      return message(fields.tensors, Kind::tensors);
    case proto::attribute::graphs:
      return message(fields.graphs, Kind::graphs);
    case proto::attribute::sparse_tensors:
      return message(fields.sparse, Kind::sparse_tensors);
    case proto::attribute::type_protos:
      return message(fields.types, Kind::type_protos);
    default:
      return false;
  }
}

Fields read_fields(WireReader reader) {
  Fields fields;
  while (reader.next()) {
    switch (reader.field()) {
      case proto::attribute::name:
        fields.name = reader.name();
        break;
      case proto::attribute::ref_attr_name:
        fields.ref = reader.name();
        break;
      case proto::attribute::doc_string:
        fields.doc = reader.text();
        break;
      case proto::attribute::type:
        fields.kind = static_cast<Kind>(reader.integer());
        break;
      default:
        if (!take_single(reader, fields) && !take_list(reader, fields)) reader.skip();
    }
  }
  return fields;
}

}  // namespace

Attribute GraphReader::read_attribute(WireReader reader, Graph& graph, const Scope& scope,
                                      const std::string& place) {
  Fields fields = read_fields(reader);
  Attribute attribute;
  attribute.name = fields.name;
  attribute.doc = fields.doc;
  if (attribute.name.empty()) fail(Errc::invalid_file, "{}: an attribute has no name", place);
  if (!fields.ref.empty()) {
    attribute.ref = fields.ref;
    attribute.ref_type = static_cast<int32_t>(fields.kind);
    return attribute;
  }
  const std::string here = fmt::format("{}: attribute \"{}\"", place, shown(attribute.name));
  const Kind kind = fields.kind != Kind::undefined ? fields.kind : fields.seen;
  const auto message = [&] {
    if (!fields.message || (fields.seen != kind)) {
      fail(Errc::invalid_file, "{}: expected a value of kind {}", here, static_cast<int32_t>(kind));
    }
    return *fields.message;
  };
  switch (kind) {
    case Kind::float_:
      attribute.data = fields.f;
      break;
    case Kind::int_:
      attribute.data = fields.i;
      break;
    case Kind::string:
      attribute.data = std::string(fields.s);
      break;
    case Kind::tensor:
      attribute.data = tensors_.read(message(), here).tensor;
      break;
    case Kind::sparse_tensor:
      attribute.data = tensors_.read_sparse(message(), here).tensor;
      break;
    case Kind::graph:
      attribute.data = read_subgraph(message(), graph, scope, here);
      break;
    case Kind::type_proto:
      attribute.data = read_type(message(), here);
      break;
    case Kind::floats:
      attribute.data = std::move(fields.floats);
      break;
    case Kind::ints:
      attribute.data = std::move(fields.ints);
      break;
    case Kind::strings:
      attribute.data = std::move(fields.strings);
      break;
    case Kind::tensors:
    case Kind::sparse_tensors: {
      std::vector<Tensor> tensors;
      for (const auto& tensor : fields.tensors) {
        tensors.push_back(tensors_.read(tensor, here).tensor);
      }
      for (const auto& tensor : fields.sparse) {
        tensors.push_back(tensors_.read_sparse(tensor, here).tensor);
      }
      attribute.data = std::move(tensors);
      break;
    }
    case Kind::graphs: {
      std::vector<std::shared_ptr<Graph>> graphs;
      for (const auto& sub : fields.graphs) {
        graphs.push_back(read_subgraph(sub, graph, scope, here));
      }
      attribute.data = std::move(graphs);
      break;
    }
    case Kind::type_protos: {
      std::vector<Type> types;
      for (const auto& type : fields.types) types.push_back(read_type(type, here));
      attribute.data = std::move(types);
      break;
    }
    default:
      fail(Errc::invalid_file, "{}: expected a value of a known kind", here);
  }
  return attribute;
}

}  // namespace tercel::ir

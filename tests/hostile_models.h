#pragma once
// ONNX files for the tests of malformed ones, written field by field: what no builder would make.

#include <functional>
#include <string>

#include <protozero/pbf_writer.hpp>

#include "src/ir/onnx_encode.h"
#include "src/ir/onnx_fields.h"
#include "tercel/tensor.h"

namespace tercel::hostile {

namespace proto = ir::proto;
using protozero::pbf_writer;
using Fill = std::function<void(pbf_writer&)>;

// A model whose graph `fill` writes, and behind it what `more` writes of the model.
inline std::string model_of(const Fill& fill, const Fill& more = {}) {
  std::string bytes;
  pbf_writer model(bytes);
  model.add_int64(proto::model::ir_version, 10);
  {
    pbf_writer graph(model, proto::model::graph);
    graph.add_string(proto::graph::name, "g");
    fill(graph);
  }
  ir::encode_opsets(model, proto::model::opset_import, {{"", 20}});
  if (more) more(model);
  return bytes;
}

// A model with an initializer "w" that `fill` writes.
inline std::string tensor_of(const Fill& fill) {
  return model_of([&](pbf_writer& graph) {
    pbf_writer tensor(graph, proto::graph::initializer);
    tensor.add_string(proto::tensor::name, "w");
    fill(tensor);
  });
}

inline std::string tensor_of(const Shape& shape, int32_t type, const std::string& raw) {
  return tensor_of([&](pbf_writer& tensor) {
    ir::encode_dims(tensor, shape);
    tensor.add_int32(proto::tensor::data_type, type);
    tensor.add_bytes(proto::tensor::raw_data, raw);
  });
}

// An f32 initializer [2] whose bytes are said to lie elsewhere.
inline std::string external_tensor(const std::string& location, const std::string& offset,
                                   const std::string& length) {
  return tensor_of([&](pbf_writer& tensor) {
    ir::encode_dims(tensor, {2});
    tensor.add_int32(proto::tensor::data_type, 1);
    ir::encode_metadata(tensor, proto::tensor::external_data,
                        {{"location", location}, {"offset", offset}, {"length", length}});
    tensor.add_int32(proto::tensor::data_location, 1);
  });
}

inline void add_node(pbf_writer& graph, const std::string& input, const std::string& output,
                     const std::string& op_type = "Relu") {
  pbf_writer node(graph, proto::graph::node);
  node.add_string(proto::node::input, input);
  node.add_string(proto::node::output, output);
  node.add_string(proto::node::op_type, op_type);
}

// An input or output without a type.
inline void add_info(pbf_writer& graph, uint32_t field, const std::string& name) {
  pbf_writer info(graph, field);
  info.add_string(proto::value_info::name, name);
}

// … of f32 elements, in one dimension of that size.
inline void add_vector(pbf_writer& graph, uint32_t field, const std::string& name, int64_t size) {
  pbf_writer info(graph, field);
  info.add_string(proto::value_info::name, name);
  pbf_writer type(info, proto::value_info::type);
  ir::encode_type(type, ir::Type::tensor(Dtype::f32, {ir::Dim(size)}));
}

// `depth` messages, each the only field of the one around it, by the fields of `path` in turn, the
// innermost empty. Lengths grow outwards, so that the bytes are written from the inside, backwards.
inline std::string nested(const std::vector<uint32_t>& path, int depth) {
  std::string reversed;
  const auto varint = [](uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7U) bytes += static_cast<char>(value | 0x80U);
    return bytes + static_cast<char>(value);
  };
  for (int i = depth - 1; i >= 0; --i) {
    const uint32_t field = path[static_cast<std::size_t>(i) % path.size()];
    const std::string head = varint(uint64_t{field} << 3U | 2U) + varint(reversed.size());
    reversed.append(head.rbegin(), head.rend());
  }
  return {reversed.rbegin(), reversed.rend()};
}

// A graph of If within If, `depth` deep.
inline void nest_graphs(pbf_writer& graph, int depth) {
  pbf_writer node(graph, proto::graph::node);
  node.add_string(proto::node::op_type, "If");
  if (depth == 0) return;
  pbf_writer attribute(node, proto::node::attribute);
  attribute.add_string(proto::attribute::name, "then_branch");
  attribute.add_int32(proto::attribute::type, static_cast<int32_t>(proto::Kind::graph));
  pbf_writer sub(attribute, proto::attribute::g);
  nest_graphs(sub, depth - 1);
}

}  // namespace tercel::hostile

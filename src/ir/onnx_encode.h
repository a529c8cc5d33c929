#pragma once
// Parts of ONNX files, encoded: what the messages below the model's graph consist of.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <protozero/pbf_writer.hpp>

#include "src/ir/model.h"

namespace tercel::ir {

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Each adds the fields of its message to `out`.
void encode_type(protozero::pbf_writer& out, const Type& type);
void encode_tensor(protozero::pbf_writer& out, const Tensor& tensor, const std::string& name = {},
                   const std::string& doc = {}, const Metadata& metadata = {});
void encode_dims(protozero::pbf_writer& out, const Shape& shape);  // of a TensorProto
void encode_node(protozero::pbf_writer& out, const Node& node);
void encode_graph(protozero::pbf_writer& out, const Graph& graph);
void encode_function(protozero::pbf_writer& out, const Function& function);

// The fields of a graph before and after its initializers.
void encode_graph_head(protozero::pbf_writer& out, const Graph& graph);
void encode_graph_tail(protozero::pbf_writer& out, const Graph& graph);

void encode_metadata(protozero::pbf_writer& out, uint32_t field, const Metadata& metadata);
void encode_opsets(protozero::pbf_writer& out, uint32_t field,
                   const std::map<std::string, int64_t>& opsets);

// The elements of a tensor as they lie in memory, which is as raw_data has them.
std::span<const std::byte> raw_bytes(const Tensor& tensor);

}  // namespace tercel::ir

#pragma once
// GraphProto, NodeProto and AttributeProto, read into a Graph.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/onnx_tensor.h"
#include "src/ir/onnx_type.h"

namespace tercel::ir {

inline constexpr int kMaxGraphDepth = 64;  // subgraphs within subgraphs

// Names of one graph in the file, and of those around it.
struct Scope {
  const Scope* outer = nullptr;
  std::unordered_map<std::string_view, Value*> values;

  Value* find(std::string_view name) const;
};

class GraphReader {
 public:
  explicit GraphReader(TensorReader& tensors) : tensors_(tensors) {}

  // Reads into the empty `graph`; `place` begins messages. Nodes are sorted.
  void read_graph(WireReader fields, Graph& graph, const std::string& place,
                  const Scope* outer = nullptr);
  void read_function_body(WireReader fields, Graph& graph, const std::string& place);
  Attribute read_attribute(WireReader fields, Graph& graph, const Scope& scope,
                           const std::string& place);

 private:
  struct Parts;
  struct Links;
  void fill(const Parts& parts, Graph& graph, Scope& scope, const std::string& place);
  void add_inputs(const Parts& parts, Graph& graph, Scope& scope, const std::string& place);
  void add_initializer(const NamedTensor& tensor, Graph& graph, Scope& scope,
                       const std::string& place);
  Links add_node(WireReader fields, Graph& graph, Scope& scope, const std::string& place);
  void link(const Links& links, const Scope& scope, const std::string& place);
  std::shared_ptr<Graph> read_subgraph(WireReader fields, Graph& outer, const Scope& scope,
                                       const std::string& place);

  TensorReader& tensors_;
  int depth_ = 0;
};

}  // namespace tercel::ir

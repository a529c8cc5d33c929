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

// Bounds on what a file may hold, far above those of any model that is used: within them all work
// at load is near-linear in the size of the file.
inline constexpr int kMaxGraphDepth = 64;      // subgraphs within subgraphs
inline constexpr int64_t kMaxNodes = 1 << 18;  // one of a subgraph counts once a graph around it
inline constexpr std::size_t kMaxValues = 1 << 19;     // inputs, outputs, constants, descriptions
inline constexpr std::size_t kMaxArguments = 1 << 14;  // inputs or outputs of a graph
inline constexpr std::size_t kMaxFunctions = 1 << 12;
inline constexpr std::size_t kMaxAttributes = 256;  // each is compared with all before it

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

  void count(const Parts& parts, const std::string& place);

  TensorReader& tensors_;
  int depth_ = 0;
  int64_t nodes_ = 0;
  std::size_t values_ = 0;
};

}  // namespace tercel::ir

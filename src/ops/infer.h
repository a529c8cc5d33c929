#pragma once
// Type and shape inference. Dimensions may be symbolic; the contents of small integer tensors
// (shapes, axes, indices) are followed too, so that Shape → Gather → Concat → Reshape keeps its
// symbols. With all input dimensions known, the same rules give the plan of a run every shape in
// the model.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/base/fail.h"
#include "src/ir/model.h"

namespace tercel::ops {

// The elements of a small integer (or boolean) tensor of rank 0 or 1, row-major; unknown ones are
// Dim(). Elements are numbers, which may be negative: Known holds what Dim cannot.
class Known {
 public:
  Known() = default;
  explicit Known(int64_t value) : number_(value) {}
  explicit Known(const ir::Dim& dim) {
    if (dim.known())
      number_ = dim.value();
    else
      symbol_ = dim.symbol();
  }
  bool is_number() const { return number_.has_value(); }
  int64_t number() const { return *number_; }
  const std::string& symbol() const { return symbol_; }  // empty: unknown
  // As a dimension: unknown unless a symbol or a number that is not negative.
  ir::Dim dim() const {
    if (is_number()) return *number_ >= 0 ? ir::Dim(*number_) : ir::Dim();
    return symbol_.empty() ? ir::Dim() : ir::Dim(symbol_);
  }
  bool operator==(const Known&) const = default;

 private:
  std::optional<int64_t> number_;
  std::string symbol_;
};

using Contents = std::vector<Known>;
inline constexpr int64_t kMaxContents = 1024;  // elements that are followed

// Of an i64, i32 or boolean tensor of rank 0 or 1 with few elements; nothing of others.
std::optional<Contents> contents_of(const Tensor& tensor);

// Dimension arithmetic: numbers are computed, x + 0, x * 1 and x - x simplified, anything else
// becomes a canonical expression of symbols ("2*sequence", "batch*sequence") or unknown.
ir::Dim add(const ir::Dim& a, const ir::Dim& b);
ir::Dim sub(const ir::Dim& a, const ir::Dim& b);
ir::Dim mul(const ir::Dim& a, const ir::Dim& b);
ir::Dim div_exact(const ir::Dim& a, const ir::Dim& b);  // floor division when known

// Multidirectional broadcasting of two shapes (ONNX Broadcasting.md); throws through `context` on a
// clash.
class InferContext;
ir::Dims broadcast(InferContext& context, const ir::Dims& a, const ir::Dims& b);

// What is known of the values of a graph and its subgraphs, at some input types. A type stays where
// it is while others are added.
class Facts {
 public:
  // Null when nothing is known.
  const ir::Type* type(const ir::Value* value) const;
  const Contents* contents(const ir::Value* value) const;
  // Throws Errc::invalid_file when the types of all values together take more than 160 MiB.
  void set_type(const ir::Value* value, ir::Type type);
  // Joins what is known of `value` with what the graph declares of it; throws Errc::invalid_file
  // when they contradict each other.
  void add_declared(const ir::Value* value);
  // Long contents are not followed, nor those of many values that take more than 64 MiB.
  void set_contents(const ir::Value* value, Contents contents);

  // For a call of a function: hands `callee` the number of calls so far, which functions that call
  // functions double. False when there have been enough.
  bool enter_call(Facts& callee);

  // The type of `tensor`, and its contents when they are followed.
  void learn(const ir::Value* value, const Tensor& tensor);

 private:
  struct TypeOf {
    const ir::Value* value = nullptr;  // null: nothing is known
    ir::Type type;
  };

  std::deque<TypeOf> types_;  // by Value::id()
  std::unordered_map<const ir::Value*, Contents> contents_;
  std::size_t type_bytes_ = 0;
  std::size_t content_bytes_ = 0;
  std::shared_ptr<int> calls_;
};

// What an operator's rule sees of its node. Outputs that a rule does not set stay unknown.
class InferContext {
 public:
  InferContext(const ir::Node& node, Facts& facts, const ir::Model* model)
      : node_(node), facts_(facts), model_(model) {}

  const ir::Node& node() const { return node_; }
  bool has_input(int index) const { return node_.input(index) != nullptr; }
  // Null when the input is left out or nothing is known of it.
  const ir::Type* input(int index) const;
  Dtype dtype(int index) const;           // undefined when unknown
  const ir::Dims* dims(int index) const;  // null when the rank is unknown
  std::optional<int> rank(int index) const;
  const Contents* contents(int index) const;  // of a small integer tensor, where followed
  // All elements as numbers, or nothing.
  std::optional<std::vector<int64_t>> numbers(int index) const;
  const Tensor* constant(int index) const;  // of an initializer; null otherwise

  bool wants_output(int index) const { return node_.output(index) != nullptr; }
  void set_output(int index, ir::Type type);
  void set_output(int index, Dtype dtype, ir::Dims dims) {
    set_output(index, ir::Type::tensor(dtype, std::move(dims)));
  }
  void set_output(int index, Dtype dtype) {
    set_output(index, ir::Type::tensor(dtype));
  }  // unknown rank
  void set_contents(int index, Contents contents);

  // The axis counted from the front; rejects what is outside [-rank, rank).
  int axis(int64_t axis, int rank) const;

  // Infers a subgraph whose inputs have `types`; the types of its outputs.
  std::vector<ir::Type> infer_subgraph(const ir::Graph& graph, const std::vector<ir::Type>& types);

  // Raises Errc::invalid_file: "[Softmax "attn"] axis 3 is out of range for rank 3".
  template <class... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    tercel::fail(Errc::invalid_file, "{} {}", node_.label(),
                 fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  const ir::Node& node_;
  Facts& facts_;
  const ir::Model* model_;
};

// Infers one node from the facts of its inputs. A call of a model-local function is inferred
// through its body (a thousand calls at most: passes inline them first); an operator that is not
// defined leaves its outputs as the graph declares them. Every error names the node.
void infer_node(const ir::Node& node, Facts& facts, const ir::Model* model);

// All nodes of `graph`, in order. `inputs` overrides the declared types of graph inputs, by
// position; a declared type of another value is kept where inference knows less, and a
// contradiction between the two throws Errc::invalid_file.
Facts infer(const ir::Graph& graph, const std::vector<ir::Type>& inputs, const ir::Model* model);

// Drops the shapes that a file declares between its inputs and its outputs, and of the outputs:
// they are claims, and wrong ones would mislead passes and have kernels write past what was
// allocated. What follows from the inputs is inferred again, and the rest is learned when it runs.
void forget_declared_shapes(const ir::Graph& graph);

// Infers everything at the declared input types and writes the results into Value::type.
void infer_types(ir::Model& model);

}  // namespace tercel::ops

#include <algorithm>
#include <array>

#include "src/base/fail.h"
#include "src/ir/text.h"
#include "src/ir/text_tensor.h"

namespace tercel::ir {
namespace {

// Attribute kinds by their number in AttributeProto, which the variant's order is not.
constexpr std::array<std::string_view, 13> kKindWords{
    "",       "float", "int",     "string",  "tensor", "graph",      "type_proto",
    "floats", "ints",  "strings", "tensors", "graphs", "type_protos"};
constexpr std::array<std::string_view, 15> kRefKinds{
    "",           "float",   "int",     "string", "tensor",        "graph",          "floats",
    "ints",       "strings", "tensors", "graphs", "sparse_tensor", "sparse_tensors", "type_proto",
    "type_protos"};

// Whether the syntax has a way to write the type.
bool writable(const Type& type) {
  switch (type.kind) {
    case Type::Kind::unknown:
      return false;
    case Type::Kind::tensor:
    case Type::Kind::sparse_tensor:
      return type.dtype != Dtype::undefined;
    case Type::Kind::map:
      return type.dtype != Dtype::undefined && type.element != nullptr && writable(*type.element);
    default:
      return type.element != nullptr && writable(*type.element);
  }
}

class Printer {
 public:
  explicit Printer(const TextOptions& options) : options_(options) {}

  std::string take() { return std::move(text_); }

  void model(const Model& model) {
    text_ += "<\n";
    text_ += fmt::format("  ir_version: {},\n  opset_import: ", model.ir_version);
    opsets(model.opsets);
    property("producer_name", model.producer_name);
    property("producer_version", model.producer_version);
    property("domain", model.domain);
    if (model.model_version != 0)
      text_ += fmt::format(",\n  model_version: {}", model.model_version);
    property("doc_string", model.doc);
    if (!model.metadata.empty()) {
      text_ += ",\n  metadata_props: ";
      list('[', model.metadata, ']', [&](const auto& entry) {
        append_quoted(text_, entry.first);
        text_ += ": ";
        append_quoted(text_, entry.second);
      });
    }
    text_ += "\n>\n";
    graph(model.graph);
    text_ += '\n';
    for (const auto& function : model.functions) this->function(*function);
  }

  void graph(const Graph& graph) {
    name(graph.name);
    text_ += ' ';
    list('(', graph.inputs(), ')', [&](const Value* input) {
      declaration(*input);
      if (input->initializer().defined()) {
        text_ += " = ";
        append_elements(text_, input->initializer(), options_.max_elements);
      }
    });
    text_ += " => ";
    list('(', graph.outputs(), ')', [&](const Value* output) { declaration(*output); });
    text_ += ' ';
    infos(graph, true);
    nodes(graph, false);
  }

 private:
  template <class List, class F>
  void list(char open, const List& items, char close, F&& print) {
    text_ += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) text_ += ", ";
      first = false;
      print(item);
    }
    text_ += close;
  }

  void name(std::string_view value) {
    if (is_plain_name(value)) {
      text_ += value;
    } else {
      append_quoted(text_, value);
    }
  }

  void property(std::string_view key, const std::string& value) {
    if (value.empty()) return;
    text_ += fmt::format(",\n  {}: ", key);
    append_quoted(text_, value);
  }

  void opsets(const std::map<std::string, int64_t>& opsets) {
    list('[', opsets, ']', [&](const auto& entry) {
      append_quoted(text_, entry.first);
      text_ += fmt::format(" : {}", entry.second);
    });
  }

  void dims(const std::optional<Dims>& dims) {
    if (dims && dims->empty()) return;
    if (!dims) {
      text_ += "[]";
      return;
    }
    text_ += '[';
    for (std::size_t i = 0; i < dims->size(); ++i) {
      if (i > 0) text_ += ',';
      const Dim& dim = (*dims)[i];
      if (dim.symbolic() && !is_word(dim.symbol())) {
        append_quoted(text_, dim.symbol());
      } else {
        text_ += to_string(dim);
      }
    }
    text_ += ']';
  }

  void type(const Type& type) {
    const std::string_view element = onnx_name(type.dtype);
    switch (type.kind) {
      case Type::Kind::sequence:
        text_ += "seq(";
        break;
      case Type::Kind::optional:
        text_ += "optional(";
        break;
      case Type::Kind::map:
        text_ += fmt::format("map({}, ", element);
        break;
      case Type::Kind::sparse_tensor:
        text_ += "sparse_tensor(";
        [[fallthrough]];
      default:
        text_ += element;
        dims(type.dims);
        if (type.kind == Type::Kind::sparse_tensor) text_ += ')';
        return;
    }
    this->type(*type.element);
    text_ += ')';
  }

  // A type where the value has one that can be written, and its name.
  void declaration(const Value& value) {
    if (writable(value.type)) {
      type(value.type);
      text_ += ' ';
    }
    name(value.name());
  }

  void tensor(const Tensor& tensor) {
    type(Type::tensor(tensor.dtype(), to_dims(tensor.shape())));
    text_ += ' ';
    append_elements(text_, tensor, options_.max_elements);
  }

  // Initializers, and types of values that are neither inputs nor outputs, between < and >.
  void infos(const Graph& graph, bool initializers) {
    const std::size_t begin = text_.size();
    const auto separate = [&] { text_ += text_.size() == begin ? "<" : ", "; };
    for (const Value* value : graph.initializers()) {
      if (value->is_graph_input() || !initializers) continue;
      separate();
      type(Type::tensor(value->initializer().dtype(), to_dims(value->initializer().shape())));
      text_ += ' ';
      name(value->name());
      text_ += " = ";
      append_elements(text_, value->initializer(), options_.max_elements);
    }
    for (const auto& node : graph.nodes()) {
      for (int i = 0; options_.types && i < node->num_outputs(); ++i) {
        const Value* value = node->output(i);
        const bool told = value == nullptr || (value->is_graph_output() && initializers);
        if (told || !writable(value->type)) continue;
        separate();
        declaration(*value);
      }
    }
    if (text_.size() != begin) text_ += "> ";
  }

  void nodes(const Graph& graph, bool initializers) {
    text_ += "{\n";
    indent_ += 2;
    if (initializers) {
      for (const Value* value : graph.initializers()) {
        text_.append(indent_, ' ');
        name(value->name());
        text_ += " = Constant <value: tensor = ";
        tensor(value->initializer());
        text_ += "> ()\n";
      }
    }
    for (const auto& each : graph.nodes()) node(*each);
    indent_ -= 2;
    text_.append(indent_, ' ');
    text_ += '}';
  }

  void node(const Node& node) {
    text_.append(indent_, ' ');
    if (!node.name.empty()) {
      text_ += '[';
      name(node.name);
      text_ += "] ";
    }
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (i > 0) text_ += ", ";
      name(node.output(i) != nullptr ? node.output(i)->name() : std::string());
    }
    text_ += node.num_outputs() > 0 ? " = " : "= ";
    operator_name(node);
    const bool subgraphs = std::any_of(
        node.attributes().begin(), node.attributes().end(), [](const Attribute& attribute) {
          return std::holds_alternative<std::shared_ptr<Graph>>(attribute.data) ||
                 std::holds_alternative<std::vector<std::shared_ptr<Graph>>>(attribute.data);
        });
    if (!subgraphs) attributes(node);
    text_ += ' ';
    list('(', node.inputs(), ')',
         [&](const Value* input) { name(input != nullptr ? input->name() : std::string()); });
    if (subgraphs) attributes(node);
    text_ += '\n';
  }

  void operator_name(const Node& node) {
    std::string_view rest = node.domain();
    while (!rest.empty()) {
      const std::size_t dot = rest.find('.');
      word_or_quoted(rest.substr(0, dot));
      text_ += '.';
      if (dot == std::string_view::npos) break;
      rest = rest.substr(dot + 1);
      if (rest.empty()) text_ += "\"\".";
    }
    word_or_quoted(node.op_type());
    if (node.overload.empty()) return;
    text_ += ':';
    word_or_quoted(node.overload);
  }

  void word_or_quoted(std::string_view value) {
    if (is_word(value)) {
      text_ += value;
    } else {
      append_quoted(text_, value);
    }
  }

  void attributes(const Node& node) {
    if (node.attributes().empty()) return;
    text_ += ' ';
    list('<', node.attributes(), '>', [&](const Attribute& each) { attribute(each); });
  }

  void attribute(const Attribute& attribute) {
    word_or_quoted(attribute.name);
    const auto ref_kind = static_cast<std::size_t>(attribute.ref_type);
    const std::string_view kind = attribute.ref.empty() ? kKindWords.at(attribute.data.index())
                                  : ref_kind < kRefKinds.size() ? kRefKinds.at(ref_kind)
                                                                : std::string_view();
    if (!kind.empty()) text_ += fmt::format(": {}", kind);
    text_ += " = ";
    if (attribute.ref.empty()) {
      std::visit([&](const auto& value) { data(value); }, attribute.data);
    } else {
      text_ += '@';
      word_or_quoted(attribute.ref);
    }
  }

  void data(std::monostate) {}
  void data(float value) { text_ += fmt::format("{}", value); }
  void data(int64_t value) { text_ += fmt::format("{}", value); }
  void data(const std::string& value) { append_quoted(text_, value); }
  void data(const Tensor& value) { tensor(value); }
  void data(const std::shared_ptr<Graph>& value) { graph(*value); }
  void data(const Type& value) {
    if (writable(value)) {
      type(value);
    } else {
      text_ += "undefined";
    }
  }
  template <class T>
  void data(const std::vector<T>& values) {
    list('[', values, ']', [&](const T& value) { data(value); });
  }

  void function(const Function& function) {
    text_ += "<\n  domain: ";
    append_quoted(text_, function.domain);
    text_ += ",\n  opset_import: ";
    opsets(function.opsets);
    property("overload", function.overload);
    property("doc_string", function.doc);
    text_ += "\n>\n";
    name(function.name);
    text_ += ' ';
    if (!function.attributes.empty() || !function.defaults.empty()) {
      text_ += '<';
      const char* separator = "";
      for (const auto& each : function.attributes) {
        text_ += std::exchange(separator, ", ");
        word_or_quoted(each);
      }
      for (const Attribute& each : function.defaults) {
        text_ += std::exchange(separator, ", ");
        attribute(each);
      }
      text_ += "> ";
    }
    list('(', function.body.inputs(), ')', [&](const Value* input) { declaration(*input); });
    text_ += " => ";
    list('(', function.body.outputs(), ')', [&](const Value* output) { name(output->name()); });
    text_ += ' ';
    infos(function.body, false);
    nodes(function.body, true);
    text_ += '\n';
  }

  const TextOptions& options_;
  std::string text_;
  std::size_t indent_ = 0;
};

}  // namespace

std::string to_text(const Model& model, const TextOptions& options) {
  Printer printer(options);
  printer.model(model);
  return printer.take();
}

std::string to_text(const Graph& graph, const TextOptions& options) {
  Printer printer(options);
  printer.graph(graph);
  return printer.take() + "\n";
}

}  // namespace tercel::ir

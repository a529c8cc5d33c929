// The text becomes the bytes of an ONNX file, which are then read: names are resolved, nodes
// sorted and mistakes found in one place for both.

#include <utility>

#include "src/base/fail.h"
#include "src/ir/onnx_encode.h"
#include "src/ir/onnx_fields.h"
#include "src/ir/onnx_file.h"
#include "src/ir/onnx_graph.h"
#include "src/ir/text.h"
#include "src/ir/text_kinds.h"
#include "src/ir/text_tensor.h"

namespace tercel::ir {
namespace {

using Writer = protozero::pbf_writer;
using proto::Kind;
using text_kinds::element_of;
using text_kinds::kKinds;
using text_kinds::row_of;

class TextParser {
 public:
  TextParser(std::string_view text, const std::string& source) : scan_(text, source) {}

  std::string model() {
    std::string bytes;
    Writer out(bytes);
    if (scan_.accept('<')) {
      header(out, true);
    } else {
      out.add_int64(proto::model::ir_version, kIrVersion);
      encode_opsets(out, proto::model::opset_import, {{"", kOpset}});
    }
    {
      Writer part(out, proto::model::graph);
      graph(part);
    }
    while (!scan_.at_end()) {
      Writer part(out, proto::model::functions);
      function(part);
    }
    return bytes;
  }

 private:
  // key: value, … > of a model or a function
  void header(Writer& out, bool of_model) {
    const auto text = [&](uint32_t field) { out.add_string(field, scan_.quoted()); };
    const auto field = [&](uint32_t in_model, uint32_t in_function) {
      return of_model ? in_model : in_function;
    };
    do {
      const std::string key = scan_.word();
      scan_.expect(':');
      if (key == "opset_import") {
        opsets(out, field(proto::model::opset_import, proto::function::opset_import));
      } else if (key == "doc_string") {
        text(field(proto::model::doc_string, proto::function::doc_string));
      } else if (key == "domain") {
        text(field(proto::model::domain, proto::function::domain));
      } else if (key == "overload" && !of_model) {
        text(proto::function::overload);
      } else if (key == "ir_version" && of_model) {
        out.add_int64(proto::model::ir_version, scan_.integer());
      } else if (key == "model_version" && of_model) {
        out.add_int64(proto::model::model_version, scan_.integer());
      } else if (key == "producer_name" && of_model) {
        text(proto::model::producer_name);
      } else if (key == "producer_version" && of_model) {
        text(proto::model::producer_version);
      } else if (key == "metadata_props" && of_model) {
        metadata(out, proto::model::metadata_props);
      } else {
        scan_.fail_expecting(fmt::format("a property before this; \"{}\" is none", key));
      }
    } while (scan_.accept(','));
    scan_.expect('>');
  }

  // Items between `open` and `close`, with commas between.
  template <class F>
  void list(char open, char close, F&& item) {
    scan_.expect(open);
    if (scan_.accept(close)) return;
    do {
      item();
    } while (scan_.accept(','));
    scan_.expect(close);
  }

  void opsets(Writer& out, uint32_t field) {
    list('[', ']', [&] {
      Writer entry(out, field);
      entry.add_string(proto::opset::domain, scan_.quoted());
      scan_.expect(':');
      entry.add_int64(proto::opset::version, scan_.integer());
    });
  }

  void metadata(Writer& out, uint32_t field) {
    list('[', ']', [&] {
      Writer entry(out, field);
      entry.add_string(proto::entry::key, scan_.quoted());
      scan_.expect(':');
      entry.add_string(proto::entry::value, scan_.quoted());
    });
  }

  struct Declaration {
    Type type;
    std::string name;
  };

  Declaration declaration() {
    Declaration found;
    if (begins_type(scan_.peek_word())) found.type = scan_type(scan_);
    found.name = scan_.name();
    return found;
  }

  static void write_declaration(Writer out, const Declaration& declaration) {
    out.add_string(proto::value_info::name, declaration.name);
    if (declaration.type.kind == Type::Kind::unknown) return;
    Writer type(out, proto::value_info::type);
    encode_type(type, declaration.type);
  }

  // "= {…}" after a declaration: the value's elements.
  void initializer(Writer& graph, const Declaration& declaration) {
    const Tensor tensor = scan_elements(scan_, declaration.type);
    Writer part(graph, proto::graph::initializer);
    encode_tensor(part, tensor, declaration.name);
  }

  void graph(Writer& out) {
    if (depth_++ > kMaxGraphDepth) scan_.fail_expecting("graphs less deeply nested");
    out.add_string(proto::graph::name, scan_.name());
    list('(', ')', [&] {
      const Declaration input = declaration();
      write_declaration(Writer(out, proto::graph::input), input);
      if (scan_.accept('=')) initializer(out, input);
    });
    scan_.expect_arrow();
    list('(', ')', [&] { write_declaration(Writer(out, proto::graph::output), declaration()); });
    if (scan_.peek() == '<') {
      list('<', '>', [&] {
        const Declaration value = declaration();
        if (scan_.accept('=')) {
          initializer(out, value);
        } else {
          write_declaration(Writer(out, proto::graph::value_info), value);
        }
      });
    }
    nodes(out, proto::graph::node);
    --depth_;
  }

  void nodes(Writer& out, uint32_t field) {
    scan_.expect('{');
    while (!scan_.accept('}')) {
      Writer part(out, field);
      node(part);
    }
  }

  // Names with commas between, empty ones by "" or by nothing before a comma.
  void names(Writer& out, uint32_t field) {
    const auto one = [&] {
      const bool written = scan_.peek() == '"' || !scan_.peek_word().empty();
      if (!written && scan_.peek() != ',') return false;
      out.add_string(field, written ? scan_.name() : std::string());
      return true;
    };
    if (!one()) return;
    while (scan_.accept(',') && one()) {
    }
  }

  void node(Writer& out) {
    if (scan_.accept('[')) {
      out.add_string(proto::node::name, scan_.name());
      scan_.expect(']');
    }
    names(out, proto::node::output);
    scan_.expect('=');
    std::string domain;
    std::string op_type = scan_.name();
    for (bool first = true; scan_.accept('.'); first = false) {
      domain += first ? op_type : "." + op_type;
      op_type = scan_.name();
    }
    out.add_string(proto::node::op_type, op_type);
    out.add_string(proto::node::domain, domain);
    if (scan_.accept(':')) out.add_string(proto::node::overload, scan_.name());
    const bool before = scan_.peek() == '<';
    if (before) attributes(out);
    scan_.expect('(');
    names(out, proto::node::input);
    scan_.expect(')');
    if (!before && scan_.peek() == '<') attributes(out);
  }

  void attributes(Writer& node) {
    list('<', '>', [&] {
      Writer part(node, proto::node::attribute);
      attribute(part, scan_.name());
    });
  }

  // What follows an attribute's name.
  void attribute(Writer& out, const std::string& name) {
    out.add_string(proto::attribute::name, name);
    Kind kind = Kind::undefined;
    if (scan_.accept(':')) {
      const std::string_view word = scan_.peek_word();
      for (const auto& [known, number] : kKinds) {
        if (known == word) kind = number;
      }
      if (kind == Kind::undefined) scan_.fail_expecting("a kind of attribute, as int or floats");
      scan_.word();
    }
    scan_.expect('=');
    if (scan_.accept('@')) {
      out.add_string(proto::attribute::ref_attr_name, scan_.name());
    } else if (scan_.peek() == '[') {
      kind = value_list(out, kind);
    } else {
      const Kind found = kind_of_next(kind);
      if (kind != Kind::undefined && found != kind) scan_.fail_expecting("a value of that kind");
      kind = found;
      value(out, kind, row_of(kind).field);
    }
    out.add_int32(proto::attribute::type, static_cast<int32_t>(kind));
  }

  Kind value_list(Writer& out, Kind kind) {
    Kind element = element_of(kind);
    if (kind != Kind::undefined && element == kind) scan_.fail_expecting("one value, not a list");
    list('[', ']', [&] {
      const Kind found = kind_of_next(element);
      if (element == Kind::undefined) element = found;
      if (found != element) scan_.fail_expecting("values of one kind");
      value(out, element, row_of(element).list_field);
    });
    if (element == Kind::undefined)
      scan_.fail_expecting("the kind of an empty list, as \": ints\"");
    return row_of(element).list;
  }

  // The kind of the value that comes next, without taking it; an integer may be a float.
  Kind kind_of_next(Kind wanted) {
    if (wanted == Kind::type_proto || wanted == Kind::graph) return wanted;
    if (scan_.peek() == '"') return Kind::string;
    const std::string_view word = scan_.peek_word();
    if (begins_type(word)) return wanted == Kind::undefined ? tensor_or_type() : Kind::tensor;
    if (scan_.next_is_number()) {
      if (wanted == Kind::float_ || wanted == Kind::int_) return wanted;
      Scanner ahead = scan_;
      return ahead.number().integer ? Kind::int_ : Kind::float_;
    }
    if (word.empty()) scan_.fail_expecting("a value");
    return Kind::graph;
  }

  Kind tensor_or_type() {
    Scanner ahead = scan_;
    scan_type(ahead);
    const char next = ahead.peek();
    const bool tensor = next == '{' || next == '=' || next == '"' || !ahead.peek_word().empty();
    return tensor ? Kind::tensor : Kind::type_proto;
  }

  void value(Writer& out, Kind kind, uint32_t field) {
    switch (kind) {
      case Kind::float_:
        return out.add_float(field, scan_.to<float>(scan_.number()));
      case Kind::int_:
        return out.add_int64(field, scan_.integer());
      case Kind::string:
        return out.add_bytes(field, scan_.quoted());
      case Kind::tensor:
        return tensor(Writer(out, field));
      case Kind::type_proto:
        return type(out, field);
      default: {
        Writer part(out, field);
        graph(part);
      }
    }
  }

  void tensor(Writer out) {
    const Type type = scan_type(scan_);
    std::string name;
    if (scan_.peek() == '"' || !scan_.peek_word().empty()) name = scan_.name();
    scan_.accept('=');
    encode_tensor(out, scan_elements(scan_, type), name);
  }

  // "undefined" is a type of which nothing is known.
  void type(Writer& out, uint32_t field) {
    if (scan_.peek_word() == "undefined") {
      scan_.word();
      return out.add_message(field, "", 0);
    }
    Writer part(out, field);
    encode_type(part, scan_type(scan_));
  }

  void function(Writer& out) {
    if (scan_.accept('<')) header(out, false);
    out.add_string(proto::function::name, scan_.name());
    if (scan_.peek() == '<') {
      list('<', '>', [&] {
        const std::string name = scan_.name();
        if (scan_.peek() != ':' && scan_.peek() != '=') {
          out.add_string(proto::function::attribute, name);
          return;
        }
        Writer part(out, proto::function::attribute_proto);
        attribute(part, name);
      });
    }
    const auto values = [&](uint32_t field) {
      list('(', ')', [&] {
        const Declaration value = declaration();
        out.add_string(field, value.name);
        if (value.type.kind == Type::Kind::unknown) return;
        write_declaration(Writer(out, proto::function::value_info), value);
      });
    };
    values(proto::function::input);
    scan_.expect_arrow();
    values(proto::function::output);
    if (scan_.peek() == '<') {
      list('<', '>',
           [&] { write_declaration(Writer(out, proto::function::value_info), declaration()); });
    }
    nodes(out, proto::function::node);
  }

  Scanner scan_;
  int depth_ = 0;
};

}  // namespace

std::unique_ptr<Model> parse_text(std::string_view text, const std::string& source) {
  const std::string bytes = TextParser(text, source).model();
  return parse_onnx(std::as_bytes(std::span(bytes)), source);
}

}  // namespace tercel::ir

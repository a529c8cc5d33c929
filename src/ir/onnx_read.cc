#include <set>
#include <tuple>

#include "src/base/fail.h"
#include "src/base/mapped_file.h"
#include "src/base/shown.h"
#include "src/base/wire.h"
#include "src/ir/onnx_fields.h"
#include "src/ir/onnx_file.h"
#include "src/ir/onnx_graph.h"

namespace tercel::ir {
namespace {

std::string normalised(std::string_view domain) {
  return domain == "ai.onnx" ? std::string() : std::string(domain);
}

void read_opset(WireReader fields, std::map<std::string, int64_t>& opsets,
                const std::string& place) {
  std::string_view domain;
  int64_t version = 0;
  while (fields.next()) {
    if (fields.field() == proto::opset::domain) {
      domain = fields.name();
    } else if (fields.field() == proto::opset::version) {
      version = fields.integer();
    } else {
      fields.skip();
    }
  }
  if (version < 0) fail(Errc::invalid_file, "{}: opset version {}", place, version);
  if (!opsets.emplace(normalised(domain), version).second) {
    fail(Errc::invalid_file, "{}: the operator set \"{}\" is imported twice", place, domain);
  }
}

std::unique_ptr<Function> read_function(WireReader fields, GraphReader& graphs,
                                        const std::string& source) {
  auto function = std::make_unique<Function>();
  const WireReader all = fields;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::function::name:
        function->name = fields.name();
        break;
      case proto::function::domain:
        function->domain = normalised(fields.name());
        break;
      case proto::function::overload:
        function->overload = fields.name();
        break;
      case proto::function::doc_string:
        function->doc = fields.text();
        break;
      case proto::function::attribute:
        function->attributes.emplace_back(fields.name());
        break;
      case proto::function::opset_import:
        read_opset(fields.message(), function->opsets, source + ": a function");
        break;
      case proto::function::metadata_props:
        function->metadata.push_back(read_entry(fields.message()));
        break;
      default:
        fields.skip();
    }
  }
  if (function->name.empty()) fail(Errc::invalid_file, "{}: a function has no name", source);
  if (function->attributes.size() > kMaxAttributes) {
    fail(Errc::invalid_file, "{}: function \"{}\" has {} attributes; at most {} are read", source,
         shown(function->name), function->attributes.size(), kMaxAttributes);
  }
  const std::string place = fmt::format("{}: function \"{}\"", source, shown(function->name));
  for (fields = all; fields.next();) {
    if (fields.field() == proto::function::attribute_proto) {
      function->defaults.push_back(
          graphs.read_attribute(fields.message(), function->body, {}, place));
    } else {
      fields.skip();
    }
  }
  function->body.name = function->name;
  graphs.read_function_body(all, function->body, place);
  return function;
}

// Once, however often the file gives cause.
void warn(Model& model, std::string_view what) {
  const std::string warning = fmt::format("the model: {}", what);
  if (model.warnings.empty() || model.warnings.back() != warning) model.warnings.push_back(warning);
}

void check_version(Model& model, const std::string& source) {
  if (model.ir_version <= kIrVersion) return;
  if (model.ir_version > kIrVersion + 1) {
    fail(Errc::unsupported,
         "{}: format version {} (IR); up to {} are read: export the model for an older one, or use "
         "a newer Tercel",
         source, model.ir_version, kIrVersion + 1);
  }
  warn(model, fmt::format("format version {} (IR) is newer than {}, the newest that is known: what "
                          "it adds is left out",
                          model.ir_version, kIrVersion));
}

// All but graphs, which need the name of the model's graph in messages first.
void read_header(WireReader fields, Model& model, std::vector<WireReader>& graph,
                 std::vector<WireReader>& functions) {
  const std::string& source = fields.source().name;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::model::ir_version:
        model.ir_version = fields.integer();
        break;
      case proto::model::producer_name:
        model.producer_name = fields.name();
        break;
      case proto::model::producer_version:
        model.producer_version = fields.name();
        break;
      case proto::model::domain:
        model.domain = fields.name();
        break;
      case proto::model::model_version:
        model.model_version = fields.integer();
        break;
      case proto::model::doc_string:
        model.doc = fields.text();
        break;
      case proto::model::graph:
        graph.push_back(fields.message());
        break;
      case proto::model::opset_import:
        read_opset(fields.message(), model.opsets, source);
        break;
      case proto::model::metadata_props:
        model.metadata.push_back(read_entry(fields.message()));
        break;
      case proto::model::training_info:
        fields.skip();
        warn(model, "its training information is left out: it does not change what is computed");
        break;
      case proto::model::configuration:
        fields.skip();
        warn(model,
             "its device configurations are left out: it runs on the devices of the session");
        break;
      case proto::model::functions:
        functions.push_back(fields.message());
        break;
      default:
        fields.skip();
    }
  }
}

}  // namespace

std::unique_ptr<Model> parse_onnx(std::span<const std::byte> bytes, const std::string& source,
                                  const std::filesystem::path& folder,
                                  std::shared_ptr<const void> keep_alive) {
  const WireSource wire{source, bytes};
  auto model = std::make_unique<Model>();
  model->ir_version = 0;
  model->producer_name.clear();
  std::vector<WireReader> graph;
  std::vector<WireReader> functions;
  read_header(WireReader(wire), *model, graph, functions);
  if (graph.size() != 1 || model->ir_version < 1) {
    fail(Errc::invalid_file,
         "{}: expected an ONNX model with one graph and an IR version; the file is damaged or is "
         "not an ONNX model",
         source);
  }
  if (model->opsets.empty()) {
    if (model->ir_version >= 3) {
      fail(Errc::invalid_file, "{}: the model imports no operator set; it is damaged", source);
    }
    model->opsets[""] = 1;
  }
  check_version(*model, source);
  TensorReader tensors(wire, folder, std::move(keep_alive));
  GraphReader graphs(tensors);
  graphs.read_graph(graph.front(), model->graph, source);
  if (functions.size() > kMaxFunctions) {
    fail(Errc::invalid_file, "{}: {} functions; at most {} are read", source, functions.size(),
         kMaxFunctions);
  }
  std::set<std::tuple<std::string, std::string, std::string>> names;
  for (const WireReader& function : functions) {
    auto read = read_function(function, graphs, source);
    if (!names.emplace(read->domain, read->name, read->overload).second) {
      fail(Errc::invalid_file, "{}: two functions are named \"{}\"", source, shown(read->name));
    }
    model->functions.push_back(std::move(read));
  }
  return model;
}

std::unique_ptr<Model> read_onnx(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  return parse_onnx(file->bytes(), path.string(), folder, file);
}

}  // namespace tercel::ir

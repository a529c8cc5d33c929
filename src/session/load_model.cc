#include "src/session/load_model.h"

#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/hub/hub.h"
#include "src/ir/onnx_file.h"
#include "src/ir/verify.h"
#include "src/ops/infer.h"
#include "src/passes/adapt.h"
#include "src/passes/evaluation_mode.h"
#include "src/passes/passes.h"
#include "src/runtime/evaluate.h"

namespace tercel {

std::unique_ptr<ir::Model> read_model(const std::filesystem::path& path, const std::string& task) {
  std::error_code ignored;
  if (hub::is_checkpoint(path)) return hub::load_checkpoint(path, {.task = task});
  if (std::filesystem::is_directory(path, ignored)) {
    const auto file = path / "model.onnx";
    if (!std::filesystem::exists(file, ignored)) {
      fail(Errc::not_found,
           "{}: a directory without config.json or model.onnx; give an ONNX file or a Hugging Face "
           "checkpoint",
           path.string());
    }
    return read_model(file, task);
  }
  return in_file(path, [&] {
    auto model = ir::read_onnx(path);
    ir::verify(*model);
    return model;
  });
}

namespace {

// Constants that are computed at load. A small file must not keep a machine busy: together they
// read and write 64 MiB plus eight times what the file itself holds of constants, and the rest is
// left to the runs, which have a cap on their memory and a deadline.
class Folding {
 public:
  Folding(const Machine& machine, const ir::Graph& graph) : machine_(machine) {
    for (const ir::Value* constant : graph.initializers())
      left_ += 8 * static_cast<int64_t>(constant->initializer().bytes());
  }

  std::vector<Tensor> operator()(const ir::Node& node, const std::vector<Tensor>& inputs) {
    charge(inputs);
    if (left_ <= 0) return {};
    auto outputs = runtime::evaluate(node, inputs, machine_.isa, machine_.pool, machine_.memory);
    charge(outputs);
    return outputs;
  }

 private:
  void charge(const std::vector<Tensor>& tensors) {
    for (const Tensor& tensor : tensors) {
      if (tensor.defined()) left_ -= static_cast<int64_t>(tensor.bytes()) + kNode;
    }
  }

  static constexpr int64_t kNode = 256;
  const Machine& machine_;
  int64_t left_ = int64_t{64} << 20;
};

// What inference cannot tell of an output is still worth showing as it was declared.
void fill_in(ir::Type& type, const ir::Type& declared) {
  if (type.kind != declared.kind) return;
  if (!type.dims) type.dims = declared.dims;
  if (!type.element || !declared.element) return;
  auto element = std::make_shared<ir::Type>(*type.element);
  fill_in(*element, *declared.element);
  type.element = std::move(element);
}

}  // namespace

void prepare_model(ir::Model& model, const Machine& machine, bool optimize) {
  std::vector<ir::Type> declared;
  for (const ir::Value* output : model.graph.outputs()) declared.push_back(output->type);
  passes::use_evaluation_mode(model);
  passes::adapt_to_newest(model);
  ops::forget_declared_shapes(model.graph);
  const passes::PassContext context{Folding(machine, model.graph)};
  if (optimize) {
    passes::optimize(model, context);
  } else {
    passes::legalize(model, context);
    ops::infer_types(model);
  }
  for (std::size_t i = 0; i < declared.size(); ++i) {
    fill_in(model.graph.outputs()[i]->type, declared[i]);
  }
}

}  // namespace tercel

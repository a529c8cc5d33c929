// Scan before opset 9 ran over a batch: all of its inputs had the batch as first dimension, the
// scanned ones their sequence as the second. Now a Scan over the batch holds one over the sequence.

#include "src/base/fail.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
namespace {

std::shared_ptr<ir::Graph> one_of_the_batch(const ir::Node& node, int inputs) {
  const ir::Graph* body = node.subgraph("body");
  if (body == nullptr) fail(Errc::invalid_file, "{} needs the attribute \"body\"", node.label());
  auto outer = std::make_shared<ir::Graph>("batch", &node.graph());
  auto inner = std::make_shared<ir::Graph>(body->name, outer.get());
  body->clone_into(*inner);
  std::vector<ir::Value*> values;
  for (int i = 0; i < inputs; ++i) values.push_back(outer->add_input({}, {}));
  ir::Builder b(*outer);
  ir::Node* scan =
      b.node("Scan", values, node.num_outputs(),
             {{"body", std::move(inner)}, {"num_scan_inputs", node.int_or("num_scan_inputs", 0)}});
  const auto directions = node.ints_or("directions", {});
  if (!directions.empty()) scan->set_attribute("scan_input_directions", directions);
  for (int i = 0; i < scan->num_outputs(); ++i) outer->add_output(scan->output(i));
  return outer;
}

}  // namespace

void adapt_scan_batch(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  if (node.input(0) != nullptr) {
    fail(Errc::unsupported,
         "{} has lengths of its sequences, which Scan lost with opset 9; convert the model with "
         "onnx.version_converter, or export it again",
         node.label());
  }
  const int inputs = node.num_inputs() - 1;
  auto outer = one_of_the_batch(node, inputs);
  for (int i = 0; i < inputs; ++i) node.set_input(i, node.input(i + 1));
  node.set_input(inputs, nullptr);
  node.remove_trailing_inputs();
  node.remove_attribute("directions");
  node.set_attribute("body", std::move(outer));
  node.set_attribute("num_scan_inputs", int64_t{inputs});
}

}  // namespace tercel::passes

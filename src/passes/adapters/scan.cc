// Scan before opset 9 ran over a batch: all of its inputs had the batch as first dimension, the
// scanned ones their sequence as the second, and how long each sequence is could be said. Now a
// Scan over the batch holds one over the sequence.

#include <algorithm>

#include "src/base/fail.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
namespace {

std::shared_ptr<ir::Graph> one_of_the_batch(const ir::Node& node, int inputs, bool ragged) {
  const ir::Graph* body = node.subgraph("body");
  if (body == nullptr) fail(Errc::invalid_file, "{} needs the attribute \"body\"", node.label());
  auto outer = std::make_shared<ir::Graph>("batch", &node.graph());
  auto inner = std::make_shared<ir::Graph>(body->name, outer.get());
  body->clone_into(*inner);
  std::vector<ir::Value*> values;
  for (int i = 0; i < inputs; ++i) values.push_back(outer->add_input({}, {}));
  ir::Builder b(*outer);
  // Of sequences that are shorter than the longest one, the first elements alone are scanned.
  const auto states = static_cast<std::size_t>(
      std::clamp<int64_t>(inputs - node.int_or("num_scan_inputs", 0), 0, inputs));
  ir::Value* longest = nullptr;
  ir::Value* length = nullptr;
  if (ragged && states < values.size()) {
    longest = b.op("Shape", {values[states]}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    length = b.op("Reshape", {outer->add_input({}, {}), b.ints({1})});
    length = b.op("Max", {b.op("Min", {length, longest}), b.ints({0})});
    for (std::size_t i = states; i < values.size(); ++i)
      values[i] = b.op("Slice", {values[i], b.ints({0}), length, b.ints({0})});
  }
  ir::Node* scan =
      b.node("Scan", values, node.num_outputs(),
             {{"body", std::move(inner)}, {"num_scan_inputs", node.int_or("num_scan_inputs", 0)}});
  const auto directions = node.ints_or("directions", {});
  if (!directions.empty()) scan->set_attribute("scan_input_directions", directions);
  for (int i = 0; i < scan->num_outputs(); ++i) {
    ir::Value* output = scan->output(i);
    if (length != nullptr && static_cast<std::size_t>(i) >= states) {  // zeros behind the end
      ir::Value* pads =
          b.op("Concat", {b.ints({0}), b.sub(longest, length)}, {{"axis", int64_t{0}}});
      output = b.op("Pad", {output, pads, nullptr, b.ints({0})});
    }
    outer->add_output(output);
  }
  return outer;
}

}  // namespace

void adapt_scan_batch(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  const int inputs = node.num_inputs() - 1;
  ir::Value* lengths = node.input(0);
  if (lengths != nullptr && node.int_or("num_scan_inputs", 0) < 1)
    fail(Errc::invalid_file, "{} scans nothing, but has lengths of it", node.label());
  auto outer = one_of_the_batch(node, inputs, lengths != nullptr);
  for (int i = 0; i < inputs; ++i) node.set_input(i, node.input(i + 1));
  node.set_input(inputs, lengths);
  node.remove_trailing_inputs();
  node.remove_attribute("directions");
  node.set_attribute("body", std::move(outer));
  node.set_attribute("num_scan_inputs", int64_t{inputs} + (lengths != nullptr ? 1 : 0));
}

}  // namespace tercel::passes

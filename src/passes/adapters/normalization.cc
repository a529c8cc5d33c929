// Operators that normalise, whose meaning changed.

#include "src/base/fail.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
namespace {

bool is_last_axis(const Adaptation& adaptation, int64_t axis) {
  if (axis == -1) return true;
  const ir::Value* input = adaptation.node.input(0);
  const ir::Type* type = input != nullptr ? adaptation.facts.type(input) : nullptr;
  return type != nullptr && type->dims &&
         (axis < 0 ? axis + type->rank() : axis) == type->rank() - 1;
}

// [groups] to [channels], each element repeated for the channels of its group.
ir::Value* by_channel(ir::Builder& b, const Adaptation& adaptation, ir::Value* by_group,
                      ir::Value* repeats) {
  ir::Value* column = b.op("Unsqueeze", {by_group, adaptation.ints({1})});
  ir::Value* table = b.op("Expand", {column, repeats});
  return b.op("Reshape", {table, adaptation.ints({-1})});
}

}  // namespace

// Before opset 13 all dimensions from the axis on were normalised together.
void adapt_flattening(const Adaptation& adaptation) {
  adaptation.require_value("axis");
  ir::Node& node = adaptation.node;
  const int64_t axis = node.int_or("axis", 1);
  node.set_attribute("axis", int64_t{-1});
  if (is_last_axis(adaptation, axis)) return;

  ir::Builder before = adaptation.builder();
  ir::Value* input = node.input(0);
  ir::Value* shape = before.op("Shape", {input});
  node.set_input(0, before.op("Flatten", {input}, {{"axis", axis}}));

  ir::Builder after = adaptation.builder_after();
  ir::Node* reshape = after.node("Reshape", {shape, shape}, 1, {{"allowzero", int64_t{1}}});
  node.graph().replace_uses(node.output(), reshape->output());
  reshape->set_input(0, node.output());
  // What was declared is not flattened.
  const ir::Type unknown;
  reshape->output()->type = node.output()->type;
  node.output()->type = unknown;
}

// With spatial = 0 each feature had statistics of its own, of shape [C, D1, …]: what is computed
// from them broadcasts over the batch.
void adapt_batch_statistics(const Adaptation& adaptation) {
  adaptation.require_value("spatial");
  adaptation.require_value("epsilon");
  ir::Node& node = adaptation.node;
  const bool spatial = node.int_or("spatial", 1) != 0;
  node.remove_attribute("spatial");
  if (spatial) return;
  adapt_batch_normalization(adaptation);
  ir::Builder b = adaptation.builder();
  ir::Value* x = node.input(0);
  ir::Value* epsilon =
      adaptation.like(adaptation.constant(Tensor::scalar(node.float_or("epsilon", 1e-5F))), x);
  ir::Value* deviation = b.op("Sqrt", {b.add(node.input(4), epsilon)});
  ir::Value* normalized = b.div(b.sub(x, node.input(3)), deviation);
  ir::Value* scaled = b.mul(normalized, node.input(1));
  ir::Value* bias = node.input(2);
  for (int i = node.num_inputs() - 1; i > 1; --i) node.set_input(i, nullptr);
  node.remove_trailing_inputs();
  while (!node.attributes().empty()) node.remove_attribute(node.attributes()[0].name);
  node.become("Add");
  node.set_input(0, scaled);
  node.set_input(1, bias);
}

void adapt_batch_normalization(const Adaptation& adaptation) {
  for (int i = 1; i < adaptation.node.num_outputs(); ++i) {
    if (adaptation.node.output(i) == nullptr) continue;
    fail(Errc::unsupported,
         "{} gives its running statistics, as a model in training does; export the model for "
         "inference",
         adaptation.node.label());
  }
}

// Before opset 21 there was one scale and bias a group, now there is one a channel.
void adapt_group_normalization(const Adaptation& adaptation) {
  adaptation.require_value("num_groups");
  ir::Node& node = adaptation.node;
  ir::Builder b = adaptation.builder();
  ir::Value* channels =
      b.op("Shape", {node.input(0)}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
  ir::Value* groups = adaptation.ints({node.int_or("num_groups", 1)});
  ir::Value* repeats =
      b.op("Concat", {adaptation.ints({1}), b.div(channels, groups)}, {{"axis", int64_t{0}}});
  node.set_input(1, by_channel(b, adaptation, node.input(1), repeats));
  node.set_input(2, by_channel(b, adaptation, node.input(2), repeats));
}

}  // namespace tercel::passes

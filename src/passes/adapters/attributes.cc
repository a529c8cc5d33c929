// Attributes that became inputs, and defaults that changed.

#include "src/base/fail.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
void adapt_axes_to_input(const Adaptation& adaptation) {
  if (ir::Value* axes = adaptation.taken("axes")) adaptation.node.set_input(1, axes);
}

void adapt_split_to_input(const Adaptation& adaptation) {
  if (ir::Value* split = adaptation.taken("split")) adaptation.node.set_input(1, split);
}

void adapt_split_count(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  if (node.input(1) == nullptr)
    node.set_attribute("num_outputs", static_cast<int64_t>(node.num_outputs()));
}

void adapt_clip(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  for (const int index : {1, 2}) {
    ir::Value* bound = adaptation.taken(index == 1 ? "min" : "max");
    if (bound != nullptr) node.set_input(index, adaptation.like(bound, node.input(0)));
  }
}

void adapt_pad(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  node.set_input(1, adaptation.taken("pads"));
  if (ir::Value* value = adaptation.taken("value"))
    node.set_input(2, adaptation.like(value, node.input(0)));
}

void adapt_slice(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  node.set_input(1, adaptation.taken("starts"));
  node.set_input(2, adaptation.taken("ends"));
  if (ir::Value* axes = adaptation.taken("axes")) node.set_input(3, axes);
}

void adapt_top_k(const Adaptation& adaptation) {
  ir::Value* count = adaptation.taken("k");
  if (count == nullptr)
    fail(Errc::invalid_file, "{} needs the attribute \"k\"", adaptation.node.label());
  adaptation.node.set_input(1, adaptation.builder().op("Reshape", {count, adaptation.ints({1})}));
}

// Negative indices did not count from the end: they gave a row of the off value, as those do that
// are too large.
void adapt_one_hot(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  ir::Builder b = adaptation.builder();
  ir::Value* indices = node.input(0);
  ir::Value* depth = b.op("Reshape", {node.input(1), adaptation.ints({})});
  ir::Value* zero = adaptation.like(adaptation.constant(Tensor::scalar(int64_t{0})), indices);
  ir::Value* beyond = adaptation.like(depth, indices);
  node.set_input(0, b.op("Where", {b.op("Less", {indices, zero}), beyond, indices}));
}

void adapt_scatter(const Adaptation& adaptation) { adaptation.node.become("ScatterElements"); }

// The mask had the type of the data.
void adapt_dropout_mask(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  ir::Value* mask = node.output(1);
  if (mask == nullptr) return;
  ir::Builder after = adaptation.builder_after();
  ir::Node* cast = after.node("CastLike", {node.input(0), node.input(0)}, 1);
  node.graph().replace_uses(mask, cast->output());
  cast->set_input(0, mask);
  cast->output()->type = mask->type;
  mask->type = ir::Type{};
}

void adapt_dropout(const Adaptation& adaptation) {
  adaptation.require_value("ratio");
  ir::Node& node = adaptation.node;
  const float ratio = node.float_or("ratio", 0.5F);
  node.remove_attribute("ratio");
  node.set_input(1, adaptation.constant(Tensor::scalar(ratio)));
}

void adapt_roi_align(const Adaptation& adaptation) {
  adaptation.node.set_attribute("coordinate_transformation_mode", std::string("output_half_pixel"));
}

void adapt_grid_sample(const Adaptation& adaptation) {
  adaptation.require_value("mode");
  const std::string mode = adaptation.node.string_or("mode", "bilinear");
  if (mode == "bilinear") adaptation.node.set_attribute("mode", std::string("linear"));
  if (mode == "bicubic") adaptation.node.set_attribute("mode", std::string("cubic"));
}

void adapt_dft(const Adaptation& adaptation) {
  adaptation.require_value("axis");
  const int64_t axis = adaptation.node.int_or("axis", 1);
  adaptation.node.remove_attribute("axis");
  if (adaptation.node.num_inputs() < 2) adaptation.node.set_input(1, nullptr);
  adaptation.node.set_input(2, adaptation.constant(Tensor::scalar(axis)));
}

}  // namespace tercel::passes

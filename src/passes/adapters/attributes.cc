// Attributes that became inputs, and defaults that changed.

#include "src/base/fail.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
namespace {

// The integers of an attribute, as a value; null when the node does not have it.
ir::Value* taken_ints(const Adaptation& adaptation, std::string_view name) {
  const ir::Attribute* attribute = adaptation.node.find_attribute(name);
  if (attribute == nullptr) return nullptr;
  ir::Value* value = nullptr;
  if (attribute->ref.empty()) {
    value = adaptation.ints(adaptation.node.ints_or(name, {}));
  } else {
    ir::Attribute reference = *attribute;
    reference.name = "value_ints";
    ir::Builder builder = adaptation.builder();
    ir::Node* constant = builder.node("Constant", {}, 1);
    constant->add_attribute(std::move(reference));
    value = constant->output();
  }
  adaptation.node.remove_attribute(name);
  return value;
}

}  // namespace

void adapt_axes_to_input(const Adaptation& adaptation) {
  if (ir::Value* axes = taken_ints(adaptation, "axes")) adaptation.node.set_input(1, axes);
}

void adapt_split_to_input(const Adaptation& adaptation) {
  if (ir::Value* split = taken_ints(adaptation, "split")) adaptation.node.set_input(1, split);
}

void adapt_split_count(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  if (node.input(1) == nullptr)
    node.set_attribute("num_outputs", static_cast<int64_t>(node.num_outputs()));
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

// Resize, and Upsample, which it replaced.

#include <algorithm>

#include "src/base/fail.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
namespace {

bool is_empty_constant(const ir::Value* value) {
  return value != nullptr && value->is_constant() && value->initializer().size() == 0;
}

// Where all factors are known and none enlarges.
bool shrinks(const ir::Value* scales) {
  if (!scales->is_constant() || scales->initializer().dtype() != Dtype::f32) return false;
  const auto factors = scales->initializer().values<float>();
  return std::all_of(factors.begin(), factors.end(), [](float f) { return f <= 1; }) &&
         std::any_of(factors.begin(), factors.end(), [](float f) { return f < 1; });
}

// Coordinates were multiplied alone. What nearest meant was not said; runtimes took the element
// before when they enlarged, and the one behind when they shrank.
void resize_by(const Adaptation& adaptation, ir::Value* scales) {
  ir::Node& node = adaptation.node;
  node.set_input(1, nullptr);
  node.set_input(2, scales);
  node.set_attribute("coordinate_transformation_mode", std::string("asymmetric"));
  node.set_attribute("nearest_mode", std::string(shrinks(scales) ? "ceil" : "floor"));
}

}  // namespace

void adapt_upsample_scales(const Adaptation& adaptation) {
  adaptation.node.set_input(1, adaptation.taken("scales"));
}

void adapt_upsample(const Adaptation& adaptation) {
  ir::Value* scales = adaptation.node.input(1);
  if (scales == nullptr) fail(Errc::invalid_file, "{} has no scales", adaptation.node.label());
  adaptation.node.become("Resize");
  resize_by(adaptation, scales);
}

void adapt_resize_inputs(const Adaptation& adaptation) {
  ir::Value* scales = adaptation.node.input(1);
  if (scales == nullptr) fail(Errc::invalid_file, "{} has no scales", adaptation.node.label());
  resize_by(adaptation, scales);
}

// What was left out had to be an empty tensor.
void adapt_resize_empty(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  for (const int index : {1, 2}) {
    if (is_empty_constant(node.input(index))) node.set_input(index, nullptr);
  }
  adaptation.require_value("coordinate_transformation_mode");
  if (node.string_or("coordinate_transformation_mode", "half_pixel") != "tf_half_pixel_for_nn")
    return;
  // Half a pixel more than half_pixel, which another way of rounding takes back, mostly.
  adaptation.require_value("nearest_mode");
  const std::string nearest = node.string_or("nearest_mode", "round_prefer_floor");
  if (node.string_or("mode", "nearest") != "nearest" ||
      (nearest != "floor" && nearest != "round_prefer_floor")) {
    return;
  }
  node.set_attribute("coordinate_transformation_mode", std::string("half_pixel"));
  node.set_attribute("nearest_mode",
                     std::string(nearest == "floor" ? "round_prefer_ceil" : "ceil"));
}

}  // namespace tercel::passes

#pragma once
// The architectures: one row each, in models.cc. docs/ADDING_A_MODEL.md tells how to add one.

#include <span>
#include <string_view>

#include "src/hub/models/common.h"

namespace tercel::hub {

struct Architecture {
  std::string_view model_type;  // config.json's "model_type"
  std::string_view class_name;  // how its classes begin: "Bert" of "BertModel"
  // Adds inputs, nodes and outputs of the checkpoint's task to an empty graph.
  void (*build)(Net& net);
};

std::span<const Architecture> architectures();

// By "model_type", or by the class's name where old files have no type. Throws Errc::unsupported,
// with the list of those there are.
const Architecture& find_architecture(const Checkpoint& checkpoint);

}  // namespace tercel::hub

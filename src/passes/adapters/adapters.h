#pragma once
// The steps by which operators changed between opsets: one adapter an operator and version.

#include <span>
#include <string_view>
#include <vector>

#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace tercel::passes {

// One node to adapt, and what is known of the values before it.
struct Adaptation {
  ir::Node& node;
  const ops::Facts& facts;
  bool in_function;  // constants are nodes there: a function has no initializers

  // Adds nodes before the one that is adapted.
  ir::Builder builder() const { return ir::Builder(node.graph(), &node); }
  ir::Value* constant(Tensor tensor) const;
  ir::Value* ints(const std::vector<int64_t>& values) const;
  // Throws Errc::unsupported when the attribute is a function's parameter, whose value is not
  // known.
  void require_value(std::string_view attribute) const;
};

struct Adapter {
  std::string_view op_type;
  int64_t below;  // applies to models of an older opset; rows of one operator go upwards
  void (*adapt)(const Adaptation& adaptation);
};

std::span<const Adapter> adapters();

void adapt_axes_to_input(const Adaptation& adaptation);   // Squeeze, Unsqueeze, Reduce*
void adapt_split_to_input(const Adaptation& adaptation);  // Split 13
void adapt_split_count(const Adaptation& adaptation);     // Split 18
void adapt_flattening(const Adaptation& adaptation);      // Softmax, LogSoftmax, Hardmax 13
void adapt_dropout(const Adaptation& adaptation);
void adapt_batch_normalization(const Adaptation& adaptation);
void adapt_group_normalization(const Adaptation& adaptation);
void adapt_roi_align(const Adaptation& adaptation);
void adapt_grid_sample(const Adaptation& adaptation);
void adapt_dft(const Adaptation& adaptation);

}  // namespace tercel::passes

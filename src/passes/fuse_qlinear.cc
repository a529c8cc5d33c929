#include <algorithm>

#include "src/passes/linear_bytes.h"
#include "src/passes/own_functions.h"
#include "src/passes/pass_list.h"
#include "src/passes/quantized_functions.h"

namespace tercel::passes {
namespace {

class OnBytes {
 public:
  OnBytes(ir::Node& quantize, const ops::Facts& facts)
      : quantize_(quantize), facts_(facts), b_(quantize.graph(), &quantize) {}

  bool run() {
    const auto result = quantized_result(quantize_, facts_);
    if (!result) return false;
    ir::Node* node = result->value->producer();
    ir::Value* bytes = nullptr;
    if (result->bounded && dequantized_bytes(result->value, facts_) != nullptr) {
      bytes = as_it_is(*node);
    } else if (node != nullptr && used_once(result->value)) {
      if (node->is("Add")) bytes = added(*node);
      if (node->is("MaxPool") || node->is("Concat")) bytes = moved(*node);
    }
    if (bytes == nullptr) return false;
    const Linear linear = linear_of(quantize_, dtype_of(quantize_.output(), facts_), b_);
    put_bytes(quantize_, bytes, *result, linear, b_);
    return true;
  }

 private:
  // A Relu or Clip alone.
  ir::Value* as_it_is(ir::Node& dequantize) {
    return same_linear(dequantize, quantize_, facts_) ? dequantize.input(0) : nullptr;
  }

  ir::Value* added(const ir::Node& add) {
    const ir::Node* x = dequantized_bytes(add.input(0), facts_);
    const ir::Node* y = dequantized_bytes(add.input(1), facts_);
    if (x == nullptr || y == nullptr || !same_dims(add.input(0), add.input(1), facts_))
      return nullptr;
    std::vector<ir::Value*> inputs;
    for (const ir::Node* node : {x, y}) {
      const Linear linear = linear_of(*node, dtype_of(node->input(0), facts_), b_);
      inputs.insert(inputs.end(), {node->input(0), linear.scale, linear.zero});
    }
    const Linear sum = linear_of(quantize_, dtype_of(quantize_.output(), facts_), b_);
    inputs.insert(inputs.end(), {sum.scale, sum.zero});
    return b_.op(kLinearAdd, std::move(inputs), {}, kOwnDomain);
  }

  // What only moves or compares elements, all of one scale. Those of a Concat may be rounded before
  // as well as behind.
  ir::Value* moved(const ir::Node& node) {
    if (node.output(1) != nullptr) return nullptr;
    const auto fits = [&](const ir::Value* input) {
      const ir::Node* x = dequantized_bytes(input, facts_);
      return x != nullptr && (node.is("Concat") || same_linear(*x, quantize_, facts_));
    };
    if (!std::all_of(node.inputs().begin(), node.inputs().end(), fits)) return nullptr;
    const Linear linear = linear_of(quantize_, dtype_of(quantize_.output(), facts_), b_);
    std::vector<ir::Value*> inputs;
    for (ir::Value* input : node.inputs()) {
      const ir::Node& x = *dequantized_bytes(input, facts_);
      inputs.push_back(same_linear(x, quantize_, facts_)
                           ? x.input(0)
                           : b_.op("QuantizeLinear", {input, linear.scale, linear.zero}));
    }
    std::vector<ir::Builder::Attr> attributes;
    for (const ir::Attribute& attribute : node.attributes())
      attributes.push_back({attribute.name, attribute.data});
    return b_.op(node.op_type(), std::move(inputs), std::move(attributes));
  }

  ir::Node& quantize_;
  const ops::Facts& facts_;
  ir::Builder b_;
};

}  // namespace

bool fuse_qlinear(ir::Model& model, const PassContext& context) {
  const bool changed = rewrite_quantizing(
      model, context,
      [](ir::Node& quantize, const ops::Facts& facts) { return OnBytes(quantize, facts).run(); });
  if (changed) add_quantized_functions(model);
  return changed;
}

}  // namespace tercel::passes

#include "src/ir/builder.h"

namespace tercel::ir {

Node* Builder::node(std::string op_type, std::vector<Value*> inputs, int outputs,
                    std::vector<Attr> attributes, std::string domain) {
  Node* added = graph_.add_node(std::move(op_type), std::move(inputs), std::move(domain), before_);
  added->remove_trailing_inputs();
  for (Attr& attribute : attributes)
    added->set_attribute(std::move(attribute.name), std::move(attribute.data));
  if (!scope_.empty()) added->name = graph_.unique_name(scope_ + added->op_type());
  for (int i = 0; i < outputs; ++i) added->add_output(added->name);
  return added;
}

Value* Builder::op(std::string op_type, std::vector<Value*> inputs, std::vector<Attr> attributes,
                   std::string domain) {
  return node(std::move(op_type), std::move(inputs), 1, std::move(attributes), std::move(domain))
      ->output();
}

Value* Builder::constant(Tensor tensor, std::string name) {
  return graph_.add_initializer(std::move(name), std::move(tensor));
}

Value* Builder::ints(std::vector<int64_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  return constant(Tensor::from(values, {count}));
}

Value* Builder::cast(Value* x, Dtype to) {
  return op("Cast", {x}, {{"to", static_cast<int64_t>(to)}});
}

Value* Builder::transpose(Value* x, std::vector<int64_t> perm) {
  return op("Transpose", {x}, {{"perm", std::move(perm)}});
}

Value* Builder::reshape(Value* x, std::vector<int64_t> shape) {
  return op("Reshape", {x, ints(std::move(shape))});
}

Value* Builder::unsqueeze(Value* x, std::vector<int64_t> axes) {
  return op("Unsqueeze", {x, ints(std::move(axes))});
}

}  // namespace tercel::ir

// The activations of transformers, by the names that config.json gives them.

#include "src/base/fail.h"
#include "src/hub/models/common.h"

namespace tercel::hub {
namespace {

using ir::Value;

Value* unary(Net& net, Value* x, std::string_view op) { return net.b.op(std::string(op), {x}); }

Value* gelu(Net& net, Value* x) { return unary(net, x, "Gelu"); }
Value* gelu_tanh(Net& net, Value* x) {
  return net.b.op("Gelu", {x}, {{"approximate", std::string("tanh")}});
}
Value* quick_gelu(Net& net, Value* x) {
  return net.b.mul(x, unary(net, net.b.mul(x, net.b.scalar(1.702F)), "Sigmoid"));
}
Value* silu(Net& net, Value* x) { return net.b.mul(x, unary(net, x, "Sigmoid")); }
Value* relu(Net& net, Value* x) { return unary(net, x, "Relu"); }
Value* relu2(Net& net, Value* x) {
  Value* positive = relu(net, x);
  return net.b.mul(positive, positive);
}
Value* relu6(Net& net, Value* x) {
  return net.b.op("Clip", {x, net.b.scalar(0.0F), net.b.scalar(6.0F)});
}
Value* mish(Net& net, Value* x) {
  return net.b.mul(x, unary(net, unary(net, x, "Softplus"), "Tanh"));
}
Value* sigmoid(Net& net, Value* x) { return unary(net, x, "Sigmoid"); }
Value* tanh(Net& net, Value* x) { return unary(net, x, "Tanh"); }
Value* linear(Net&, Value* x) { return x; }

struct ActivationRow {
  std::string_view name;
  Value* (*build)(Net&, Value*);
};

constexpr ActivationRow kActivations[] = {
    {"gelu", gelu},
    {"gelu_python", gelu},
    {"gelu_new", gelu_tanh},
    {"gelu_fast", gelu_tanh},
    {"gelu_accurate", gelu_tanh},
    {"gelu_pytorch_tanh", gelu_tanh},
    {"gelu_python_tanh", gelu_tanh},
    {"quick_gelu", quick_gelu},
    {"silu", silu},
    {"swish", silu},
    {"relu", relu},
    {"relu2", relu2},
    {"relu6", relu6},
    {"mish", mish},
    {"sigmoid", sigmoid},
    {"tanh", tanh},
    {"linear", linear},
};

}  // namespace

Value* Net::activation(Value* x, std::string_view name) {
  std::string known;
  for (const ActivationRow& row : kActivations) {
    if (row.name == name) return row.build(*this, x);
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  fail(Errc::unsupported, "{}: activation \"{}\"; supported are {}", config_path(), name, known);
}

}  // namespace tercel::hub

#include "src/session/info.h"

#include <unordered_map>

#include "src/base/fail.h"

namespace tercel {

TensorInfo describe(const ir::Value& value) {
  const bool tensor = value.type.kind == ir::Type::Kind::tensor;
  TensorInfo info{value.name(), tensor ? value.type.dtype : Dtype::undefined, std::nullopt,
                  ir::to_string(value.type)};
  if (value.type.dims) {
    info.shape.emplace();
    for (const ir::Dim& dim : *value.type.dims) info.shape->push_back(ir::to_string(dim));
  }
  return info;
}

std::vector<TensorInfo> describe(std::span<ir::Value* const> values) {
  std::vector<TensorInfo> infos;
  infos.reserve(values.size());
  for (const ir::Value* value : values) infos.push_back(describe(*value));
  return infos;
}

bool may_be_missing(const ir::Value& input) { return input.type.kind == ir::Type::Kind::optional; }

namespace {

// `name` is that of the input: "input \"x\"", "input \"x\": item 3".
void check_value(const std::string& name, const ir::Type& type, const Tensor& tensor);

void check_sequence(const std::string& name, const ir::Type& type, const Tensor& tensor) {
  if (!tensor.is_sequence()) {
    fail(Errc::invalid_argument, "{} is a tensor of {}; the model expects a sequence, {}", name,
         to_string(tensor.dtype()), ir::to_string(type));
  }
  if (type.element == nullptr) return;
  for (std::size_t i = 0; i < tensor.items().size(); ++i)
    check_value(fmt::format("{}: item {}", name, i), *type.element, tensor.items()[i]);
}

void check_value(const std::string& name, const ir::Type& type, const Tensor& tensor) {
  if (type.kind == ir::Type::Kind::optional && type.element != nullptr) {
    if (tensor.defined()) check_value(name, *type.element, tensor);
    return;
  }
  if (!tensor.defined()) fail(Errc::invalid_argument, "{} is an undefined tensor", name);
  if (type.kind == ir::Type::Kind::sequence) return check_sequence(name, type, tensor);
  if (type.kind != ir::Type::Kind::tensor) {
    fail(Errc::unsupported, "{} is of type {}; tensors, sequences and optional values can be given",
         name, ir::to_string(type));
  }
  if (tensor.dtype() != type.dtype) {
    fail(Errc::invalid_argument, "{} has element type {}; the model expects {}", name,
         to_string(tensor.dtype()), to_string(type.dtype));
  }
  if (!type.dims) return;
  bool fits = tensor.shape().size() == type.dims->size();
  for (std::size_t i = 0; fits && i < tensor.shape().size(); ++i) {
    const ir::Dim& dim = (*type.dims)[i];
    fits = !dim.known() || dim.value() == tensor.shape()[i];
  }
  if (!fits) {
    fail(Errc::invalid_argument, "{} has shape {}; the model expects {}", name,
         to_string(tensor.shape()), ir::to_string(*type.dims));
  }
}

}  // namespace

void check_input(const ir::Value& input, const Tensor& tensor) {
  check_value(fmt::format("input \"{}\"", input.name()), input.type, tensor);
}

void check_symbols(std::span<ir::Value* const> inputs, const std::vector<Tensor>& tensors) {
  std::unordered_map<std::string_view, std::pair<int64_t, const ir::Value*>> sizes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->type.kind != ir::Type::Kind::tensor || !inputs[i]->type.dims) continue;
    for (std::size_t d = 0; d < inputs[i]->type.dims->size(); ++d) {
      const ir::Dim& dim = (*inputs[i]->type.dims)[d];
      if (!dim.symbolic()) continue;
      const int64_t size = tensors[i].shape()[d];
      const auto [found, added] = sizes.emplace(dim.symbol(), std::pair{size, inputs[i]});
      if (!added && found->second.first != size) {
        fail(Errc::invalid_argument,
             "dimension \"{}\" is {} in input \"{}\" and {} in input \"{}\"; it must agree",
             dim.symbol(), found->second.first, found->second.second->name(), size,
             inputs[i]->name());
      }
    }
  }
}

std::string names_of(std::span<ir::Value* const> values) {
  std::string names;
  for (const ir::Value* value : values) names += (names.empty() ? "" : ", ") + value->name();
  return names;
}

}  // namespace tercel

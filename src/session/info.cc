#include "src/session/info.h"

#include <unordered_map>

#include "src/base/fail.h"

namespace tercel {

TensorInfo describe(const ir::Value& value) {
  TensorInfo info{value.name(), value.type.dtype, std::nullopt};
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

void check_input(const ir::Value& input, const Tensor& tensor) {
  const ir::Type& type = input.type;
  if (type.kind != ir::Type::Kind::tensor) {
    fail(Errc::unsupported, "input \"{}\" is of type {}; only tensors can be given", input.name(),
         ir::to_string(type));
  }
  if (!tensor.defined())
    fail(Errc::invalid_argument, "input \"{}\" is an undefined tensor", input.name());
  if (tensor.dtype() != type.dtype) {
    fail(Errc::invalid_argument, "input \"{}\" has element type {}; the model expects {}",
         input.name(), to_string(tensor.dtype()), to_string(type.dtype));
  }
  if (!type.dims) return;
  bool fits = tensor.shape().size() == type.dims->size();
  for (std::size_t i = 0; fits && i < tensor.shape().size(); ++i) {
    const ir::Dim& dim = (*type.dims)[i];
    fits = !dim.known() || dim.value() == tensor.shape()[i];
  }
  if (!fits) {
    fail(Errc::invalid_argument, "input \"{}\" has shape {}; the model expects {}", input.name(),
         to_string(tensor.shape()), ir::to_string(*type.dims));
  }
}

void check_symbols(std::span<ir::Value* const> inputs, const std::vector<Tensor>& tensors) {
  std::unordered_map<std::string_view, std::pair<int64_t, const ir::Value*>> sizes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]->type.dims) continue;
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

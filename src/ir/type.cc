#include "src/ir/type.h"

namespace tercel::ir {

std::string to_string(const Dim& dim) {
  if (dim.known()) return std::to_string(dim.value());
  return dim.symbolic() ? dim.symbol() : "?";
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += to_string(dims[i]);
  }
  return text + ']';
}

Dims to_dims(const Shape& shape) { return {shape.begin(), shape.end()}; }

std::optional<Shape> to_shape(const Dims& dims) {
  Shape shape;
  shape.reserve(dims.size());
  for (const Dim& dim : dims) {
    if (!dim.known()) return std::nullopt;
    shape.push_back(dim.value());
  }
  return shape;
}

std::string to_string(const Type& type) {
  const std::string element = type.element ? to_string(*type.element) : "?";
  switch (type.kind) {
    case Type::Kind::unknown:
      return "?";
    case Type::Kind::sequence:
      return "seq(" + element + ")";
    case Type::Kind::optional:
      return "optional(" + element + ")";
    case Type::Kind::map:
      return "map(" + std::string(onnx_name(type.dtype)) + ", " + element + ")";
    case Type::Kind::tensor:
    case Type::Kind::sparse_tensor:
      break;
  }
  std::string text(onnx_name(type.dtype));
  if (type.dims && !type.dims->empty()) text += to_string(*type.dims);
  if (!type.dims) text += "[...]";
  return type.kind == Type::Kind::tensor ? text : "sparse_tensor(" + text + ")";
}

}  // namespace tercel::ir

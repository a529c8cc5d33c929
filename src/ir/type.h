#pragma once
// Types of values: ONNX's TypeProto. Dimensions may be known, symbolic ("batch"), or unknown.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/tensor.h"

namespace tercel::ir {

class Dim {
 public:
  Dim() = default;                       // unknown
  Dim(int64_t value) : value_(value) {}  // NOLINT: a number is a dimension
  explicit Dim(std::string symbol) : symbol_(std::move(symbol)) {}  // named, equal to itself
  bool known() const { return value_ >= 0; }
  bool symbolic() const { return !symbol_.empty(); }
  int64_t value() const { return value_; }  // -1 unless known()
  const std::string& symbol() const { return symbol_; }
  // Certainly equal: the same number or the same symbol. Two unknown dimensions are not.
  bool equals(const Dim& other) const {
    return known() ? value_ == other.value_ : symbolic() && symbol_ == other.symbol_;
  }
  bool operator==(const Dim& other) const = default;  // the same description

 private:
  int64_t value_ = -1;
  std::string symbol_;
};

using Dims = std::vector<Dim>;

std::string to_string(const Dim& dim);    // "128", "batch", "?"
std::string to_string(const Dims& dims);  // "[batch,128]"
Dims to_dims(const Shape& shape);
std::optional<Shape> to_shape(const Dims& dims);  // nothing unless all are known

struct Type {
  enum class Kind { unknown, tensor, sparse_tensor, sequence, optional, map };

  Kind kind = Kind::unknown;
  Dtype dtype = Dtype::undefined;       // elements of a tensor, keys of a map
  std::optional<Dims> dims;             // of a tensor; nothing: the rank is unknown
  std::shared_ptr<const Type> element;  // of a sequence, an optional; values of a map

  static Type tensor(Dtype dtype) { return {Kind::tensor, dtype, std::nullopt, nullptr}; }
  static Type tensor(Dtype dtype, Dims dims) {
    return {Kind::tensor, dtype, std::move(dims), nullptr};
  }

  bool has_rank() const { return dims.has_value(); }
  int rank() const { return static_cast<int>(dims->size()); }
  // The shape when every dimension is known.
  std::optional<Shape> shape() const { return dims ? to_shape(*dims) : std::nullopt; }
};

std::string to_string(const Type& type);  // "float[batch,128]", "seq(int64[?])"

}  // namespace tercel::ir

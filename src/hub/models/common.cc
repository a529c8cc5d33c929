#include "src/hub/models/common.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/fail.h"

namespace tercel::hub {

using ir::Value;

int64_t Net::size_of(std::string_view key) const {
  const Json value = config()[key];
  if (!value.is_integer() || value.integer() < 1) value.reject("a positive integer");
  return value.integer();
}

int64_t Net::size_or(std::string_view key, int64_t otherwise) const {
  return config().find(key) ? size_of(key) : otherwise;
}

int64_t Net::layers_of(std::string_view key) const {
  constexpr int64_t kMaxLayers = 1000;
  const int64_t layers = size_of(key);
  if (layers > kMaxLayers) {
    fail(Errc::unsupported, "{}: \"{}\" is {}; at most {} are supported", config_path(), key,
         layers, kMaxLayers);
  }
  return layers;
}

int64_t Net::max_tokens() const {
  return max_tokens_ ? *max_tokens_ : size_of("max_position_embeddings");
}

Value* Net::input(const std::string& name) {
  return input(name, Dtype::i64, {ir::Dim("batch"), ir::Dim("sequence")});
}

Value* Net::input(const std::string& name, Dtype dtype, ir::Dims dims) {
  return graph_.add_input(name, ir::Type::tensor(dtype, std::move(dims)));
}

void Net::output(const std::string& name, Value* value, ir::Dims dims) {
  // The node as well: its old name is free now, and a later node may take it.
  std::string& node = value->producer()->name;
  node = node.substr(0, node.rfind('/') + 1) + name;
  graph_.rename(value, name);
  value->type = ir::Type::tensor(Dtype::f32, std::move(dims));
  graph_.add_output(value);
}

void Net::scope(std::string_view part) {
  std::string path(part);
  std::replace(path.begin(), path.end(), '.', '/');
  b.set_scope(path + "/");
}

const WeightSource& Net::source() const {
  return other_source_ != nullptr ? *other_source_ : *checkpoint_.weights;
}

void Net::read_from(const WeightSource* source, std::string prefix) {
  other_source_ = source;
  other_prefix_ = std::move(prefix);
}

bool Net::has(const std::string& tensor) const { return source().has(tensor); }

Tensor Net::find(const std::string& tensor) const {
  Tensor found = source().find(tensor);
  if (!found.defined()) {
    fail(Errc::invalid_file, "{}: tensor \"{}\" is missing; {} needs it for {}", source().name(),
         tensor, checkpoint_.architecture, task_name(checkpoint_.task));
  }
  return found;
}

int64_t Net::rows_of(const std::string& tensor) const {
  const Tensor found = find(tensor);
  if (found.rank() != 2) {
    fail(Errc::invalid_file, "{}: tensor \"{}\": expected a matrix, found shape {}",
         source().name(), tensor, to_string(found.shape()));
  }
  return found.shape()[0];
}

Value* Net::weight(const std::string& tensor, const Shape& shape) {
  const std::string name = other_prefix_ + tensor;
  if (const auto made = weights_.find(name); made != weights_.end()) return made->second;
  const Tensor found = find(tensor);
  if (found.shape() != shape) {
    fail(Errc::invalid_file, "{}: tensor \"{}\": expected shape {} for {} by config.json, found {}",
         source().name(), tensor, to_string(shape), checkpoint_.architecture,
         to_string(found.shape()));
  }
  if (found.dtype() != Dtype::f32 && found.dtype() != Dtype::f16 && found.dtype() != Dtype::bf16 &&
      found.dtype() != Dtype::f64) {
    fail(Errc::unsupported, "{}: tensor \"{}\": expected f32, f16, bf16 or f64, found {}",
         source().name(), tensor, to_string(found.dtype()));
  }
  Value* value = b.constant(found, name);
  weights_.emplace(name, value);
  return value;
}

Value* Net::f32(Value* value) {
  return value->type.dtype == Dtype::f32 ? value : b.cast(value, Dtype::f32);
}

Value* Net::linear(Value* x, const std::string& layer, int64_t out, int64_t in, bool bias) {
  scope(other_prefix_ + layer);
  return linear_of(x, layer + ".weight", bias ? layer + ".bias" : "", out, in);
}

Value* Net::linear_of(Value* x, const std::string& weight_name, const std::string& bias,
                      int64_t out, int64_t in) {
  Value* stored = weight(weight_name, {out, in});
  Value* transposed = b.transpose(stored, {1, 0});
  transposed->type = ir::Type::tensor(stored->type.dtype, {in, out});
  Value* product = b.matmul(x, f32(transposed));
  return bias.empty() ? product : b.add(product, f32(weight(bias, {out})));
}

Value* Net::layer_norm(Value* x, const std::string& layer, int64_t size, double epsilon,
                       bool bias) {
  scope(layer);
  const bool old_names = !has(layer + ".weight") && has(layer + ".gamma");
  Value* scale = f32(weight(layer + (old_names ? ".gamma" : ".weight"), {size}));
  Value* shift = bias ? f32(weight(layer + (old_names ? ".beta" : ".bias"), {size})) : nullptr;
  return b.op("LayerNormalization", {x, scale, shift},
              {{"axis", int64_t{-1}}, {"epsilon", static_cast<float>(epsilon)}});
}

Value* Net::embedding(Value* ids, const std::string& layer, int64_t rows, int64_t columns) {
  scope(layer);
  Value* table = weight(layer + ".weight", {rows, columns});
  Value* gathered = b.op("Gather", {table, ids}, {{"axis", int64_t{0}}});
  gathered->type = ir::Type::tensor(table->type.dtype);
  return f32(gathered);
}

Value* Net::sequence_length(Value* ids) {
  return b.op("Shape", {ids}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
}

Value* Net::sequence_scalar(Value* ids) {
  return b.op("Squeeze", {sequence_length(ids), b.ints({0})});
}

Value* Net::places(Value* ids) {
  return b.op("Range", {b.int_scalar(0), sequence_scalar(ids), b.int_scalar(1)});
}

Value* Net::positions(Value* ids, const std::string& layer, int64_t rows, int64_t columns) {
  scope(layer);
  Value* table = weight(layer + ".weight", {rows, columns});
  Value* first = b.op("Slice", {table, b.ints({0}), sequence_length(ids), b.ints({0})});
  first->type = ir::Type::tensor(table->type.dtype);
  return f32(first);
}

Value* Net::first_token(Value* x) {
  return b.op("Gather", {x, b.int_scalar(0)}, {{"axis", int64_t{1}}});
}

// The rows of queries are spelled out because ONNX Runtime's kernel, unlike the operator, does not
// broadcast them.
Value* Net::padding_mask(Value* attention_mask) {
  scope("padding_mask");
  Value* keys = b.unsqueeze(b.cast(attention_mask, Dtype::boolean), {1, 2});
  Value* queries = b.op("Concat", {b.ints({1, 1}), sequence_length(attention_mask), b.ints({1})},
                        {{"axis", int64_t{0}}});
  return b.op("Expand", {keys, queries});
}

// Not the lowest finite number: ONNX Runtime gives zeros for a query that has it everywhere.
Value* Net::masked(Value* allowed, Value* bias) {
  return b.op("Where", {allowed, bias, b.scalar(-1e30F)});
}

int64_t Net::head_size(int64_t hidden, int64_t heads) const {
  if (hidden % heads != 0) {
    fail(Errc::invalid_file, "{}: hidden size {} does not divide into {} attention heads",
         config_path(), hidden, heads);
  }
  return hidden / heads;
}

Value* Net::self_attention(Value* x, Value* mask, const std::string& part,
                           const AttentionLayers& layers, int64_t hidden, int64_t heads) {
  head_size(hidden, heads);
  Value* query = linear(x, layers.query, hidden, hidden, layers.bias);
  Value* key = linear(x, layers.key, hidden, hidden, layers.bias);
  Value* value = linear(x, layers.value, hidden, hidden, layers.bias);
  scope(part);
  std::vector<ir::Builder::Attr> attributes = {{"q_num_heads", heads}, {"kv_num_heads", heads}};
  if (layers.causal) attributes.push_back({"is_causal", int64_t{1}});
  Value* mixed = b.op("Attention", {query, key, value, mask}, std::move(attributes));
  return linear(mixed, layers.output, hidden, hidden);
}

std::string encoder_prefix(const Net& net, std::string_view prefix, const std::string& probe) {
  return net.has(std::string(prefix) + probe) ? std::string(prefix) : std::string();
}

}  // namespace tercel::hub

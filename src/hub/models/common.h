#pragma once
// What model files are made of: inputs, weights, and the layers that transformers share.
//
// A layer is named as in the checkpoint ("bert.encoder.layer.0.output.dense"); its initializers
// keep the checkpoint's names and its nodes are scoped by the same path with slashes. Weights stay
// in the file's type; what computes is cast to f32 in front of its use, so that a pass may
// drop the Cast and keep the small type.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "src/hub/checkpoint.h"
#include "src/ir/builder.h"

namespace tercel::hub {

class Net {
 public:
  Net(ir::Graph& graph, const Checkpoint& checkpoint)
      : b(graph), graph_(graph), checkpoint_(checkpoint) {}

  ir::Builder b;

  const Checkpoint& checkpoint() const { return checkpoint_; }
  Json config() const { return checkpoint_.config(); }
  std::string config_path() const { return (checkpoint_.directory / "config.json").string(); }

  // A size from config.json that must be positive.
  int64_t size_of(std::string_view key) const;
  // The same where old files lack the key.
  int64_t size_or(std::string_view key, int64_t otherwise) const;

  // int64 [batch, sequence].
  ir::Value* input(const std::string& name);
  // An f32 output; `value` takes the name. Dimensions are numbers or symbols ("batch").
  void output(const std::string& name, ir::Value* value, ir::Dims dims);

  // Nodes made from here on belong to this part of the model ("bert.encoder.layer.0.attention").
  void scope(std::string_view part);

  // Are there weights of this name?
  bool has(const std::string& tensor) const;
  // An initializer in the file's type, made once a name. Throws Errc::invalid_file when it is
  // missing or its shape is another than `shape`, Errc::unsupported when it is not floating point.
  ir::Value* weight(const std::string& tensor, const Shape& shape);
  // The first dimension of a matrix [?, columns], for sizes that config.json does not have.
  int64_t rows_of(const std::string& tensor) const;

  // Reads weights from `source` under names that begin with `prefix`, for parts of a model that lie
  // in files of their own. The caller keeps `source` while it is in use; null: the checkpoint's.
  void read_from(const WeightSource* source, std::string prefix);

  ir::Value* f32(ir::Value* value);  // the value, cast when it is of another type

  // y = x Wᵀ + b with PyTorch's layout: `layer`.weight [out, in], `layer`.bias [out].
  ir::Value* linear(ir::Value* x, const std::string& layer, int64_t out, int64_t in,
                    bool bias = true);
  // The same for tensors whose names do not follow the pattern; an empty `bias` leaves it out.
  ir::Value* linear_of(ir::Value* x, const std::string& weight, const std::string& bias,
                       int64_t out, int64_t in);
  // Over the last dimension; also reads the old names gamma and beta.
  ir::Value* layer_norm(ir::Value* x, const std::string& layer, int64_t size, double epsilon);
  // Rows of `layer`.weight [rows, columns] by ids, in f32.
  ir::Value* embedding(ir::Value* ids, const std::string& layer, int64_t rows, int64_t columns);
  // The first `sequence` rows (as in `ids` [batch, sequence]) of `layer`.weight, in f32.
  ir::Value* positions(ir::Value* ids, const std::string& layer, int64_t rows, int64_t columns);
  // transformers' activation of that name. Throws Errc::unsupported, with the list.
  ir::Value* activation(ir::Value* x, std::string_view name);
  // x [batch, sequence, size] to its first token, [batch, size].
  ir::Value* first_token(ir::Value* x);

  // attention_mask [batch, sequence] as boolean [batch, 1, sequence, sequence]: true where a query
  // may look.
  ir::Value* padding_mask(ir::Value* attention_mask);

  struct AttentionLayers {
    std::string query, key, value, output;  // linear layers
  };
  // Multi-head self-attention with its four projections. Vaswani et al., 2017.
  ir::Value* self_attention(ir::Value* x, ir::Value* mask, const std::string& part,
                            const AttentionLayers& layers, int64_t hidden, int64_t heads);

 private:
  const WeightSource& source() const;
  Tensor find(const std::string& tensor) const;
  ir::Value* sequence_length(ir::Value* ids);  // int64 [1]

  ir::Graph& graph_;
  const Checkpoint& checkpoint_;
  const WeightSource* other_source_ = nullptr;
  std::string other_prefix_;
  std::unordered_map<std::string, ir::Value*> weights_;
};

// "bert." when the checkpoint's encoder has that prefix, "" when it was saved without a head.
std::string encoder_prefix(const Net& net, std::string_view prefix, const std::string& probe);

}  // namespace tercel::hub

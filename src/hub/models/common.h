#pragma once
// What model files are made of: inputs, weights, and the layers that transformers share.
//
// A layer is named as in the checkpoint ("bert.encoder.layer.0.output.dense"); its initializers
// keep the checkpoint's names and its nodes are scoped by the same path with slashes. Weights stay
// in the file's type; what computes is cast to f32 in front of its use, so that a pass may
// drop the Cast and keep the small type.

#include <cstdint>
#include <optional>
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
  // The number of layers: positive, and few enough to build where layers share their weights.
  int64_t layers_of(std::string_view key) const;

  // config.json's "max_position_embeddings" bounds a row of tokens unless a builder says another
  // number; 0: the model takes no tokens.
  void limit_tokens(int64_t tokens) { max_tokens_ = tokens; }
  int64_t max_tokens() const;

  // int64 [batch, sequence].
  ir::Value* input(const std::string& name);
  ir::Value* input(const std::string& name, Dtype dtype, ir::Dims dims);
  // An f32 output; `value` takes the name. Dimensions are numbers or symbols ("batch").
  void output(const std::string& name, ir::Value* value, ir::Dims dims);

  // Nodes made from here on belong to this part of the model ("bert.encoder.layer.0.attention").
  void scope(std::string_view part);

  // Are there weights of this name?
  bool has(const std::string& tensor) const;
  // An initializer in the file's type, made once a name. Throws Errc::invalid_file when it is
  // missing or its shape is another than `shape`, Errc::unsupported when it is not floating point.
  ir::Value* weight(const std::string& tensor, const Shape& shape);
  // The number of rows of a matrix [?, columns], for sizes that config.json does not have.
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
  ir::Value* layer_norm(ir::Value* x, const std::string& layer, int64_t size, double epsilon,
                        bool bias = true);
  // Rows of `layer`.weight [rows, columns] by ids, in f32.
  ir::Value* embedding(ir::Value* ids, const std::string& layer, int64_t rows, int64_t columns);
  // The first `sequence` rows (as in `ids` [batch, sequence]) of `layer`.weight, in f32.
  ir::Value* positions(ir::Value* ids, const std::string& layer, int64_t rows, int64_t columns);
  // transformers' activation of that name. Throws Errc::unsupported, with the list.
  ir::Value* activation(ir::Value* x, std::string_view name);
  // x [batch, sequence, size] to its first token, [batch, size].
  ir::Value* first_token(ir::Value* x);

  // The number of columns of ids [batch, sequence]: int64 [1], or a scalar.
  ir::Value* sequence_length(ir::Value* ids);
  ir::Value* sequence_scalar(ir::Value* ids);
  // 0, 1, …, sequence - 1 for ids [batch, sequence]: int64 [sequence].
  ir::Value* places(ir::Value* ids);

  // attention_mask [batch, sequence] as boolean [batch, 1, sequence, sequence]: true where a query
  // may look.
  ir::Value* padding_mask(ir::Value* attention_mask);
  // Where `allowed` (boolean) is false, a number below all others, otherwise `bias`: what is added
  // to scores. A query that may look nowhere then weighs all keys alike, as in transformers.
  ir::Value* masked(ir::Value* allowed, ir::Value* bias);

  // hidden / heads. Throws Errc::invalid_file when it leaves a rest.
  int64_t head_size(int64_t hidden, int64_t heads) const;

  struct AttentionLayers {
    std::string query, key, value, output;  // linear layers
    bool bias = true;                       // of the first three
    bool causal = false;                    // a query sees no later key
  };
  // Multi-head self-attention with its four projections; `mask` may be null, boolean or added to
  // the scores. Vaswani et al., 2017.
  ir::Value* self_attention(ir::Value* x, ir::Value* mask, const std::string& part,
                            const AttentionLayers& layers, int64_t hidden, int64_t heads);

 private:
  const WeightSource& source() const;
  Tensor find(const std::string& tensor) const;

  ir::Graph& graph_;
  const Checkpoint& checkpoint_;
  const WeightSource* other_source_ = nullptr;
  std::string other_prefix_;
  std::unordered_map<std::string, ir::Value*> weights_;
  std::optional<int64_t> max_tokens_;
};

// "bert." when the checkpoint's encoder has that prefix, "" when it was saved without a head.
std::string encoder_prefix(const Net& net, std::string_view prefix, const std::string& probe);

}  // namespace tercel::hub

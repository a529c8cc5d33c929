// DistilBERT: Sanh et al., 2019. BERT's encoder without segments and pooler, under names of its
// own.

#include <string>

#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_distilbert(Net& net);

namespace {

using ir::Value;

constexpr double kEpsilon = 1e-12;  // of every LayerNorm; config.json does not have it

struct DistilBertConfig {
  explicit DistilBertConfig(const Net& net)
      : vocabulary(net.size_of("vocab_size")),
        positions(net.size_of("max_position_embeddings")),
        hidden(net.size_of("dim")),
        inner(net.size_of("hidden_dim")),
        layers(net.size_of("n_layers")),
        heads(net.size_of("n_heads")),
        act(net.config().string_or("activation", "gelu")) {}
  int64_t vocabulary, positions, hidden, inner, layers, heads;
  std::string act;
};

Value* distilbert_embeddings(Net& net, const DistilBertConfig& c, const std::string& part,
                             Value* ids) {
  Value* words = net.embedding(ids, part + ".word_embeddings", c.vocabulary, c.hidden);
  Value* places = net.positions(ids, part + ".position_embeddings", c.positions, c.hidden);
  net.scope(part);
  return net.layer_norm(net.b.add(words, places), part + ".LayerNorm", c.hidden, kEpsilon);
}

Value* distilbert_layer(Net& net, const DistilBertConfig& c, const std::string& part, Value* x,
                        Value* mask) {
  const std::string attention = part + ".attention";
  Value* mixed = net.self_attention(
      x, mask, attention,
      {attention + ".q_lin", attention + ".k_lin", attention + ".v_lin", attention + ".out_lin"},
      c.hidden, c.heads);
  x = net.layer_norm(net.b.add(mixed, x), part + ".sa_layer_norm", c.hidden, kEpsilon);
  Value* wide = net.linear(x, part + ".ffn.lin1", c.inner, c.hidden);
  Value* narrow = net.linear(net.activation(wide, c.act), part + ".ffn.lin2", c.hidden, c.inner);
  return net.layer_norm(net.b.add(narrow, x), part + ".output_layer_norm", c.hidden, kEpsilon);
}

void classification(Net& net, const DistilBertConfig& c, Value* tokens) {
  net.scope("pre_classifier");
  Value* first = net.first_token(tokens);
  Value* x = net.activation(net.linear(first, "pre_classifier", c.hidden, c.hidden), "relu");
  classification_head(net, x, "classifier", c.hidden);
}

void distilbert_masked_lm(Net& net, const DistilBertConfig& c, const std::string& prefix,
                          Value* tokens) {
  Value* x = lm_transform(net, tokens, {"vocab_transform", "vocab_layer_norm", c.act, kEpsilon},
                          c.hidden, c.hidden);
  net.scope("vocab_projector");
  masked_lm_head(
      net, x,
      lm_matrix(net, prefix + "embeddings.word_embeddings.weight", "vocab_projector.weight"),
      "vocab_projector.bias", c.vocabulary, c.hidden);
}

}  // namespace

void build_distilbert(Net& net) {
  const DistilBertConfig c(net);
  const std::string prefix =
      encoder_prefix(net, "distilbert.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");

  Value* mask = net.padding_mask(attention_mask);
  Value* x = distilbert_embeddings(net, c, prefix + "embeddings", ids);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = distilbert_layer(net, c, prefix + "transformer.layer." + std::to_string(i), x, mask);
  }
  if (common_head(net, x, attention_mask, c.hidden)) return;
  switch (net.checkpoint().task) {
    case Task::text_classification:
      return classification(net, c, x);
    case Task::fill_mask:
      return distilbert_masked_lm(net, c, prefix, x);
    case Task::feature_extraction:
      return encoder_head(net, x, nullptr, c.hidden);
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

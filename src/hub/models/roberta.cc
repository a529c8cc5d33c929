// RoBERTa: Liu et al., 2019; XLM-RoBERTa: Conneau et al., 2019; CamemBERT: Martin et al., 2019.
// BERT's encoder with positions that are counted from the tokens, and heads of its own.

#include <string>

#include "src/hub/models/fairseq.h"

namespace tercel::hub {

void build_roberta(Net& net);

namespace {

using ir::Value;

// With one kind of segment its row is added everywhere, and there is no input for it.
Value* segments(Net& net, const EncoderConfig& c, const std::string& layer) {
  const int64_t kinds = net.size_or("type_vocab_size", 1);
  if (kinds > 1) return net.embedding(net.input("token_type_ids"), layer, kinds, c.hidden);
  return net.embedding(net.b.int_scalar(0), layer, kinds, c.hidden);
}

Value* roberta_embeddings(Net& net, const EncoderConfig& c, const std::string& part, Value* ids) {
  const int64_t padding = net.config().integer_or("pad_token_id", 1);
  limit_positions(net, padding, c.positions);
  Value* words = net.embedding(ids, part + ".word_embeddings", c.vocabulary, c.hidden);
  Value* types = segments(net, c, part + ".token_type_embeddings");
  Value* places =
      counted_positions(net, ids, part + ".position_embeddings", padding, c.positions, c.hidden);
  net.scope(part);
  Value* sum = net.b.add(net.b.add(words, types), places);
  return net.layer_norm(sum, part + ".LayerNorm", c.hidden, c.epsilon);
}

}  // namespace

void build_roberta(Net& net) {
  const EncoderConfig c(net);
  const std::string prefix = encoder_prefix(net, "roberta.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");

  Value* mask = net.padding_mask(attention_mask);
  Value* x = roberta_embeddings(net, c, prefix + "embeddings", ids);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = encoder_layer(net, c, prefix + "encoder.layer." + std::to_string(i), x, mask);
  }
  fairseq_heads(net, c, prefix, x, attention_mask);
}

}  // namespace tercel::hub

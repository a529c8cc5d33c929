// BERT: Devlin et al., 2018. Post-normalised transformer encoder over the sum of word, position and
// segment embeddings. BGE, E5 and GTE's first models are BERTs with modules of
// sentence-transformers.

#include <string>

#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_bert(Net& net);

namespace {

using ir::Value;

void masked_lm(Net& net, const EncoderConfig& c, const std::string& prefix, Value* tokens) {
  const std::string head = "cls.predictions";
  Value* x = lm_transform(
      net, tokens, {head + ".transform.dense", head + ".transform.LayerNorm", c.act, c.epsilon},
      c.hidden, c.hidden);
  net.scope(head + ".decoder");
  masked_lm_head(
      net, x,
      lm_matrix(net, prefix + "embeddings.word_embeddings.weight", head + ".decoder.weight"),
      first_of(net, {head + ".bias", head + ".decoder.bias"}), c.vocabulary, c.hidden);
}

}  // namespace

void build_bert(Net& net) {
  const EncoderConfig c(net);
  const std::string prefix = encoder_prefix(net, "bert.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* segments = net.input("token_type_ids");

  Value* mask = net.padding_mask(attention_mask);
  Value* x = encoder_embeddings(net, c, prefix + "embeddings", ids, segments, c.hidden);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = encoder_layer(net, c, prefix + "encoder.layer." + std::to_string(i), x, mask);
  }
  if (common_head(net, x, attention_mask, c.hidden)) return;
  const auto pooled = [&] {
    return pooled_first(net, x, prefix + "pooler.dense", c.hidden, "tanh");
  };
  switch (net.checkpoint().task) {
    case Task::text_classification:
      return classification_head(net, pooled(), "classifier", c.hidden);
    case Task::fill_mask:
      return masked_lm(net, c, prefix, x);
    case Task::feature_extraction:
      return encoder_head(net, x, net.has(prefix + "pooler.dense.weight") ? pooled() : nullptr,
                          c.hidden);
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

// ELECTRA: Clark et al., 2020. BERT's encoder, with embeddings that may be narrower than the
// layers. The discriminator tells which tokens were replaced; the generator is a masked language
// model.

#include <string>

#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_electra(Net& net);

namespace {

using ir::Value;

void electra_masked_lm(Net& net, const EncoderConfig& c, const std::string& prefix, int64_t width,
                       Value* tokens) {
  const std::string head = "generator_predictions";
  Value* x = lm_transform(net, tokens, {head + ".dense", head + ".LayerNorm", "gelu", c.epsilon},
                          width, c.hidden);
  net.scope("generator_lm_head");
  masked_lm_head(
      net, x,
      lm_matrix(net, prefix + "embeddings.word_embeddings.weight", "generator_lm_head.weight"),
      "generator_lm_head.bias", c.vocabulary, width);
}

// The logit of each token having been replaced.
void discriminator(Net& net, const EncoderConfig& c, Value* tokens) {
  const std::string head = "discriminator_predictions";
  Value* x = net.activation(net.linear(tokens, head + ".dense", c.hidden, c.hidden), c.act);
  Value* column = net.linear(x, head + ".dense_prediction", 1, c.hidden);
  net.output("logits", net.b.op("Squeeze", {column, net.b.ints({2})}),
             {ir::Dim("batch"), ir::Dim("sequence")});
}

}  // namespace

void build_electra(Net& net) {
  const EncoderConfig c(net);
  const int64_t width = net.size_or("embedding_size", c.hidden);
  const std::string prefix = encoder_prefix(net, "electra.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* segments = net.input("token_type_ids");

  Value* mask = net.padding_mask(attention_mask);
  Value* x = encoder_embeddings(net, c, prefix + "embeddings", ids, segments, width);
  if (width != c.hidden) x = net.linear(x, prefix + "embeddings_project", c.hidden, width);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = encoder_layer(net, c, prefix + "encoder.layer." + std::to_string(i), x, mask);
  }
  if (common_head(net, x, attention_mask, c.hidden)) return;
  switch (net.checkpoint().task) {
    case Task::text_classification: {
      Value* pooled = pooled_first(net, x, "classifier.dense", c.hidden, "gelu");
      return classification_head(net, pooled, "classifier.out_proj", c.hidden);
    }
    case Task::fill_mask:
      return electra_masked_lm(net, c, prefix, width, x);
    case Task::replaced_token_detection:
      return discriminator(net, c, x);
    case Task::feature_extraction:
      return encoder_head(net, x, nullptr, c.hidden);
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

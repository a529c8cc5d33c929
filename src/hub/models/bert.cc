// BERT: Devlin et al., 2018. Post-normalised transformer encoder over the sum of word, position and
// segment embeddings.

#include <string>

#include "src/base/fail.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_bert(Net& net);

namespace {

using ir::Value;

struct BertConfig {
  explicit BertConfig(const Net& net)
      : vocabulary(net.size_of("vocab_size")),
        positions(net.size_of("max_position_embeddings")),
        segments(net.size_or("type_vocab_size", 2)),
        hidden(net.size_of("hidden_size")),
        inner(net.size_of("intermediate_size")),
        layers(net.size_of("num_hidden_layers")),
        heads(net.size_of("num_attention_heads")),
        epsilon(net.config().number_or("layer_norm_eps", 1e-12)),
        act(net.config().string_or("hidden_act", "gelu")) {
    const auto kind = net.config().string_or("position_embedding_type", "absolute");
    if (kind != "absolute") {
      fail(Errc::unsupported,
           "{}: \"position_embedding_type\" is \"{}\"; only absolute is supported",
           net.config_path(), kind);
    }
    for (const char* flag : {"is_decoder", "add_cross_attention"}) {
      if (net.config().boolean_or(flag, false)) {
        fail(Errc::unsupported, "{}: \"{}\" is true; only encoders are supported",
             net.config_path(), flag);
      }
    }
  }
  int64_t vocabulary, positions, segments, hidden, inner, layers, heads;
  double epsilon;
  std::string act;
};

Value* embeddings(Net& net, const BertConfig& c, const std::string& part, Value* ids,
                  Value* segments) {
  Value* words = net.embedding(ids, part + ".word_embeddings", c.vocabulary, c.hidden);
  Value* types = net.embedding(segments, part + ".token_type_embeddings", c.segments, c.hidden);
  Value* places = net.positions(ids, part + ".position_embeddings", c.positions, c.hidden);
  net.scope(part);
  Value* sum = net.b.add(net.b.add(words, types), places);
  return net.layer_norm(sum, part + ".LayerNorm", c.hidden, c.epsilon);
}

Value* layer(Net& net, const BertConfig& c, const std::string& part, Value* x, Value* mask) {
  const std::string attention = part + ".attention";
  Value* mixed = net.self_attention(x, mask, attention,
                                    {attention + ".self.query", attention + ".self.key",
                                     attention + ".self.value", attention + ".output.dense"},
                                    c.hidden, c.heads);
  x = net.layer_norm(net.b.add(mixed, x), attention + ".output.LayerNorm", c.hidden, c.epsilon);
  Value* wide = net.linear(x, part + ".intermediate.dense", c.inner, c.hidden);
  Value* narrow =
      net.linear(net.activation(wide, c.act), part + ".output.dense", c.hidden, c.inner);
  return net.layer_norm(net.b.add(narrow, x), part + ".output.LayerNorm", c.hidden, c.epsilon);
}

Value* pooled(Net& net, const BertConfig& c, const std::string& prefix, Value* tokens) {
  net.scope(prefix + "pooler");
  Value* first = net.first_token(tokens);
  return net.activation(net.linear(first, prefix + "pooler.dense", c.hidden, c.hidden), "tanh");
}

void masked_lm(Net& net, const BertConfig& c, const std::string& prefix, Value* tokens) {
  const std::string head = "cls.predictions";
  Value* x = net.linear(tokens, head + ".transform.dense", c.hidden, c.hidden);
  x = net.layer_norm(net.activation(x, c.act), head + ".transform.LayerNorm", c.hidden, c.epsilon);
  net.scope(head + ".decoder");
  const bool tied = net.config().boolean_or("tie_word_embeddings", true);
  masked_lm_head(
      net, x, tied ? prefix + "embeddings.word_embeddings.weight" : head + ".decoder.weight",
      net.has(head + ".bias") ? head + ".bias" : head + ".decoder.bias", c.vocabulary, c.hidden);
}

}  // namespace

void build_bert(Net& net) {
  const BertConfig c(net);
  const std::string prefix = encoder_prefix(net, "bert.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* segments = net.input("token_type_ids");

  Value* mask = net.padding_mask(attention_mask);
  Value* x = embeddings(net, c, prefix + "embeddings", ids, segments);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = layer(net, c, prefix + "encoder.layer." + std::to_string(i), x, mask);
  }
  switch (net.checkpoint().task) {
    case Task::question_answering:
      return question_answering_head(net, x, "qa_outputs", c.hidden);
    case Task::text_classification:
      return classification_head(net, pooled(net, c, prefix, x), "classifier", c.hidden);
    case Task::token_classification:
      return classification_head(net, x, "classifier", c.hidden);
    case Task::fill_mask:
      return masked_lm(net, c, prefix, x);
    case Task::feature_extraction: {
      const bool has_pooler = net.has(prefix + "pooler.dense.weight");
      return encoder_head(net, x, has_pooler ? pooled(net, c, prefix, x) : nullptr, c.hidden);
    }
    case Task::sentence_similarity:
      return sentence_head(net, x, attention_mask, c.hidden);
  }
}

}  // namespace tercel::hub

// ModernBERT: Warner et al., 2024. Pre-normalised layers with rotary positions and gated units;
// most of them look only at the tokens nearby.

#include <string>
#include <vector>

#include "src/base/fail.h"
#include "src/hub/models/heads.h"
#include "src/hub/models/rotary.h"

namespace tercel::hub {

void build_modernbert(Net& net);

namespace {

using ir::Value;

struct ModernBertConfig {
  explicit ModernBertConfig(const Net& net)
      : vocabulary(net.size_of("vocab_size")),
        hidden(net.size_of("hidden_size")),
        inner(net.size_of("intermediate_size")),
        layers(net.size_of("num_hidden_layers")),
        heads(net.size_of("num_attention_heads")),
        global_every(net.size_or("global_attn_every_n_layers", 3)),
        window(net.size_or("local_attention", 128) / 2),
        epsilon(net.config().number_or("norm_eps", 1e-5)),
        norm_bias(net.config().boolean_or("norm_bias", false)),
        attention_bias(net.config().boolean_or("attention_bias", false)),
        mlp_bias(net.config().boolean_or("mlp_bias", false)),
        act(net.config().string_or("hidden_activation", "gelu")) {}

  // By the list of newer files, or by the period of older ones.
  bool is_local(const Net& net, int64_t layer) const {
    const auto types = net.config().find("layer_types");
    if (!types) return layer % global_every != 0;
    int64_t index = 0;
    bool local = false;
    types->for_each([&](const Json& type) {
      if (index++ == layer) local = type.string() == "sliding_attention";
    });
    if (index <= layer) types->reject("a type for each layer");
    return local;
  }

  int64_t vocabulary, hidden, inner, layers, heads, global_every, window;
  double epsilon;
  bool norm_bias, attention_bias, mlp_bias;
  std::string act;
};

// Of "full_attention" or "sliding_attention"; older files have the key `old_key`.
double theta_of(const Net& net, std::string_view kind, std::string_view old_key, double otherwise) {
  const auto all = net.config().find("rope_parameters");
  const auto own = all ? all->find(kind) : std::nullopt;
  if (!own) return net.config().number_or(old_key, otherwise);
  if (own->string_or("rope_type", "default") != "default") {
    fail(Errc::unsupported, "{}: \"rope_type\" is \"{}\"; only default is supported",
         net.config_path(), own->string_or("rope_type", ""));
  }
  return own->number_or("rope_theta", otherwise);
}

// What the layers of one kind share.
struct AttentionKind {
  Rotary rotary;
  Value* mask;
};

AttentionKind global_kind(Net& net, const ModernBertConfig& c, Value* ids, Value* attention_mask) {
  const double theta = theta_of(net, "full_attention", "global_rope_theta", 160'000);
  return {rotary(net, ids, net.head_size(c.hidden, c.heads), theta),
          net.padding_mask(attention_mask)};
}

// Tokens at most `window` apart see each other. A row of padding may see nothing at all.
AttentionKind local_kind(Net& net, const ModernBertConfig& c, Value* ids, Value* attention_mask) {
  const double theta = theta_of(net, "sliding_attention", "local_rope_theta", 10'000);
  const Rotary turned = rotary(net, ids, net.head_size(c.hidden, c.heads), theta);
  net.scope("local_mask");
  Value* places = net.places(ids);
  Value* distance = net.b.sub(net.b.unsqueeze(places, {0}), net.b.unsqueeze(places, {1}));
  Value* near = net.b.op("LessOrEqual", {net.b.op("Abs", {distance}), net.b.int_scalar(c.window)});
  Value* keys = net.b.unsqueeze(net.b.cast(attention_mask, Dtype::boolean), {1, 2});
  return {turned, net.masked(net.b.op("And", {near, keys}), net.b.scalar(0.0F))};
}

Value* norm(Net& net, const ModernBertConfig& c, const std::string& layer, Value* x) {
  return net.layer_norm(x, layer, c.hidden, c.epsilon, c.norm_bias);
}

Value* modernbert_attention(Net& net, const ModernBertConfig& c, const std::string& part, Value* x,
                            const AttentionKind& kind) {
  Value* all = net.linear(x, part + ".Wqkv", 3 * c.hidden, c.hidden, c.attention_bias);
  net.scope(part);
  ir::Node* split =
      net.b.node("Split", {all}, 3, {{"axis", int64_t{2}}, {"num_outputs", int64_t{3}}});
  Value* query = rotate(net, kind.rotary, split->output(0), c.heads);
  Value* key = rotate(net, kind.rotary, split->output(1), c.heads);
  Value* mixed = net.b.op("Attention", {query, key, split->output(2), kind.mask},
                          {{"q_num_heads", c.heads}, {"kv_num_heads", c.heads}});
  return net.linear(mixed, part + ".Wo", c.hidden, c.hidden, c.attention_bias);
}

Value* gated_units(Net& net, const ModernBertConfig& c, const std::string& part, Value* x) {
  Value* both = net.linear(x, part + ".Wi", 2 * c.inner, c.hidden, c.mlp_bias);
  net.scope(part);
  ir::Node* split =
      net.b.node("Split", {both}, 2, {{"axis", int64_t{2}}, {"num_outputs", int64_t{2}}});
  Value* open = net.b.mul(net.activation(split->output(0), c.act), split->output(1));
  return net.linear(open, part + ".Wo", c.hidden, c.inner, c.mlp_bias);
}

Value* modernbert_encoder(Net& net, const ModernBertConfig& c, const std::string& prefix,
                          Value* ids, Value* attention_mask) {
  Value* x = net.embedding(ids, prefix + "embeddings.tok_embeddings", c.vocabulary, c.hidden);
  x = norm(net, c, prefix + "embeddings.norm", x);
  const AttentionKind global = global_kind(net, c, ids, attention_mask);
  const AttentionKind local = local_kind(net, c, ids, attention_mask);
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string part = prefix + "layers." + std::to_string(i);
    Value* in = i == 0 ? x : norm(net, c, part + ".attn_norm", x);
    x = net.b.add(
        x, modernbert_attention(net, c, part + ".attn", in, c.is_local(net, i) ? local : global));
    x = net.b.add(x, gated_units(net, c, part + ".mlp", norm(net, c, part + ".mlp_norm", x)));
  }
  return norm(net, c, prefix + "final_norm", x);
}

Value* head(Net& net, const ModernBertConfig& c, Value* x) {
  const bool bias = net.config().boolean_or("classifier_bias", false);
  x = net.linear(x, "head.dense", c.hidden, c.hidden, bias);
  x = net.activation(x, net.config().string_or("classifier_activation", "gelu"));
  return norm(net, c, "head.norm", x);
}

Value* pooled(Net& net, Value* tokens, Value* attention_mask) {
  net.scope("pooling");
  const auto pooling = net.config().string_or("classifier_pooling", "cls");
  if (pooling == "cls") return net.first_token(tokens);
  if (pooling == "mean") return mean_token(net, tokens, attention_mask);
  fail(Errc::unsupported, "{}: \"classifier_pooling\" is \"{}\"; supported are cls and mean",
       net.config_path(), pooling);
}

void modernbert_masked_lm(Net& net, const ModernBertConfig& c, const std::string& prefix,
                          Value* tokens) {
  const std::string table = prefix + "embeddings.tok_embeddings.weight";
  Value* x = head(net, c, tokens);
  net.scope("decoder");
  masked_lm_head(net, x, lm_matrix(net, table, "decoder.weight"),
                 net.config().boolean_or("decoder_bias", true) ? "decoder.bias" : "", c.vocabulary,
                 c.hidden);
}

}  // namespace

void build_modernbert(Net& net) {
  const ModernBertConfig c(net);
  const std::string prefix = encoder_prefix(net, "model.", "embeddings.tok_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* x = modernbert_encoder(net, c, prefix, ids, attention_mask);
  switch (net.checkpoint().task) {
    case Task::question_answering:
      return question_answering_head(net, head(net, c, x), "classifier", c.hidden);
    case Task::text_classification:
      return classification_head(net, head(net, c, pooled(net, x, attention_mask)), "classifier",
                                 c.hidden);
    case Task::token_classification:
      return classification_head(net, head(net, c, x), "classifier", c.hidden);
    case Task::fill_mask:
      return modernbert_masked_lm(net, c, prefix, x);
    case Task::feature_extraction:
      return encoder_head(net, x, nullptr, c.hidden);
    case Task::sentence_similarity:
      return sentence_head(net, x, attention_mask, c.hidden);
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

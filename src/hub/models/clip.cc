// CLIP's text model: Radford et al., 2021. A pre-normalised encoder in which no token sees a later
// one; a text's embedding is that of its end token, projected.

#include <string>

#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_clip_text(Net& net);

namespace {

using ir::Value;

struct ClipConfig {
  explicit ClipConfig(const Net& net)
      : vocabulary(net.size_or("vocab_size", 49408)),
        positions(net.size_or("max_position_embeddings", 77)),
        hidden(net.size_or("hidden_size", 512)),
        inner(net.size_or("intermediate_size", 2048)),
        layers(net.size_or("num_hidden_layers", 12)),
        heads(net.size_or("num_attention_heads", 8)),
        end(net.config().integer_or("eos_token_id", 49407)),
        epsilon(net.config().number_or("layer_norm_eps", 1e-5)),
        act(net.config().string_or("hidden_act", "quick_gelu")) {}
  int64_t vocabulary, positions, hidden, inner, layers, heads, end;
  double epsilon;
  std::string act;
};

Value* clip_layer(Net& net, const ClipConfig& c, const std::string& part, Value* x, Value* mask) {
  const std::string attention = part + ".self_attn";
  Value* normed = net.layer_norm(x, part + ".layer_norm1", c.hidden, c.epsilon);
  Value* mixed = net.self_attention(normed, mask, attention,
                                    {.query = attention + ".q_proj",
                                     .key = attention + ".k_proj",
                                     .value = attention + ".v_proj",
                                     .output = attention + ".out_proj",
                                     .causal = true},
                                    c.hidden, c.heads);
  x = net.b.add(mixed, x);
  normed = net.layer_norm(x, part + ".layer_norm2", c.hidden, c.epsilon);
  Value* wide = net.linear(normed, part + ".mlp.fc1", c.inner, c.hidden);
  return net.b.add(net.linear(net.activation(wide, c.act), part + ".mlp.fc2", c.hidden, c.inner),
                   x);
}

// The row of the end token: [batch, hidden]. Old files say that it is token 2, which it is not:
// there it is the largest id.
Value* end_token(Net& net, const ClipConfig& c, Value* ids, Value* tokens) {
  constexpr int64_t kWrongEnd = 2;
  net.scope("end_token");
  Value* key = ids;
  if (c.end != kWrongEnd) key = net.b.op("Equal", {ids, net.b.int_scalar(c.end)});
  Value* place = net.b.op("ArgMax", {net.b.cast(key, Dtype::i32)},
                          {{"axis", int64_t{1}}, {"keepdims", int64_t{1}}});
  return net.b.op("GatherND", {tokens, place}, {{"batch_dims", int64_t{1}}});
}

}  // namespace

void build_clip_text(Net& net) {
  const ClipConfig c(net);
  net.limit_tokens(c.positions);
  const std::string prefix =
      encoder_prefix(net, "text_model.", "embeddings.token_embedding.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");

  Value* mask = net.padding_mask(attention_mask);
  const std::string part = prefix + "embeddings";
  Value* words = net.embedding(ids, part + ".token_embedding", c.vocabulary, c.hidden);
  Value* places = net.positions(ids, part + ".position_embedding", c.positions, c.hidden);
  net.scope(part);
  Value* x = net.b.add(words, places);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = clip_layer(net, c, prefix + "encoder.layers." + std::to_string(i), x, mask);
  }
  x = net.layer_norm(x, prefix + "final_layer_norm", c.hidden, c.epsilon);
  if (net.checkpoint().task == Task::sentence_similarity) {
    return sentence_head(net, x, attention_mask, c.hidden);
  }
  if (net.checkpoint().task != Task::feature_extraction) reject_task(net);
  Value* end = end_token(net, c, ids, x);
  if (net.has("text_projection.weight")) {
    const int64_t size = net.rows_of("text_projection.weight");
    Value* projected = net.linear(end, "text_projection", size, c.hidden, false);
    net.output("text_embeds", projected, {ir::Dim("batch"), size});
  }
  encoder_head(net, x, end, c.hidden);
}

}  // namespace tercel::hub

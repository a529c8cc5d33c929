// NomicBERT: Nussbaum et al., 2024. BERT's post-normalised layers with rotary positions, gated
// units and no biases. config.json has the keys of its first code ("n_embd") or those of
// transformers
// ("hidden_size").

#include <string>

#include "src/base/fail.h"
#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"
#include "src/hub/models/rotary.h"

namespace tercel::hub {

void build_nomic_bert(Net& net);

namespace {

using ir::Value;

struct NomicBertConfig {
  explicit NomicBertConfig(const Net& net)
      : old(net.config().find("n_embd").has_value()),
        vocabulary(net.size_of("vocab_size")),
        hidden(net.size_of(old ? "n_embd" : "hidden_size")),
        inner(net.size_of(old ? "n_inner" : "intermediate_size")),
        layers(net.size_of(old ? "n_layer" : "num_hidden_layers")),
        heads(net.size_of(old ? "n_head" : "num_attention_heads")),
        positions(net.size_of(old ? "n_positions" : "max_position_embeddings")),
        segments(net.config().integer_or("type_vocab_size", 2)),
        epsilon(net.config().number_or(old ? "layer_norm_epsilon" : "layer_norm_eps", 1e-12)) {
    if (old) {
      read_old(net);
    } else {
      read_new(net);
    }
  }

  bool old;
  int64_t vocabulary, hidden, inner, layers, heads, positions, segments;
  double epsilon;
  double theta = 1000;
  std::string act = "silu";

 private:
  void read_old(const Net& net) {
    theta = net.config().number_or("rotary_emb_base", 1000);
    for (const char* flag : {"qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "prenorm",
                             "use_rms_norm", "rotary_emb_interleaved", "causal"}) {
      if (net.config().boolean_or(flag, false)) reject(net, flag, "false");
    }
    if (net.config().number_or("rotary_emb_fraction", 1) != 1) {
      reject(net, "rotary_emb_fraction", "1");
    }
    if (net.config().find("rotary_scaling_factor")) reject(net, "rotary_scaling_factor", "null");
    if (net.config().string_or("activation_function", "swiglu") != "swiglu") {
      reject(net, "activation_function", "swiglu");
    }
  }
  void read_new(const Net& net) {
    act = net.config().string_or("hidden_act", "silu");
    const auto rope = net.config().find("rope_parameters");
    if (!rope) return;
    theta = rope->number_or("rope_theta", theta);
    if (rope->string_or("rope_type", "default") != "default") reject(net, "rope_type", "default");
  }
  [[noreturn]] static void reject(const Net& net, const char* key, const char* only) {
    fail(Errc::unsupported, "{}: \"{}\": only {} is supported", net.config_path(), key, only);
  }
};

Value* nomic_bert_attention(Net& net, const NomicBertConfig& c, const std::string& part, Value* x,
                            const Rotary& turned, Value* mask) {
  Value* all = net.linear(x, part + ".Wqkv", 3 * c.hidden, c.hidden, false);
  net.scope(part);
  ir::Node* split =
      net.b.node("Split", {all}, 3, {{"axis", int64_t{2}}, {"num_outputs", int64_t{3}}});
  Value* query = rotate(net, turned, split->output(0), c.heads);
  Value* key = rotate(net, turned, split->output(1), c.heads);
  Value* mixed = net.b.op("Attention", {query, key, split->output(2), mask},
                          {{"q_num_heads", c.heads}, {"kv_num_heads", c.heads}});
  return net.linear(mixed, part + ".out_proj", c.hidden, c.hidden, false);
}

Value* nomic_bert_layer(Net& net, const NomicBertConfig& c, const std::string& part, Value* x,
                        const Rotary& turned, Value* mask) {
  Value* mixed = nomic_bert_attention(net, c, part + ".attn", x, turned, mask);
  x = net.layer_norm(net.b.add(mixed, x), part + ".norm1", c.hidden, c.epsilon);
  Value* up = net.linear(x, part + ".mlp.fc11", c.inner, c.hidden, false);
  Value* gate = net.linear(x, part + ".mlp.fc12", c.inner, c.hidden, false);
  Value* open = net.b.mul(net.activation(gate, c.act), up);
  Value* narrow = net.linear(open, part + ".mlp.fc2", c.hidden, c.inner, false);
  return net.layer_norm(net.b.add(narrow, x), part + ".norm2", c.hidden, c.epsilon);
}

Value* nomic_bert_encoder(Net& net, const NomicBertConfig& c, const std::string& prefix, Value* ids,
                          Value* attention_mask) {
  Value* x = net.embedding(ids, prefix + "embeddings.word_embeddings", c.vocabulary, c.hidden);
  if (c.segments > 0) {
    Value* types = net.embedding(net.input("token_type_ids"),
                                 prefix + "embeddings.token_type_embeddings", c.segments, c.hidden);
    net.scope(prefix + "embeddings");
    x = net.b.add(x, types);
  }
  x = net.layer_norm(x, prefix + "emb_ln", c.hidden, c.epsilon);
  Value* mask = net.padding_mask(attention_mask);
  const Rotary turned = rotary(net, ids, net.head_size(c.hidden, c.heads), c.theta);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = nomic_bert_layer(net, c, prefix + "encoder.layers." + std::to_string(i), x, turned, mask);
  }
  return x;
}

}  // namespace

void build_nomic_bert(Net& net) {
  const NomicBertConfig c(net);
  net.limit_tokens(c.positions);
  const std::string probe = "embeddings.word_embeddings.weight";
  std::string prefix = encoder_prefix(net, "nomic_bert.", probe);
  if (prefix.empty()) prefix = encoder_prefix(net, "bert.", probe);
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* x = nomic_bert_encoder(net, c, prefix, ids, attention_mask);
  const std::string head = "cls.predictions";
  const std::string transform = head + ".transform";
  pooled_heads(net, x, attention_mask, prefix + "pooler.dense",
               {{transform + ".dense", transform + ".layer_norm", c.act, c.epsilon},
                head,
                prefix + probe,
                c.vocabulary,
                c.hidden},
               c.hidden);
}

}  // namespace tercel::hub

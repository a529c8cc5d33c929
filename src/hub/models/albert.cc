// ALBERT: Lan et al., 2019. Narrow embeddings that a matrix widens, and layers in groups that share
// their weights.

#include <string>

#include "src/base/fail.h"
#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_albert(Net& net);

namespace {

using ir::Value;

struct AlbertConfig : EncoderConfig {
  explicit AlbertConfig(const Net& net)
      : EncoderConfig(net),
        width(net.size_of("embedding_size")),
        groups(net.size_or("num_hidden_groups", 1)),
        inner_layers(net.size_or("inner_group_num", 1)) {
    net.layers_of("num_hidden_layers");
    if (inner_layers > 1) net.layers_of("inner_group_num");
    if (groups > layers) {
      fail(Errc::invalid_file, "{}: {} groups of layers, but {} layers", net.config_path(), groups,
           layers);
    }
  }
  int64_t width, groups, inner_layers;
};

Value* albert_layer(Net& net, const AlbertConfig& c, const std::string& part, Value* x,
                    Value* mask) {
  const std::string attention = part + ".attention";
  Value* mixed = net.self_attention(
      x, mask, attention,
      {attention + ".query", attention + ".key", attention + ".value", attention + ".dense"},
      c.hidden, c.heads);
  x = net.layer_norm(net.b.add(mixed, x), attention + ".LayerNorm", c.hidden, c.epsilon);
  Value* wide = net.linear(x, part + ".ffn", c.inner, c.hidden);
  Value* narrow = net.linear(net.activation(wide, c.act), part + ".ffn_output", c.hidden, c.inner);
  return net.layer_norm(net.b.add(narrow, x), part + ".full_layer_layer_norm", c.hidden, c.epsilon);
}

Value* albert_encoder(Net& net, const AlbertConfig& c, const std::string& part, Value* x,
                      Value* mask) {
  x = net.linear(x, part + ".embedding_hidden_mapping_in", c.hidden, c.width);
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string group = std::to_string(i * c.groups / c.layers);
    for (int64_t j = 0; j < c.inner_layers; ++j) {
      x = albert_layer(
          net, c, part + ".albert_layer_groups." + group + ".albert_layers." + std::to_string(j), x,
          mask);
    }
  }
  return x;
}

}  // namespace

void build_albert(Net& net) {
  const AlbertConfig c(net);
  const std::string prefix = encoder_prefix(net, "albert.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* segments = net.input("token_type_ids");

  Value* mask = net.padding_mask(attention_mask);
  Value* x = encoder_embeddings(net, c, prefix + "embeddings", ids, segments, c.width);
  x = albert_encoder(net, c, prefix + "encoder", x, mask);
  pooled_heads(net, x, attention_mask, prefix + "pooler",
               {{"predictions.dense", "predictions.LayerNorm", c.act, c.epsilon},
                "predictions",
                prefix + "embeddings.word_embeddings.weight",
                c.vocabulary,
                c.width},
               c.hidden);
}

}  // namespace tercel::hub

#include "src/hub/models/encoder.h"

#include "src/base/fail.h"

namespace tercel::hub {

using ir::Value;

EncoderConfig::EncoderConfig(const Net& net)
    : vocabulary(net.size_of("vocab_size")),
      positions(net.size_of("max_position_embeddings")),
      hidden(net.size_of("hidden_size")),
      inner(net.size_of("intermediate_size")),
      layers(net.size_of("num_hidden_layers")),
      heads(net.size_of("num_attention_heads")),
      epsilon(net.config().number_or("layer_norm_eps", 1e-12)),
      act(net.config().string_or("hidden_act", "gelu")) {
  const auto kind = net.config().string_or("position_embedding_type", "absolute");
  if (kind != "absolute") {
    fail(Errc::unsupported, "{}: \"position_embedding_type\" is \"{}\"; only absolute is supported",
         net.config_path(), kind);
  }
  for (const char* flag : {"is_decoder", "add_cross_attention"}) {
    if (net.config().boolean_or(flag, false)) {
      fail(Errc::unsupported, "{}: \"{}\" is true; only encoders are supported", net.config_path(),
           flag);
    }
  }
}

Value* encoder_embeddings(Net& net, const EncoderConfig& c, const std::string& part, Value* ids,
                          Value* segments, int64_t width) {
  const int64_t kinds = net.size_or("type_vocab_size", 2);
  Value* words = net.embedding(ids, part + ".word_embeddings", c.vocabulary, width);
  Value* types = net.embedding(segments, part + ".token_type_embeddings", kinds, width);
  Value* places = net.positions(ids, part + ".position_embeddings", c.positions, width);
  net.scope(part);
  Value* sum = net.b.add(net.b.add(words, types), places);
  return net.layer_norm(sum, part + ".LayerNorm", width, c.epsilon);
}

Value* encoder_layer(Net& net, const EncoderConfig& c, const std::string& part, Value* x,
                     Value* mask) {
  const std::string attention = part + ".attention";
  Value* mixed = net.self_attention(x, mask, attention,
                                    {attention + ".self.query", attention + ".self.key",
                                     attention + ".self.value", attention + ".output.dense"},
                                    c.hidden, c.heads);
  x = net.layer_norm(net.b.add(mixed, x), attention + ".output.LayerNorm", c.hidden, c.epsilon);
  return feed_forward(net, c, part, x);
}

Value* feed_forward(Net& net, const EncoderConfig& c, const std::string& part, Value* x) {
  Value* wide = net.linear(x, part + ".intermediate.dense", c.inner, c.hidden);
  Value* narrow =
      net.linear(net.activation(wide, c.act), part + ".output.dense", c.hidden, c.inner);
  return net.layer_norm(net.b.add(narrow, x), part + ".output.LayerNorm", c.hidden, c.epsilon);
}

}  // namespace tercel::hub

#pragma once
// What BERT's descendants have in common: the sizes in config.json and the layer.

#include <cstdint>
#include <string>

#include "src/hub/models/common.h"

namespace tercel::hub {

struct EncoderConfig {
  // Throws Errc::unsupported for decoders and for positions that are not absolute.
  explicit EncoderConfig(const Net& net);

  int64_t vocabulary, positions, hidden, inner, layers, heads;
  double epsilon;
  std::string act;
};

// The normalised sum of `part`.word_embeddings, .token_type_embeddings and .position_embeddings,
// all of `width` columns: [batch, sequence, width].
ir::Value* encoder_embeddings(Net& net, const EncoderConfig& c, const std::string& part,
                              ir::Value* ids, ir::Value* segments, int64_t width);

// x + attention, normalised, then x + feed_forward, normalised: `part`.attention.self.query, … and
// `part`.output.LayerNorm. Devlin et al., 2018.
ir::Value* encoder_layer(Net& net, const EncoderConfig& c, const std::string& part, ir::Value* x,
                         ir::Value* mask);

// The second half of a layer: `part`.intermediate.dense, the activation, `part`.output.dense and,
// over the sum with x, `part`.output.LayerNorm.
ir::Value* feed_forward(Net& net, const EncoderConfig& c, const std::string& part, ir::Value* x);

}  // namespace tercel::hub

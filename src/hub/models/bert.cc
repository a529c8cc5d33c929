// BERT: Devlin et al., 2018. Post-normalised transformer encoder over the sum of word, position and
// segment embeddings. BGE, E5 and GTE's first models are BERTs with modules of
// sentence-transformers.

#include <string>

#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_bert(Net& net);

using ir::Value;

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
  const std::string head = "cls.predictions";
  const std::string transform = head + ".transform";
  pooled_heads(net, x, attention_mask, prefix + "pooler.dense",
               {{transform + ".dense", transform + ".LayerNorm", c.act, c.epsilon},
                head,
                prefix + "embeddings.word_embeddings.weight",
                c.vocabulary,
                c.hidden},
               c.hidden);
}

}  // namespace tercel::hub

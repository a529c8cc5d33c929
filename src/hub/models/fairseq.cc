#include "src/hub/models/fairseq.h"

#include "src/base/fail.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

using ir::Value;

Value* counted_positions(Net& net, Value* ids, const std::string& layer, int64_t padding,
                         int64_t rows, int64_t columns) {
  net.scope(layer);
  Value* pad = net.b.int_scalar(padding);
  Value* real = net.b.cast(net.b.op("Not", {net.b.op("Equal", {ids, pad})}), Dtype::i64);
  Value* count = net.b.op("CumSum", {real, net.b.int_scalar(1)});
  Value* places = net.b.add(net.b.mul(count, real), pad);
  return net.embedding(places, layer, rows, columns);
}

void limit_positions(Net& net, int64_t padding, int64_t rows) {
  if (padding < 0 || rows - padding < 2) {
    fail(Errc::invalid_file,
         "{}: the padding's position is {} of {}; expected others behind it (\"pad_token_id\", "
         "\"max_position_embeddings\")",
         net.config_path(), padding, rows);
  }
  net.limit_tokens(rows - padding - 1);
}

void fairseq_heads(Net& net, const EncoderConfig& c, const std::string& prefix, Value* tokens,
                   Value* attention_mask) {
  if (common_head(net, tokens, attention_mask, c.hidden)) return;
  const auto first = [&](const std::string& layer) {
    return pooled_first(net, tokens, layer, c.hidden, "tanh");
  };
  switch (net.checkpoint().task) {
    case Task::text_classification:
      return classification_head(net, first("classifier.dense"), "classifier.out_proj", c.hidden);
    case Task::fill_mask:
      return masked_lm(net, tokens,
                       {{"lm_head.dense", "lm_head.layer_norm", "gelu", c.epsilon},
                        "lm_head",
                        prefix + "embeddings.word_embeddings.weight",
                        c.vocabulary,
                        c.hidden},
                       c.hidden);
    case Task::feature_extraction: {
      const bool pooler = net.has(prefix + "pooler.dense.weight");
      return encoder_head(net, tokens, pooler ? first(prefix + "pooler.dense") : nullptr, c.hidden);
    }
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

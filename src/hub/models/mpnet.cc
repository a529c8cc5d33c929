// MPNet: Song et al., 2020. BERT's encoder with a bias in attention by the distance of two tokens,
// one table of buckets for all layers (Raffel et al., 2019), and positions as RoBERTa counts them.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "src/base/fail.h"
#include "src/hub/models/fairseq.h"

namespace tercel::hub {

void build_mpnet(Net& net);

namespace {

using ir::Value;

constexpr int64_t kBuckets = 32;    // half of them for the tokens after a query
constexpr int64_t kFarthest = 128;  // from here on all distances share a bucket

// The bucket of a key `distance` after its query: exact for the nearest, then logarithmic.
int64_t mpnet_bucket(int64_t distance) {
  constexpr int64_t kSide = kBuckets / 2;
  constexpr int64_t kExact = kSide / 2;
  const int64_t side = distance > 0 ? kSide : 0;
  const int64_t steps = std::abs(distance);
  if (steps < kExact) return side + steps;
  const float octaves = std::log(static_cast<float>(steps) / kExact) /
                        std::log(static_cast<float>(kFarthest) / kExact);
  const auto wide = kExact + static_cast<int64_t>(octaves * (kSide - kExact));
  return side + std::min(wide, kSide - 1);
}

// [1, heads, sequence, sequence].
Value* distance_bias(Net& net, const EncoderConfig& c, const std::string& layer, Value* ids) {
  if (net.size_or("relative_attention_num_buckets", kBuckets) != kBuckets) {
    fail(Errc::unsupported, "{}: \"relative_attention_num_buckets\": only {} is supported",
         net.config_path(), kBuckets);
  }
  std::vector<int64_t> buckets;
  for (int64_t d = -kFarthest; d <= kFarthest; ++d) buckets.push_back(mpnet_bucket(d));
  Value* by_distance = net.embedding(net.b.ints(buckets), layer, kBuckets, c.heads);
  net.scope(layer);
  Value* places = net.places(ids);
  Value* distance = net.b.sub(net.b.unsqueeze(places, {0}), net.b.unsqueeze(places, {1}));
  Value* near =
      net.b.op("Clip", {distance, net.b.int_scalar(-kFarthest), net.b.int_scalar(kFarthest)});
  Value* row = net.b.add(near, net.b.int_scalar(kFarthest));
  Value* bias = net.b.op("Gather", {by_distance, row}, {{"axis", int64_t{0}}});
  return net.b.unsqueeze(net.b.transpose(bias, {2, 0, 1}), {0});
}

Value* mpnet_embeddings(Net& net, const EncoderConfig& c, const std::string& part, Value* ids) {
  constexpr int64_t kPadding = 1;  // whatever config.json says
  limit_positions(net, kPadding, c.positions);
  Value* words = net.embedding(ids, part + ".word_embeddings", c.vocabulary, c.hidden);
  Value* places =
      counted_positions(net, ids, part + ".position_embeddings", kPadding, c.positions, c.hidden);
  net.scope(part);
  return net.layer_norm(net.b.add(words, places), part + ".LayerNorm", c.hidden, c.epsilon);
}

Value* mpnet_layer(Net& net, const EncoderConfig& c, const std::string& part, Value* x,
                   Value* bias) {
  const std::string attention = part + ".attention";
  const std::string in = attention + ".attn.";
  Value* mixed = net.self_attention(x, bias, attention, {in + "q", in + "k", in + "v", in + "o"},
                                    c.hidden, c.heads);
  x = net.layer_norm(net.b.add(mixed, x), attention + ".LayerNorm", c.hidden, c.epsilon);
  return feed_forward(net, c, part, x);
}

}  // namespace

void build_mpnet(Net& net) {
  const EncoderConfig c(net);
  const std::string prefix = encoder_prefix(net, "mpnet.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");

  Value* x = mpnet_embeddings(net, c, prefix + "embeddings", ids);
  Value* bias = distance_bias(net, c, prefix + "encoder.relative_attention_bias", ids);
  Value* keys = net.b.unsqueeze(net.b.cast(attention_mask, Dtype::boolean), {1, 2});
  bias = net.masked(keys, bias);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = mpnet_layer(net, c, prefix + "encoder.layer." + std::to_string(i), x, bias);
  }
  fairseq_heads(net, c, prefix, x, attention_mask);
}

}  // namespace tercel::hub

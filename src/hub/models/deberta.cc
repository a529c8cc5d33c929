// DeBERTa-v2 and v3: He et al., 2020 and 2021. BERT's layer with scores that also weigh the content
// of a query against the distance of a key, and the content of a key against that distance.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "src/base/fail.h"
#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_deberta_v2(Net& net);

namespace {

using ir::Value;

// ["c2p", "p2c"], or "c2p|p2c" in old files.
bool has_type(const Net& net, std::string_view type) {
  const auto types = net.config().find("pos_att_type");
  if (!types) return false;
  if (types->is_string()) return types->string().find(type) != std::string_view::npos;
  bool found = false;
  types->for_each([&](const Json& one) { found = found || one.string() == type; });
  return found;
}

struct DebertaConfig : EncoderConfig {
  explicit DebertaConfig(const Net& net)
      : EncoderConfig(net),
        width(net.size_or("embedding_size", hidden)),
        segments(net.config().integer_or("type_vocab_size", 0)),
        buckets(net.config().integer_or("position_buckets", -1)),
        farthest(net.config().integer_or("max_relative_positions", -1)),
        kernel(net.config().integer_or("conv_kernel_size", 0)),
        terms(1 + (has_type(net, "c2p") ? 1 : 0) + (has_type(net, "p2c") ? 1 : 0)),
        shared(net.config().boolean_or("share_att_key", false)),
        absolute(net.config().boolean_or("position_biased_input", true)) {
    if (farthest < 1) farthest = positions;
    const bool relative = net.config().boolean_or("relative_attention", false);
    to_positions = relative && has_type(net, "c2p");
    from_positions = relative && has_type(net, "p2c");
    const auto norms = net.config().string_or("norm_rel_ebd", "none");
    normed = norms.find("layer_norm") != norms.npos;
    if (farthest > kMaxFarthest || buckets == 1 || buckets >= farthest) {
      fail(
          Errc::unsupported,
          "{}: \"max_relative_positions\" {} with \"position_buckets\" {}; supported are up to {}, "
          "and at least 2 buckets but fewer than positions",
          net.config_path(), farthest, buckets, kMaxFarthest);
    }
  }
  // Rows of relative embeddings to each side.
  int64_t span() const { return buckets > 0 ? buckets : farthest; }
  // Scores are a sum of up to three products.
  double scale(const Net& net) const {
    return 1 / std::sqrt(static_cast<double>(net.head_size(hidden, heads) * terms));
  }

  static constexpr int64_t kMaxFarthest = 1'000'000;
  int64_t width, segments, buckets, farthest, kernel, terms;
  bool shared, absolute;
  bool to_positions, from_positions, normed;
};

// Distances are exact up to half of the buckets, then logarithmic.
int64_t deberta_bucket(const DebertaConfig& c, int64_t distance) {
  const int64_t middle = c.buckets / 2;
  const int64_t steps = std::abs(distance);
  if (c.buckets <= 0 || steps <= middle) return distance;
  const float part = std::log(static_cast<float>(steps) / static_cast<float>(middle)) /
                     std::log(static_cast<float>(c.farthest - 1) / static_cast<float>(middle));
  const auto far = static_cast<int64_t>(std::ceil(part * static_cast<float>(middle - 1))) + middle;
  return distance < 0 ? -far : far;
}

// The row of the relative embeddings for each distance of a query from a key, from
// -(sequence - 1) to sequence - 1: int64 [2 sequence - 1].
Value* distance_rows(Net& net, const DebertaConfig& c, Value* ids) {
  std::vector<int64_t> rows;
  for (int64_t d = -c.farthest; d <= c.farthest; ++d) {
    rows.push_back(std::clamp<int64_t>(c.span() + deberta_bucket(c, d), 0, 2 * c.span() - 1));
  }
  net.scope("distances");
  Value* length = net.sequence_scalar(ids);
  Value* first = net.b.sub(net.b.int_scalar(1), length);
  Value* distance = net.b.op("Range", {first, length, net.b.int_scalar(1)});
  Value* near =
      net.b.op("Clip", {distance, net.b.int_scalar(-c.farthest), net.b.int_scalar(c.farthest)});
  return net.b.op("Gather", {net.b.ints(rows), net.b.add(near, net.b.int_scalar(c.farthest))},
                  {{"axis", int64_t{0}}});
}

// What all layers share.
struct Distances {
  Value* embeddings;  // [2 span, hidden]
  Value* rows;        // of a query in front of its key first
  Value* reversed;    // the other way
  Value* length;      // of the sequence, int64 [1]
  Value* pairs;       // boolean [batch, 1, sequence, sequence]: two tokens, neither padding
};

Value* heads_of(Net& net, const DebertaConfig& c, Value* x) {
  return net.b.transpose(net.b.reshape(x, {0, 0, c.heads, net.head_size(c.hidden, c.heads)}),
                         {0, 2, 1, 3});
}

// Products of x [batch, heads, sequence, size] with the embeddings of all distances, then for each
// pair of tokens that of its own: [batch, heads, sequence, sequence], where row i has for column j
// the distance that is j - i behind the middle of `rows`. Row i is shifted by i against the row
// before, which a view with rows one longer does.
Value* by_distance(Net& net, const DebertaConfig& c, const Distances& d, Value* x,
                   const std::string& layer, Value* rows) {
  Value* projected = net.linear(d.embeddings, layer, c.hidden, c.hidden);
  Value* chosen = net.b.op("Gather", {projected, rows}, {{"axis", int64_t{0}}});
  Value* size = net.b.reshape(chosen, {-1, c.heads, net.head_size(c.hidden, c.heads)});
  Value* products = net.b.matmul(x, net.b.transpose(size, {1, 2, 0}));

  Value* one = net.b.ints({1});
  Value* odd = net.b.sub(net.b.add(d.length, d.length), one);
  Value* padded = net.b.op("Pad", {products, net.b.ints({0, 0, 0, 0, 0, 0, 0, 1})});
  Value* flat = net.b.reshape(padded, {0, 0, -1});
  Value* start = net.b.sub(d.length, one);
  Value* end = net.b.add(start, net.b.mul(d.length, odd));
  Value* shifted = net.b.op("Slice", {flat, start, end, net.b.ints({2})});
  Value* shape = net.b.op("Concat", {net.b.ints({0, 0}), d.length, odd}, {{"axis", int64_t{0}}});
  Value* square = net.b.op("Reshape", {shifted, shape});
  return net.b.op("Slice", {square, net.b.ints({0}), d.length, net.b.ints({3})});
}

Value* deberta_attention(Net& net, const DebertaConfig& c, const std::string& part, Value* x,
                         const Distances& d) {
  const std::string in = part + ".self.";
  Value* query = net.linear(x, in + "query_proj", c.hidden, c.hidden);
  Value* key = net.linear(x, in + "key_proj", c.hidden, c.hidden);
  Value* value = net.linear(x, in + "value_proj", c.hidden, c.hidden);
  net.scope(part + ".self");
  query = heads_of(net, c, query);
  key = heads_of(net, c, key);
  value = heads_of(net, c, value);
  Value* bias = nullptr;
  if (c.to_positions) {
    bias = by_distance(net, c, d, query, in + (c.shared ? "key_proj" : "pos_key_proj"), d.reversed);
  }
  if (c.from_positions) {
    Value* of_keys =
        by_distance(net, c, d, key, in + (c.shared ? "query_proj" : "pos_query_proj"), d.rows);
    Value* turned = net.b.transpose(of_keys, {0, 1, 3, 2});
    bias = bias == nullptr ? turned : net.b.add(bias, turned);
  }
  const auto scale = static_cast<float>(c.scale(net));
  net.scope(part + ".self");
  bias = bias == nullptr ? net.b.scalar(0.0F) : net.b.mul(bias, net.b.scalar(scale));
  Value* mixed =
      net.b.op("Attention", {query, key, value, net.masked(d.pairs, bias)}, {{"scale", scale}});
  Value* joined = net.b.reshape(net.b.transpose(mixed, {0, 2, 1, 3}), {0, 0, c.hidden});
  return net.linear(joined, part + ".output.dense", c.hidden, c.hidden);
}

Value* deberta_layer(Net& net, const DebertaConfig& c, const std::string& part, Value* x,
                     const Distances& d) {
  const std::string attending = part + ".attention";
  Value* mixed = deberta_attention(net, c, attending, x, d);
  x = net.layer_norm(net.b.add(mixed, x), attending + ".output.LayerNorm", c.hidden, c.epsilon);
  return feed_forward(net, c, part, x);
}

// A convolution along the tokens of x [batch, sequence, hidden], as a product with a matrix for
// each place in the kernel.
Value* convolution(Net& net, const DebertaConfig& c, const std::string& layer, Value* x,
                   Value* length) {
  if (c.kernel % 2 == 0 || net.size_or("conv_groups", 1) != 1) {
    fail(Errc::unsupported,
         "{}: \"conv_kernel_size\" {} in {} groups; supported are odd sizes and one group",
         net.config_path(), c.kernel, net.size_or("conv_groups", 1));
  }
  Value* weight = net.weight(layer + ".weight", {c.hidden, c.hidden, c.kernel});
  Value* sum = net.f32(net.weight(layer + ".bias", {c.hidden}));
  net.scope(layer);
  const int64_t side = c.kernel / 2;
  Value* padded = net.b.op("Pad", {x, net.b.ints({0, side, 0, 0, side, 0})});
  for (int64_t i = 0; i < c.kernel; ++i) {
    Value* first = net.b.ints({i});
    Value* shifted = net.b.op("Slice", {padded, first, net.b.add(length, first), net.b.ints({1})});
    Value* plane = net.b.op("Gather", {weight, net.b.int_scalar(i)}, {{"axis", int64_t{2}}});
    plane->type = ir::Type::tensor(weight->type.dtype);
    Value* matrix = net.b.transpose(plane, {1, 0});
    matrix->type = ir::Type::tensor(weight->type.dtype);
    sum = net.b.add(net.b.matmul(shifted, net.f32(matrix)), sum);
  }
  return sum;
}

// v2-xlarge: a convolution beside the first layer. `mask` is f32 [batch, sequence, 1].
Value* convolved(Net& net, const DebertaConfig& c, const std::string& part, Value* before,
                 Value* after, Value* mask) {
  Value* length = net.sequence_length(before);
  Value* real = net.b.mul(convolution(net, c, part + ".conv", before, length), mask);
  Value* active = net.activation(real, net.config().string_or("conv_act", "tanh"));
  Value* sum = net.b.add(after, active);
  return net.b.mul(net.layer_norm(sum, part + ".LayerNorm", c.hidden, c.epsilon), mask);
}

Value* deberta_embeddings(Net& net, const DebertaConfig& c, const std::string& part, Value* ids,
                          Value* mask) {
  Value* x = net.embedding(ids, part + ".word_embeddings", c.vocabulary, c.width);
  if (c.absolute) {
    Value* places = net.positions(ids, part + ".position_embeddings", c.positions, c.width);
    x = net.b.add(x, places);
  }
  if (c.segments > 0) {
    Value* types = net.embedding(net.input("token_type_ids"), part + ".token_type_embeddings",
                                 c.segments, c.width);
    x = net.b.add(x, types);
  }
  if (c.width != c.hidden) x = net.linear(x, part + ".embed_proj", c.hidden, c.width, false);
  return net.b.mul(net.layer_norm(x, part + ".LayerNorm", c.hidden, c.epsilon), mask);
}

Distances distances(Net& net, const DebertaConfig& c, const std::string& part, Value* ids,
                    Value* mask) {
  Distances d{};
  net.scope("pairs");
  Value* real = net.b.cast(mask, Dtype::boolean);
  d.pairs = net.b.op("And", {net.b.unsqueeze(real, {1, 3}), net.b.unsqueeze(real, {1, 2})});
  if (!c.to_positions && !c.from_positions) return d;
  d.length = net.sequence_length(ids);
  d.rows = distance_rows(net, c, ids);
  Value* last = net.b.ints({-1});
  d.reversed = net.b.op("Slice", {d.rows, last, net.b.ints({INT64_MIN}), net.b.ints({0}), last});
  net.scope(part);
  d.embeddings = net.f32(net.weight(part + ".rel_embeddings.weight", {2 * c.span(), c.hidden}));
  if (c.normed) {
    d.embeddings = net.layer_norm(d.embeddings, part + ".LayerNorm", c.hidden, c.epsilon);
  }
  return d;
}

Value* deberta_encoder(Net& net, const DebertaConfig& c, const std::string& prefix, Value* ids,
                       Value* attention_mask) {
  const std::string part = prefix + "encoder";
  net.scope("mask");
  Value* mask = net.b.unsqueeze(net.b.cast(attention_mask, Dtype::f32), {2});
  Value* x = deberta_embeddings(net, c, prefix + "embeddings", ids, mask);
  const Distances d = distances(net, c, part, ids, attention_mask);
  for (int64_t i = 0; i < c.layers; ++i) {
    Value* before = x;
    x = deberta_layer(net, c, part + ".layer." + std::to_string(i), x, d);
    if (i == 0 && c.kernel > 0) x = convolved(net, c, part + ".conv", before, x, mask);
  }
  return x;
}

void fill_mask(Net& net, const DebertaConfig& c, const std::string& prefix, Value* tokens) {
  const std::string table = prefix + "embeddings.word_embeddings.weight";
  if (net.has("lm_predictions.lm_head.dense.weight")) {
    const std::string head = "lm_predictions.lm_head";
    Value* x = lm_transform(net, tokens, {head + ".dense", head + ".LayerNorm", c.act, c.epsilon},
                            c.hidden, c.hidden);
    net.scope(head);
    return masked_lm_head(net, x, table, head + ".bias", c.vocabulary, c.hidden);
  }
  const std::string head = "cls.predictions";
  const std::string transform = head + ".transform";
  masked_lm(net, tokens,
            {{transform + ".dense", transform + ".LayerNorm", c.act, c.epsilon},
             head,
             table,
             c.vocabulary,
             c.width},
            c.hidden);
}

}  // namespace

void build_deberta_v2(Net& net) {
  const DebertaConfig c(net);
  const std::string prefix = encoder_prefix(net, "deberta.", "embeddings.word_embeddings.weight");
  Value* ids = net.input("input_ids");
  Value* attention_mask = net.input("attention_mask");
  Value* x = deberta_encoder(net, c, prefix, ids, attention_mask);
  if (common_head(net, x, attention_mask, c.hidden)) return;
  switch (net.checkpoint().task) {
    case Task::text_classification: {
      const auto act = net.config().string_or("pooler_hidden_act", "gelu");
      return classification_head(net, pooled_first(net, x, "pooler.dense", c.hidden, act),
                                 "classifier", c.hidden);
    }
    case Task::fill_mask:
      return fill_mask(net, c, prefix, x);
    case Task::feature_extraction:
      return encoder_head(net, x, nullptr, c.hidden);
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

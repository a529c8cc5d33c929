// Sentence embeddings as sentence-transformers computes them: the modules after the transformer.
// Reimers and Gurevych, 2019.

#include <limits>
#include <string>
#include <vector>

#include "src/base/fail.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {
namespace {

using ir::Value;

struct Embedding {
  Value* value;
  int64_t size;
};

struct Tokens {
  Value* states;  // [batch, sequence, size]
  Value* mask;    // attention_mask
  int64_t size;
};

Value* token_count(Net& net, Value* mask) {
  Value* sum = net.b.op("ReduceSum", {mask, net.b.ints({1})}, {{"keepdims", int64_t{0}}});
  return net.b.op("Clip", {sum, net.b.scalar(1e-9F)});
}

Value* pool_cls(Net& net, const Tokens& tokens) { return net.first_token(tokens.states); }

Value* pool_max(Net& net, const Tokens& tokens) {
  Value* real = net.b.unsqueeze(net.b.cast(tokens.mask, Dtype::boolean), {2});
  Value* lowest = net.b.scalar(-std::numeric_limits<float>::infinity());
  Value* masked = net.b.op("Where", {real, tokens.states, lowest});
  return net.b.op("ReduceMax", {masked, net.b.ints({1})}, {{"keepdims", int64_t{0}}});
}

Value* pool_sum(Net& net, const Tokens& tokens, bool root) {
  Value* mask = net.b.unsqueeze(net.b.cast(tokens.mask, Dtype::f32), {2});
  Value* sum = net.b.op("ReduceSum", {net.b.mul(tokens.states, mask), net.b.ints({1})},
                        {{"keepdims", int64_t{0}}});
  Value* count = token_count(net, mask);
  return net.b.div(sum, root ? net.b.op("Sqrt", {count}) : count);
}

Value* pool_mean(Net& net, const Tokens& tokens) { return pool_sum(net, tokens, false); }
Value* pool_mean_sqrt_len(Net& net, const Tokens& tokens) { return pool_sum(net, tokens, true); }

// Later tokens weigh more: by their places, from one at the first real token.
Value* pool_weighted_mean(Net& net, const Tokens& tokens) {
  ir::Builder& b = net.b;
  Value* size = b.op("Shape", {tokens.mask}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
  Value* end = b.add(b.op("Squeeze", {size}), b.int_scalar(1));
  Value* places = b.op("Range", {b.int_scalar(1), end, b.int_scalar(1)});
  Value* from_first = b.sub(places, b.op("ArgMax", {tokens.mask}, {{"axis", int64_t{1}}}));
  Value* weights = b.unsqueeze(b.cast(b.mul(tokens.mask, from_first), Dtype::f32), {2});
  Value* sum =
      b.op("ReduceSum", {b.mul(tokens.states, weights), b.ints({1})}, {{"keepdims", int64_t{0}}});
  return b.div(sum, token_count(net, weights));
}

// The last real token; zeros for a sequence without any.
Value* pool_last(Net& net, const Tokens& tokens) {
  ir::Builder& b = net.b;
  Value* real = b.unsqueeze(b.cast(tokens.mask, Dtype::f32), {2});
  Value* last =
      b.op("ArgMax", {tokens.mask}, {{"axis", int64_t{1}}, {"select_last_index", int64_t{1}}});
  return b.op("GatherND", {b.mul(tokens.states, real), last}, {{"batch_dims", int64_t{1}}});
}

struct PoolingMode {
  std::string_view name;  // in "pooling_mode"
  std::string_view flag;  // the older boolean
  Value* (*build)(Net&, const Tokens&);
};

// In the order in which several are put side by side.
constexpr PoolingMode kPoolingModes[] = {
    {"cls", "pooling_mode_cls_token", pool_cls},
    {"max", "pooling_mode_max_tokens", pool_max},
    {"mean", "pooling_mode_mean_tokens", pool_mean},
    {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", pool_mean_sqrt_len},
    {"weightedmean", "pooling_mode_weightedmean_tokens", pool_weighted_mean},
    {"lasttoken", "pooling_mode_lasttoken", pool_last},
};

const PoolingMode& find_mode(std::string_view name, const std::string& path) {
  std::string known;
  for (const PoolingMode& mode : kPoolingModes) {
    if (mode.name == name) return mode;
    known += (known.empty() ? "" : ", ") + std::string(mode.name);
  }
  fail(Errc::unsupported, "{}: pooling \"{}\"; supported are {}", path, name, known);
}

std::vector<const PoolingMode*> pooling_modes(const std::filesystem::path& path) {
  const auto document = JsonDocument::open(path);
  const Json config = document.root();
  std::vector<const PoolingMode*> modes;
  const auto add = [&](const Json& name) {
    modes.push_back(&find_mode(name.string(), path.string()));
  };
  if (const auto named = config.find("pooling_mode")) {
    if (named->is_array()) {
      named->for_each(add);
    } else {
      add(*named);
    }
  }
  if (modes.empty()) {
    for (const PoolingMode& mode : kPoolingModes) {
      if (config.boolean_or(mode.flag, false)) modes.push_back(&mode);
    }
  }
  if (modes.empty()) modes.push_back(&find_mode("mean", path.string()));
  return modes;
}

Embedding pool(Net& net, const Tokens& tokens, const std::vector<const PoolingMode*>& modes) {
  net.scope("pooling");
  std::vector<Value*> parts;
  for (const PoolingMode* mode : modes) parts.push_back(mode->build(net, tokens));
  const int64_t size = tokens.size * static_cast<int64_t>(parts.size());
  if (parts.size() == 1) return {parts[0], size};
  return {net.b.op("Concat", parts, {{"axis", int64_t{1}}}), size};
}

Embedding dense(Net& net, Embedding x, const std::filesystem::path& directory) {
  const auto path = directory / "config.json";
  const auto document = JsonDocument::open(path);
  const Json config = document.root();
  const Json out = config["out_features"];
  if (out.integer() < 1) out.reject("a positive integer");
  const bool bias = config.boolean_or("bias", true);
  const std::string_view function =
      config.string_or("activation_function", "torch.nn.modules.activation.Tanh");

  const auto weights = open_weights(directory);
  net.read_from(weights.get(), directory.filename().string() + ".");
  Value* y = net.linear(x.value, "linear", out.integer(), x.size, bias);
  net.read_from(nullptr, "");
  if (function.ends_with(".Tanh")) return {net.activation(y, "tanh"), out.integer()};
  if (function.ends_with(".Identity")) return {y, out.integer()};
  fail(Errc::unsupported, "{}: activation_function \"{}\"; supported are Tanh and Identity",
       path.string(), function);
}

Embedding normalize(Net& net, Embedding x) {
  net.scope("normalize");
  Value* length = net.b.op("ReduceL2", {x.value, net.b.ints({1})}, {{"keepdims", int64_t{1}}});
  Value* nonzero = net.b.op("Clip", {length, net.b.scalar(1e-12F)});
  return {net.b.div(x.value, nonzero), x.size};
}

}  // namespace

Value* mean_token(Net& net, Value* tokens, Value* attention_mask) {
  return pool_mean(net, {tokens, attention_mask, 0});
}

void sentence_head(Net& net, Value* states, Value* attention_mask, int64_t hidden) {
  const auto root = net.checkpoint().root;
  const auto modules = sentence_modules(root);
  const Tokens tokens{states, attention_mask, hidden};
  Embedding x{nullptr, 0};
  if (!modules) x = pool(net, tokens, {&find_mode("mean", net.config_path())});
  for (const SentenceModule& module : modules.value_or(std::vector<SentenceModule>{})) {
    const bool pooling = module.type == "Pooling";
    if (pooling != (x.value == nullptr)) {
      fail(Errc::unsupported, "{}: expected one Pooling, in front of {}",
           (root / "modules.json").string(), module.type);
    }
    if (pooling) {
      x = pool(net, tokens, pooling_modes(module.directory / "config.json"));
    } else if (module.type == "Dense") {
      x = dense(net, x, module.directory);
    } else if (module.type == "Normalize") {
      x = normalize(net, x);
    } else {
      fail(Errc::unsupported, "{}: module \"{}\"; supported are Pooling, Dense and Normalize",
           (root / "modules.json").string(), module.type);
    }
  }
  if (x.value == nullptr) {
    fail(Errc::unsupported, "{}: expected a Pooling module", (root / "modules.json").string());
  }
  net.output("sentence_embedding", x.value, {ir::Dim("batch"), x.size});
  net.output("token_embeddings", states, {ir::Dim("batch"), ir::Dim("sequence"), hidden});
}

}  // namespace tercel::hub

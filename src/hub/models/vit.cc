// ViT: Dosovitskiy et al., 2020. A pre-normalised encoder over the patches of an image. Input:
// `pixel_values`, f32 [batch, channels, height, width] of the size that config.json says.

#include <string>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/hub/models/encoder.h"
#include "src/hub/models/heads.h"

namespace tercel::hub {

void build_vit(Net& net);

namespace {

using ir::Dim;
using ir::Value;

struct Size {
  int64_t height, width;
};

// A number, or a height and a width.
Size size_pair(const Net& net, std::string_view key) {
  const Json value = net.config()[key];
  if (!value.is_array()) return {net.size_of(key), net.size_of(key)};
  int64_t sizes[2] = {};
  int64_t count = 0;
  value.for_each([&](const Json& size) {
    if (count < 2) sizes[count] = size.integer();
    ++count;
  });
  if (count != 2 || sizes[0] < 1 || sizes[1] < 1) value.reject("two positive integers");
  return {sizes[0], sizes[1]};
}

struct ViTConfig {
  explicit ViTConfig(const Net& net)
      : image(size_pair(net, "image_size")),
        patch(size_pair(net, "patch_size")),
        channels(net.size_or("num_channels", 3)),
        hidden(net.size_of("hidden_size")),
        inner(net.size_of("intermediate_size")),
        layers(net.size_of("num_hidden_layers")),
        heads(net.size_of("num_attention_heads")),
        epsilon(net.config().number_or("layer_norm_eps", 1e-12)),
        bias(net.config().boolean_or("qkv_bias", true)),
        act(net.config().string_or("hidden_act", "gelu")) {
    if (image.height % patch.height != 0 || image.width % patch.width != 0) {
      fail(Errc::unsupported, "{}: images of {}x{} in patches of {}x{}; a rest is not supported",
           net.config_path(), image.height, image.width, patch.height, patch.width);
    }
  }
  Size image, patch;
  int64_t channels, hidden, inner, layers, heads;
  double epsilon;
  bool bias;
  std::string act;
};

// A convolution whose stride is its kernel's size is a product of patches with a matrix.
Value* patches(Net& net, const ViTConfig& c, const std::string& layer, Value* pixels) {
  const int64_t rows = c.image.height / c.patch.height;
  const int64_t columns = c.image.width / c.patch.width;
  Value* stored =
      net.weight(layer + ".weight", {c.hidden, c.channels, c.patch.height, c.patch.width});
  const int64_t pixels_of_patch = c.channels * c.patch.height * c.patch.width;
  net.scope(layer);
  Value* grid =
      net.b.reshape(pixels, {0, c.channels, rows, c.patch.height, columns, c.patch.width});
  Value* apart = net.b.transpose(grid, {0, 2, 4, 1, 3, 5});
  Value* x = net.b.reshape(apart, {0, -1, pixels_of_patch});
  Value* matrix = net.b.reshape(stored, {c.hidden, pixels_of_patch});
  matrix->type = ir::Type::tensor(stored->type.dtype);
  Value* transposed = net.b.transpose(matrix, {1, 0});
  transposed->type = ir::Type::tensor(stored->type.dtype);
  Value* product = net.b.matmul(x, net.f32(transposed));
  return net.b.add(product, net.f32(net.weight(layer + ".bias", {c.hidden})));
}

Value* vit_embeddings(Net& net, const ViTConfig& c, const std::string& part, Value* pixels) {
  Value* x = patches(net, c, part + ".patch_embeddings.projection", pixels);
  const int64_t count = checked_mul(c.image.height / c.patch.height, c.image.width / c.patch.width);
  Value* first = net.f32(net.weight(part + ".cls_token", {1, 1, c.hidden}));
  Value* places =
      net.f32(net.weight(part + ".position_embeddings", {1, checked_add(count, 1), c.hidden}));
  net.scope(part);
  Value* batch = net.b.op("Shape", {pixels}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  Value* shape = net.b.op("Concat", {batch, net.b.ints({1, c.hidden})}, {{"axis", int64_t{0}}});
  Value* each = net.b.op("Expand", {first, shape});
  return net.b.add(net.b.op("Concat", {each, x}, {{"axis", int64_t{1}}}), places);
}

Value* vit_layer(Net& net, const ViTConfig& c, const std::string& part, Value* x) {
  const std::string attention = part + ".attention";
  const std::string in = attention + ".attention";
  Value* normed = net.layer_norm(x, part + ".layernorm_before", c.hidden, c.epsilon);
  Value* mixed = net.self_attention(normed, nullptr, attention,
                                    {.query = in + ".query",
                                     .key = in + ".key",
                                     .value = in + ".value",
                                     .output = attention + ".output.dense",
                                     .bias = c.bias},
                                    c.hidden, c.heads);
  x = net.b.add(mixed, x);
  normed = net.layer_norm(x, part + ".layernorm_after", c.hidden, c.epsilon);
  Value* wide = net.linear(normed, part + ".intermediate.dense", c.inner, c.hidden);
  Value* narrow =
      net.linear(net.activation(wide, c.act), part + ".output.dense", c.hidden, c.inner);
  return net.b.add(narrow, x);
}

}  // namespace

void build_vit(Net& net) {
  const ViTConfig c(net);
  net.limit_tokens(0);
  const std::string prefix = encoder_prefix(net, "vit.", "embeddings.cls_token");
  Value* pixels = net.input("pixel_values", Dtype::f32,
                            {Dim("batch"), c.channels, c.image.height, c.image.width});
  Value* x = vit_embeddings(net, c, prefix + "embeddings", pixels);
  for (int64_t i = 0; i < c.layers; ++i) {
    x = vit_layer(net, c, prefix + "encoder.layer." + std::to_string(i), x);
  }
  x = net.layer_norm(x, prefix + "layernorm", c.hidden, c.epsilon);
  switch (net.checkpoint().task) {
    case Task::image_classification:
      net.scope("classifier");
      return classification_head(net, net.first_token(x), "classifier", c.hidden);
    case Task::feature_extraction: {
      const auto act = net.config().string_or("pooler_act", "tanh");
      const std::string pooler = prefix + "pooler.dense";
      return encoder_head(
          net, x,
          net.has(pooler + ".weight") ? pooled_first(net, x, pooler, c.hidden, act) : nullptr,
          c.hidden);
    }
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

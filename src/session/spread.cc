#include "src/session/spread.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "src/ops/op_def.h"
#include "src/runtime/subgraph.h"
#include "src/session/flops.h"

namespace tercel {
namespace {

// Up to the first part that is a number: "encoder/layer/0" of "encoder/layer/0/output/dense/MatMul"
// and of "/encoder/layer.0/output/Add"; without one, two parts at most, the node's own left out.
std::string layer_name(const std::string& node) {
  std::string path;
  std::string beginning;
  int parts = 0;
  for (std::size_t begin = 0; begin < node.size();) {
    const std::size_t end = std::min(node.find_first_of("/.", begin), node.size());
    const std::string part = node.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    path += (path.empty() ? "" : "/") + part;
    const bool number =
        std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (number && parts > 0) return path;
    if (end < node.size() && ++parts <= 2) beginning = path;
  }
  return beginning;
}

class Layers {
 public:
  Layers(const ir::Graph& graph, const ops::Facts& facts, Dtype kept, int64_t rows, int64_t length)
      : graph_(graph), kept_(kept), length_(length) {
    for (const ir::Value* input : graph.inputs()) close(input, facts, rows);
    for (const ir::Value* initializer : graph.initializers()) close(initializer, facts, rows);
    for (const auto& node : graph.nodes())
      for (int i = 0; i < node->num_outputs(); ++i) close(node->output(i), facts, rows);
  }

  std::vector<ModelLayer> find() {
    for (const auto& node : graph_.nodes()) {
      if (is_load_time(*node)) {
        for (int i = 0; i < node->num_outputs(); ++i) constant_.insert(node->output(i));
        continue;
      }
      nodes_.push_back(node.get());
    }
    cut();
    add_activations();
    return std::move(layers_);
  }

 private:
  bool is_load_time(const ir::Node& node) const {
    const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
    return def != nullptr && def->deterministic && node.num_inputs() > 0 &&
           !runtime::runs_subgraphs(node) &&
           std::all_of(node.inputs().begin(), node.inputs().end(), [&](const ir::Value* input) {
             return input == nullptr || is_constant(input);
           });
  }
  bool is_constant(const ir::Value* value) const {
    return value->is_constant() || constant_.contains(value);
  }

  // With open dimensions as `rows`.
  void close(const ir::Value* value, const ops::Facts& facts, int64_t rows) {
    const ir::Type* known = value != nullptr ? facts.type(value) : nullptr;
    if (known == nullptr) return;
    ir::Type type = *known;
    if (type.dims)
      for (ir::Dim& dim : *type.dims) dim = dim.known() ? dim : ir::Dim(rows);
    facts_.set_type(value, std::move(type));
  }

  std::size_t bytes(const ir::Value* value) const {
    const ir::Type* type = value != nullptr ? facts_.type(value) : nullptr;
    const auto shape = type != nullptr ? type->shape() : std::nullopt;
    if (!shape || type->dtype == Dtype::undefined) return 0;
    return bytes_of(type->dtype == Dtype::f32 ? kept_ : type->dtype, element_count(*shape));
  }

  // As it is kept, whatever it is stored as.
  std::size_t weight_bytes(const ir::Value* value) const {
    const ir::Type* type = facts_.type(value);
    if (type == nullptr || !is_floating_point(type->dtype)) return bytes(value);
    const auto shape = type->shape();
    return shape ? bytes_of(kept_, element_count(*shape)) : 0;
  }

  double flops(const ir::Node& node) const {
    if (node.op_type() != "PackedAttention") return count_flops(node, facts_);
    const ir::Type* query = facts_.type(node.input(0));
    const auto shape = query != nullptr ? query->shape() : std::nullopt;
    return shape ? 4.0 * static_cast<double>(element_count(*shape)) * static_cast<double>(length_)
                 : 0;
  }

  // Nodes of no name and nodes without weights stay with those before them.
  void cut() {
    for (const ir::Node* node : nodes_) {
      std::size_t weights = 0;
      std::size_t largest = 0;  // of those that are floating-point
      double moved = 0;
      std::vector<const ir::Value*> read;
      for (const ir::Value* input : node->inputs()) {
        if (input == nullptr) continue;
        if (!is_constant(input)) {
          moved += static_cast<double>(bytes(input));
          read.push_back(input);
          continue;
        }
        weights += weight_bytes(input);
        const ir::Type* type = facts_.type(input);
        if (type != nullptr && is_floating_point(type->dtype))
          largest = std::max(largest, weight_bytes(input));
      }
      for (int i = 0; i < node->num_outputs(); ++i)
        moved += static_cast<double>(bytes(node->output(i)));
      begin_layer(*node, largest);
      ModelLayer& layer = layers_.back();
      layer.nodes.push_back(node);
      for (const ir::Value* value : read) layer.reads.emplace(value, bytes(value));
      layer.weight_bytes += weights;
      layer.flops += flops(*node);
      // A table of embeddings is read by rows, not as a whole.
      const bool table = node->is("Gather") && is_constant(node->input(0));
      layer.moved_bytes += moved + (table ? 0.0 : static_cast<double>(weights));
    }
  }

  void begin_layer(const ir::Node& node, std::size_t largest) {
    const std::string name = layer_name(node.name);
    const bool other = name.empty() ? largest > kLarge && largest_ > kLarge : name != name_;
    const bool first = largest > 0 && largest_ == 0;  // what was before has no weights
    if (layers_.empty()) {
      layers_.push_back({.name = name.empty() ? node.op_type() : name});
    } else if (largest > 0 && other && !first) {
      layers_.push_back({.name = name.empty() ? node.op_type() : name});
      largest_ = 0;
    } else if (first && !name.empty()) {
      layers_.back().name = name;
    }
    if (largest > 0) name_ = name;
    largest_ = std::max(largest_, largest);
  }

  // What is alive at each node: from the one that makes it to the last that reads it, or a view of
  // it.
  void add_activations() {
    std::unordered_map<const ir::Value*, const ir::Value*> seen;  // a view's: what it sees
    std::unordered_map<const ir::Value*, std::pair<std::size_t, std::size_t>> lives;
    const auto origin = [&](const ir::Value* value) {
      const auto found = seen.find(value);
      return found != seen.end() ? found->second : value;
    };
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const ir::Node& node = *nodes_[i];
      for (const ir::Value* input : node.inputs()) {
        if (input == nullptr || is_constant(input)) continue;
        lives.try_emplace(origin(input), 0, i).first->second.second = i;
      }
      const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
      const bool view = def != nullptr && def->view_of_input && node.num_outputs() == 1 &&
                        node.input(0) != nullptr && !is_constant(node.input(0));
      if (view) seen.emplace(node.output(), origin(node.input(0)));
      for (int k = 0; !view && k < node.num_outputs(); ++k)
        if (node.output(k) != nullptr) lives.try_emplace(node.output(k), i, i);
    }
    std::vector<double> change(nodes_.size() + 1);
    for (const auto& [value, life] : lives) {
      const auto size = static_cast<double>(bytes(value));
      change[life.first] += size;
      change[life.second + 1] -= size;
    }
    double alive = 0;
    std::size_t at = 0;
    for (ModelLayer& layer : layers_) {
      for (std::size_t i = 0; i < layer.nodes.size(); ++i) {
        alive += change[at++];
        layer.activation_bytes =
            std::max(layer.activation_bytes, static_cast<std::size_t>(std::max(0.0, alive)));
      }
    }
  }

  static constexpr std::size_t kLarge = std::size_t{64} << 10;  // a weight, not a bias
  const ir::Graph& graph_;
  ops::Facts facts_;
  Dtype kept_;
  int64_t length_;
  std::vector<const ir::Node*> nodes_;
  std::unordered_set<const ir::Value*> constant_;
  std::vector<ModelLayer> layers_;
  std::string name_;         // of the last layer's nodes that have weights
  std::size_t largest_ = 0;  // weight of the last layer, in bytes
};

}  // namespace

std::vector<ModelLayer> layers_of(const ir::Graph& graph, const ops::Facts& facts, Dtype kept,
                                  int64_t rows, int64_t length) {
  return Layers(graph, facts, kept, rows, length).find();
}

namespace {

// Of consecutive layers, on one device.
class Stretches {
 public:
  Stretches(std::span<const ModelLayer> layers, std::span<const DeviceRoom> devices)
      : layers_(layers), devices_(devices), unbounded_(devices.size() - 1) {}

  // For each end of a stretch on `device`, what the slowest of the devices up to this one takes,
  // and where the stretch begins: `before` has the former for the device before it.
  struct Best {
    double seconds = std::numeric_limits<double>::infinity();  // when there is no room
    std::size_t begin = 0;
  };
  std::vector<Best> extend(const std::vector<Best>& before, std::size_t device) const {
    std::vector<Best> best(layers_.size() + 1);
    for (std::size_t end = 0; end < best.size(); ++end) {
      std::size_t weights = 0;
      std::size_t activations = 0;
      double seconds = 0;
      best[end] = {before[end].seconds, end};
      for (std::size_t begin = end; begin-- > 0;) {
        const ModelLayer& layer = layers_[begin];
        weights += layer.weight_bytes;
        activations = std::max(activations, layer.activation_bytes);
        seconds += predicted_seconds(layer, devices_[device]);
        const bool room = device == unbounded_ || weights + activations <= devices_[device].memory;
        if (!room || seconds >= best[end].seconds) break;
        const double slowest = std::max(seconds, before[begin].seconds);
        if (slowest < best[end].seconds) best[end] = {slowest, begin};
      }
    }
    return best;
  }

 private:
  std::span<const ModelLayer> layers_;
  std::span<const DeviceRoom> devices_;
  std::size_t unbounded_;
};

}  // namespace

std::vector<std::size_t> spread(std::span<const ModelLayer> layers,
                                std::span<const DeviceRoom> devices) {
  const Stretches stretches(layers, devices);
  std::vector<std::vector<Stretches::Best>> best(1);
  best[0].resize(layers.size() + 1);
  best[0][0].seconds = 0;
  while (best.size() <= devices.size() && std::isinf(best.back().back().seconds))
    best.push_back(stretches.extend(best.back(), best.size() - 1));
  std::vector<std::size_t> places(layers.size());
  std::size_t end = layers.size();
  for (std::size_t device = best.size() - 1; device-- > 0;) {
    const std::size_t begin = best[device + 1][end].begin;
    std::fill(places.begin() + static_cast<std::ptrdiff_t>(begin),
              places.begin() + static_cast<std::ptrdiff_t>(end), device);
    end = begin;
  }
  return places;
}

std::vector<double> received_bytes(std::span<const ModelLayer> layers,
                                   std::span<const std::size_t> places, std::size_t devices) {
  std::vector<double> received(devices);
  std::unordered_map<const ir::Node*, std::size_t> place_of;
  for (std::size_t i = 0; i < layers.size(); ++i)
    for (const ir::Node* node : layers[i].nodes) place_of.emplace(node, places[i]);
  std::unordered_set<const ir::Value*> there;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (i > 0 && places[i] != places[i - 1]) there.clear();
    for (const auto& [value, bytes] : layers[i].reads) {
      const auto maker = place_of.find(value->producer());
      if (maker == place_of.end() || maker->second == places[i]) continue;
      if (there.insert(value).second) received[places[i]] += static_cast<double>(bytes);
    }
  }
  return received;
}

double predicted_seconds(const ModelLayer& layer, const DeviceRoom& device) {
  if (device.flops <= 0 || device.bandwidth <= 0) return 0;
  return std::max(layer.flops / device.flops, layer.moved_bytes / device.bandwidth);
}

std::size_t usable_memory(std::size_t free) { return free / 10 * 9; }

}  // namespace tercel

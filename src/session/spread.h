#pragma once
// Which layers of a model lie on which device, when not all of them fit on the first: the leading
// layers there, the next on the next device, and what no other has room for on the last, the CPU.

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/ops/infer.h"

namespace tercel {

// Nodes that stay together: a layer, as their names say it ("encoder/layer/0"), else what a weight
// is used for.
struct ModelLayer {
  std::string name;
  std::vector<const ir::Node*> nodes;
  std::size_t weight_bytes = 0;
  std::size_t activation_bytes = 0;  // the most that is alive at once while it runs
  double flops = 0;
  double moved_bytes = 0;  // weights read once, and what its nodes read and write
  // Bytes of each value that its nodes read.
  std::unordered_map<const ir::Value*, std::size_t> reads;
};

// The layers in the order of the graph, which is optimised or not. `kept`: what f32 is held as.
// `facts`: of inputs of `rows` tokens in all, of sequences that are `length` long; a dimension that
// they leave open (the number of real tokens) counts as `rows`.
std::vector<ModelLayer> layers_of(const ir::Graph& graph, const ops::Facts& facts, Dtype kept,
                                  int64_t rows, int64_t length);

struct DeviceRoom {
  std::size_t memory = 0;  // bytes for weights and activations together
  double bandwidth = 0;    // bytes a second; 0: not known
  double flops = 0;        // operations a second; likewise
  double link = 0;         // bytes a second that come from the device before it; likewise
};

// A device for each layer, as an index of `devices`; the indices never fall. As few of the leading
// devices as have room for the weights, and the largest of the activations, of their layers; the
// last has room for anything. Of the ways to share the layers out, one whose slowest device takes
// the least time, which is what batches that follow each other wait for.
std::vector<std::size_t> spread(std::span<const ModelLayer> layers,
                                std::span<const DeviceRoom> devices);

// Bytes that each device gets of those before it when the layers lie at `places`: a value once, as
// it is kept.
std::vector<double> received_bytes(std::span<const ModelLayer> layers,
                                   std::span<const std::size_t> places, std::size_t devices);

// What the longer of computing and moving memory takes; 0 where the device's rates are not known.
double predicted_seconds(const ModelLayer& layer, const DeviceRoom& device);

// Of a device's memory, what a model may plan with: the rest is for the libraries' workspaces, and
// for requests larger than those that were planned for.
std::size_t usable_memory(std::size_t free);

}  // namespace tercel

#pragma once
// What loading a model would take, and where its layers would lie, before anything is loaded.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/error.h"
#include "tercel/export.h"

namespace tercel {

struct PlanOptions {
  // In the order in which layers are spread over them, as many as are needed; the last takes what
  // no other has room for. What a session with placement = auto does with GPUs and, last, the CPU.
  std::vector<std::string> devices = {"cpu"};
  Dtype dtype = Dtype::f32;  // as of SessionOptions: f32, f16 or bf16
  int64_t batch = 1;
  int64_t sequence = 0;  // 0: 128, or the longest that the model takes when that is less
  std::map<std::string, int64_t> dimensions;  // of inputs, by their symbols; others are 1
  std::string task;
  // By the device's name, in place of what is found out: bytes of free memory, bytes a second, and
  // operations a second. A device with memory of its own here need not exist.
  std::map<std::string, std::size_t> memory;
  std::map<std::string, double> bandwidth;
  std::map<std::string, double> peak;
};

struct PlannedDevice {
  std::string name;
  std::size_t memory = 0;  // free, or as supposed
  std::size_t usable = 0;  // of it, for weights and activations
  double bandwidth = 0;    // bytes a second
  double peak = 0;         // operations a second, in the plan's dtype
  bool measured = false;   // both of them; otherwise one is what was said or assumed
  std::size_t weight_bytes = 0;
  std::size_t activation_bytes = 0;  // at the sequence of the plan, of a part of its batch
  double received_bytes = 0;         // of the batch, from the devices before it
  double link = 0;                   // bytes a second at which they come, measured or assumed
  double seconds = 0;                // predicted, of the batch in one piece, with what it receives
  bool fits = true;
};

struct PlannedLayer {
  std::string name;
  std::string device;
  std::size_t weight_bytes = 0;
  std::size_t activation_bytes = 0;
  double flops = 0;
  double seconds = 0;
};

struct ModelPlan {
  std::vector<PlannedDevice> devices;
  std::vector<PlannedLayer> layers;
  std::size_t weight_bytes = 0;
  // Predicted, without what goes to the first device and what comes from the last. A batch goes
  // through the devices in parts, which overlap.
  int64_t parts = 1;
  double seconds = 0;  // from a batch to its outputs
  double seconds_between =
      0;                // the outputs of batches that follow each other: the slowest device's
  std::string shape;    // of the inputs: "batch=1, sequence=128"
  std::string warning;  // what a session would refuse; empty when it would do as planned
};

// Reads the graph and the headers of the files, not the weights. Throws as Session::load, and
// Errc::unsupported for a device that is neither there nor supposed.
TERCEL_API ModelPlan plan_model(const std::filesystem::path& path, const PlanOptions& options);

}  // namespace tercel

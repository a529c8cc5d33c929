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
  // In the order in which they are filled; the last takes all that is left.
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
  std::size_t activation_bytes = 0;  // at the batch and sequence of the plan
  double seconds = 0;                // predicted, of a run
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
  std::string shape;    // of the inputs: "batch=1, sequence=128"
  std::string warning;  // what a session would refuse; empty when it would do as planned
};

// Reads the graph and the headers of the files, not the weights. Throws as Session::load, and
// Errc::unsupported for a device that is neither there nor supposed.
TERCEL_API ModelPlan plan_model(const std::filesystem::path& path, const PlanOptions& options);

}  // namespace tercel

#pragma once
// A plan: the program at given input shapes. Every shape is known (but behind operators whose
// output depends on the data), values that shapes decide are constants, and each value has its
// place in memory.

#include <cstddef>
#include <string>
#include <vector>

#include "src/runtime/program.h"

namespace tercel::runtime {

enum class Place {
  unused,    // nobody reads it in this plan
  input,     // the caller's tensor
  constant,  // the same at every run of this plan
  arena,     // at an offset of the run's arena
  output,    // the memory of a graph output, `index`
  dynamic,   // allocated during the run
};

struct PlannedSlot {
  Place place = Place::unused;
  Dtype dtype = Dtype::undefined;
  Shape shape;
  bool on_device = false;
  std::size_t offset = 0;  // arena: the accelerator's for what is on the device
  int index = -1;          // input or output
  Tensor constant;
};

struct PlannedStep {
  const Step* step = nullptr;
  std::size_t workspace = 0;  // offset of its scratch in the arena, the accelerator's for its steps
  std::size_t staging = 0;  // of a transfer: offset in the CPU's arena of the bytes that are copied
  // A transfer to the device whose bytes lie side by side with those of others, on either side: the
  // first of them copies all, `joined_bytes`, the others nothing.
  bool joined = false;
  std::size_t joined_bytes = 0;
  // A transfer to the host: the wanted graph output that it alone makes, and that no step reads.
  int output = -1;
  bool is_view = false;
  bool dynamic = false;  // shapes are inferred again when it runs
};

struct Plan {
  std::vector<PlannedSlot> slots;
  std::vector<PlannedStep> steps;
  std::size_t arena_bytes = 0;
  std::size_t device_bytes = 0;                 // of the arena in the accelerator's memory
  std::string largest = "intermediate values";  // what takes most of it, for messages
  // For each graph output: whether the run must copy it out of its slot (it shares memory with
  // another value, or is an input or a constant). Otherwise its slot's place is Place::output or
  // dynamic.
  std::vector<bool> copy_output;
  std::vector<bool> wanted;
};

// Plans a run of `program` for inputs of these shapes that computes the `wanted` outputs.
// Throws Errc::invalid_argument when the model rejects the shapes.
Plan make_plan(const Program& program, const std::vector<Shape>& inputs,
               const std::vector<bool>& wanted, ThreadPool& pool);

}  // namespace tercel::runtime

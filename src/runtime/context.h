#pragma once
// The memory of one run: a plan's slots as tensors, bound to an arena and to the caller's inputs
// and outputs. Used by one run at a time and kept for the next, so that a run of a known shape
// allocates nothing.

#include <vector>

#include "src/runtime/plan.h"

namespace tercel::runtime {

using ops::RunLimits;

class Context {
 public:
  Context(const Plan& plan, ThreadPool& pool, Allocator& memory);

  // `arena` holds plan.arena_bytes, at a 64-byte boundary.
  void bind_arena(std::byte* arena);
  // One tensor a graph input and output, of the shapes that the plan has for them; outputs that are
  // dynamic or not wanted may be undefined.
  void attach(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs);
  // Throws Errc::cancelled or Errc::deadline_exceeded between two steps, and what kernels throw.
  void run(const RunLimits& limits);
  // Completes `outputs` with what the run did not write in place. `slots`: of the graph's outputs.
  void collect(const std::vector<int>& slots, std::vector<Tensor>& outputs) const;
  // Lets go of all that is the caller's.
  void detach();

  const Tensor& slot(int index) const;

 private:
  void run_step(const PlannedStep& planned, const RunLimits& limits);
  void load(const Step& step);
  void run_dynamic(const Step& step, const RunLimits& limits);
  void allocate_outputs(const Step& step);
  Tensor view(const Step& step);

  const Plan& plan_;
  ThreadPool& pool_;
  Allocator& memory_;
  std::byte* arena_ = nullptr;
  std::vector<Tensor> slots_;
  std::vector<Tensor> inputs_;  // of the step that runs
  std::vector<Tensor> outputs_;
};

}  // namespace tercel::runtime

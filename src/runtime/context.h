#pragma once
// The memory of one run: a plan's slots as tensors, bound to an arena and to the caller's inputs
// and outputs. Used by one run at a time and kept for the next, so that a run of a known shape
// allocates nothing.

#include <vector>

#include "src/runtime/device_binding.h"
#include "src/runtime/plan.h"

namespace tercel::runtime {

using ops::RunLimits;
class DeviceRun;

// Where the accelerator's steps are put, and where they say that their data are wrong.
struct Queue {
  Stream* stream = nullptr;
  int* fault = nullptr;
  bool tune = false;
};

class Context {
 public:
  Context(const Plan& plan, ThreadPool& pool, Allocator& memory, Accelerator* accelerator);
  ~Context();

  // `arena` holds plan.arena_bytes and `device_arena` plan.device_bytes, at 64-byte boundaries.
  void bind_arena(std::byte* arena, std::byte* device_arena);
  // One tensor a graph input and output, of the shapes that the plan has for them; outputs that are
  // dynamic or not wanted may be undefined.
  // `binding`: where they lie; only transfers may read or write what is not on the host.
  void attach(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
              const DeviceBinding& binding);
  // Throws Errc::cancelled or Errc::deadline_exceeded between two steps, and what kernels throw.
  void run(const RunLimits& limits);
  // Completes `outputs`, of the host's, with what the run did not write in place. `slots`: of the
  // graph's outputs.
  void collect(const std::vector<int>& slots, std::vector<Tensor>& outputs) const;
  // Lets go of all that is the caller's.
  void detach();

  const Tensor& slot(int index) const;
  const std::byte* arena() const { return arena_; }  // of the last run

 private:
  friend class DeviceRun;
  void run_step(const PlannedStep& planned, const RunLimits& limits);
  ops::KernelRun kernel_run(std::byte* workspace, const RunLimits& limits, Queue queue = {});
  void load(const Step& step);
  void run_dynamic(const Step& step, const RunLimits& limits, Queue queue = {});
  Allocator& memory_of(const Step& step);
  void allocate_outputs(const Step& step);
  Tensor view(const Step& step, Queue queue);

  const Plan& plan_;
  ThreadPool& pool_;
  Allocator& memory_;
  Accelerator* accelerator_;
  std::byte* arena_ = nullptr;
  std::byte* device_arena_ = nullptr;
  std::unique_ptr<DeviceRun> device_run_;               // with an accelerator
  std::vector<std::shared_ptr<Buffer>> scratch_;        // that the queue may still use
  const std::vector<Tensor>* bound_outputs_ = nullptr;  // of the run
  const DeviceBinding* binding_ = nullptr;
  std::vector<Tensor> slots_;
  std::vector<Tensor> inputs_;  // of the step that runs
  std::vector<Tensor> outputs_;
};

}  // namespace tercel::runtime

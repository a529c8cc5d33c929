#pragma once
// Runs a program: finds or makes the plan for the inputs' shapes, leases memory, goes through the
// steps. Safe from many threads at once; locks are held only to look things up, never while
// computing.

#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "src/runtime/context.h"

namespace tercel::runtime {

class Executor {
 public:
  Executor(const Program& program, ThreadPool& pool, std::shared_ptr<Allocator> memory);
  ~Executor();

  // `inputs`: one a given input of the program, of its type. `outputs`: one a graph output; what is
  // defined is written into (its shape must be the output's), what is not is allocated, and what is
  // not `wanted` is left alone.
  void run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
           const std::vector<bool>& wanted, const RunLimits& limits);
  // Likewise, with inputs and outputs where the accelerator reaches them. What the CPU reads or
  // makes of them is copied; where outputs that were not defined then lie, `binding` says.
  void run(std::vector<Tensor> inputs, std::vector<Tensor>& outputs,
           const std::vector<bool>& wanted, const RunLimits& limits, DeviceBinding& binding);

  // Bytes of the run's intermediate values on the CPU. It runs unless they are more than `room`.
  std::size_t run_within(std::size_t room, const std::vector<Tensor>& inputs,
                         std::vector<Tensor>& outputs, const std::vector<bool>& wanted,
                         const RunLimits& limits);

  std::size_t num_plans() const;
  // Whether anything but a transfer to the accelerator reads this given input of the program.
  bool reads_on_host(std::size_t input) const;

 private:
  struct CachedPlan;
  class Lease;

  // The inputs, then what the sizing steps make of them.
  std::vector<Tensor> with_sizes(const std::vector<Tensor>& inputs, const RunLimits& limits);
  void run_plan(const std::shared_ptr<CachedPlan>& cached, const std::vector<Tensor>& inputs,
                std::vector<Tensor>& outputs, const RunLimits& limits,
                const DeviceBinding& binding);
  void bring_to_host(std::vector<Tensor>& inputs, DeviceBinding& binding);
  void bring_to_device(std::vector<Tensor>& results, std::vector<Tensor>& outputs);
  void check_bound(std::size_t output, const Tensor& bound, Dtype dtype, const Shape& shape) const;

  std::shared_ptr<CachedPlan> find_plan(const std::vector<Tensor>& inputs,
                                        const std::vector<bool>& wanted);
  Tensor allocate(std::size_t output, const PlannedSlot& slot, Home home);
  void prepare_outputs(const Plan& plan, std::vector<Tensor>& outputs,
                       const DeviceBinding& binding);
  // The memory of a run's intermediate values; `preferred` when it is free and large enough, since
  // a context keeps what it recorded for its last arena.
  struct Arena {
    std::shared_ptr<Buffer> host, device;
    std::byte* data() const { return host->data(); }
    std::byte* device_data() const { return device != nullptr ? device->data() : nullptr; }
    std::size_t size() const { return host->size() + (device != nullptr ? device->size() : 0); }
    bool holds(const Plan& plan) const {
      return host->size() >= plan.arena_bytes &&
             (device == nullptr || device->size() >= plan.device_bytes);
    }
  };
  // With mutex_ held; empty when there is none that is large enough.
  Arena find_idle(const Plan& plan, const std::byte* preferred);
  void return_arena(Arena arena);  // with mutex_ held
  void complete(Arena& arena, const Plan& plan, SharedQueue* queue);

  const Program& program_;
  ThreadPool& pool_;
  std::shared_ptr<Allocator> memory_;

  mutable std::mutex mutex_;                      // guards what follows
  std::list<std::shared_ptr<CachedPlan>> plans_;  // most recently used first
  std::vector<Arena> arenas_;                     // not in use, by size
};

}  // namespace tercel::runtime

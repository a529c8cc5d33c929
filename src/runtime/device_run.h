#pragma once
// The way through a plan with an accelerator: steps of the device are put in a queue, steps of the
// CPU wait for it. The first run of a context queues step by step; in the second, kernels measure
// which of their ways is fastest; the third records what can be recorded; later ones replay the
// recordings, one call for each stretch of steps between two of the CPU. One wait ends the run; in
// a queue that is shared, the next one may be queued by then. Inputs and outputs that the caller
// has where the device reaches them are read and written there, in the recordings too: these are
// made anew when a run finds others, once they come twice. What is passing is in no recording: it
// is copied before the first stretch and behind the last.

#include <memory>
#include <vector>

#include "src/base/function_ref.h"
#include "src/runtime/context.h"

namespace tercel::runtime {

class DeviceRun {
 public:
  explicit DeviceRun(Context& context);
  ~DeviceRun();

  // Throws what Context::run throws, and for a fault of the device an error that names where.
  void run(const RunLimits& limits);
  // What was recorded is of another arena.
  void forget();

 private:
  // Steps [begin, end) of the plan, all queued or all the CPU's.
  struct Stretch {
    std::size_t begin = 0, end = 0;
    bool queued = false;
    bool waits = false;      // for what is queued before it
    bool recordable = true;  // of one order and place of memory at every run
    std::unique_ptr<Recording> recording;
  };

  bool reads_on_host(const PlannedStep& planned) const;
  bool measures() const;  // this run does
  void note_bound_addresses();
  bool is_direct(const PlannedStep& planned) const;
  const Tensor& caller_end(const PlannedStep& planned) const;
  bool pass(Transfer direction);
  bool queue_plan(const RunLimits& limits);
  void run_queued(Stretch& stretch, const RunLimits& limits);
  void stage(const Stretch& stretch);
  Queue queue(std::size_t index) const;
  void queue_step(std::size_t index, const RunLimits& limits);
  void queue_dynamic(const PlannedStep& planned, std::size_t index, const RunLimits& limits);
  void transfer(const PlannedStep& planned);
  void copy_directly(const Tensor& from, Tensor to);
  void wait(FunctionRef<void()> synchronize);
  void check_faults() const;

  Context& context_;
  Accelerator& accelerator_;
  std::unique_ptr<Stream> own_stream_;
  Stream* stream_ = nullptr;  // of this run
  std::unique_ptr<Event> end_;
  std::shared_ptr<Buffer> marks_;  // one a step, and how far the queue has come
  std::vector<Stretch> stretches_;
  int runs_ = 0;                    // with this arena
  std::vector<const void*> bound_;  // where inputs and outputs of the caller's lie on the device
  bool settled_ = true;             // they lie where they lay in the run before
  bool replayed_ = false;
};

}  // namespace tercel::runtime

#include "src/runtime/executor.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "src/base/fail.h"
#include "src/ir/place.h"
#include "src/runtime/shared_queue.h"

namespace tercel::runtime {
namespace {

constexpr std::size_t kMaxPlans = 64;
constexpr std::size_t kMaxIdleArenas = 8;

// What a plan depends on. How long a sequence is changes nothing.
const Shape& planned_shape(const Tensor& tensor) {
  static const Shape kNone;
  return tensor.is_sequence() ? kNone : tensor.shape();
}

// The plan, which checks the inputs' types, is made later.
void check_declared(const ir::Node& node, const ir::Value& input, const Tensor& tensor) {
  if (tensor.defined() && tensor.dtype() == input.type.dtype &&
      tensor.rank() == input.type.rank()) {
    return;
  }
  fail(Errc::invalid_argument, "{} \"{}\" is not the {} that it is declared as", node.label(),
       input.name(), ir::to_string(input.type));
}

// By the device, straight into memory of its own.
bool is_transferred(const Plan& plan, std::size_t output) {
  return std::any_of(plan.steps.begin(), plan.steps.end(), [&](const PlannedStep& planned) {
    return planned.output == static_cast<int>(output);
  });
}

}  // namespace

struct Executor::CachedPlan {
  std::vector<Shape> shapes;
  Plan plan;
  std::vector<std::unique_ptr<Context>> idle;  // guarded by Executor::mutex_
};

// What a run borrows; it goes back whatever happens. A context and its arena are taken and returned
// at once, so that no run finds one of them without the other.
class Executor::Lease {
 public:
  Lease(Executor& executor, std::shared_ptr<CachedPlan> cached, SharedQueue* queue)
      : executor_(executor), cached_(std::move(cached)), queue_(queue) {
    {
      const std::lock_guard lock(executor_.mutex_);
      if (!cached_->idle.empty()) {
        context_ = std::move(cached_->idle.back());
        cached_->idle.pop_back();
      }
      arena_ = executor_.find_idle(cached_->plan, context_ ? context_->arena() : nullptr);
    }
    if (context_ == nullptr) {
      context_ = std::make_unique<Context>(cached_->plan, executor_.pool_, *executor_.memory_,
                                           executor_.program_.accelerator());
    }
    executor_.complete(arena_, cached_->plan, queue);
    context_->bind_arena(arena_.data(), arena_.device_data());
  }
  ~Lease() {
    context_->detach();
    if (queue_ != nullptr) arena_.device.reset();
    const std::lock_guard lock(executor_.mutex_);
    executor_.return_arena(std::move(arena_));
    cached_->idle.push_back(std::move(context_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Context& context() { return *context_; }

 private:
  Executor& executor_;
  std::shared_ptr<CachedPlan> cached_;
  SharedQueue* queue_;
  Arena arena_;
  std::unique_ptr<Context> context_;
};

Executor::Executor(const Program& program, ThreadPool& pool, std::shared_ptr<Allocator> memory)
    : program_(program), pool_(pool), memory_(std::move(memory)) {}

Executor::~Executor() = default;

std::size_t Executor::num_plans() const {
  const std::lock_guard lock(mutex_);
  return plans_.size();
}

std::shared_ptr<Executor::CachedPlan> Executor::find_plan(const std::vector<Tensor>& inputs,
                                                          const std::vector<bool>& wanted) {
  const auto matches = [&](const std::shared_ptr<CachedPlan>& cached) {
    return cached->plan.wanted == wanted &&
           std::equal(inputs.begin(), inputs.end(), cached->shapes.begin(), cached->shapes.end(),
                      [](const Tensor& tensor, const Shape& shape) {
                        return planned_shape(tensor) == shape;
                      });
  };
  const auto known = [&]() -> std::shared_ptr<CachedPlan> {
    const auto found = std::find_if(plans_.begin(), plans_.end(), matches);
    if (found == plans_.end()) return nullptr;
    plans_.splice(plans_.begin(), plans_, found);
    return plans_.front();
  };
  {
    const std::lock_guard lock(mutex_);
    if (auto plan = known()) return plan;
  }
  auto made = std::make_shared<CachedPlan>();
  for (const Tensor& tensor : inputs) made->shapes.push_back(planned_shape(tensor));
  made->plan = make_plan(program_, made->shapes, wanted, pool_);
  const std::lock_guard lock(mutex_);
  if (auto plan = known()) return plan;  // another run has made it meanwhile
  plans_.push_front(made);
  if (plans_.size() > kMaxPlans) plans_.pop_back();
  return made;
}

void Executor::complete(Arena& arena, const Plan& plan, SharedQueue* queue) {
  const char* what = plan.largest.c_str();
  const Accelerator* accelerator = program_.accelerator();
  Allocator& memory = accelerator != nullptr ? accelerator->host_memory() : *memory_;
  if (arena.host == nullptr) arena.host = memory.allocate(plan.arena_bytes, what);
  if (queue != nullptr)
    arena.device = queue->arena(plan.device_bytes, what);
  else if (accelerator != nullptr && arena.device == nullptr)
    arena.device = accelerator->memory().allocate(plan.device_bytes, what);
}

Executor::Arena Executor::find_idle(const Plan& plan, const std::byte* preferred) {
  const auto fits = [&](const Arena& arena) { return arena.holds(plan); };
  auto best = std::find_if(arenas_.begin(), arenas_.end(), [&](const Arena& arena) {
    return arena.data() == preferred && fits(arena);
  });
  if (best == arenas_.end()) best = std::find_if(arenas_.begin(), arenas_.end(), fits);
  Arena found;
  if (best != arenas_.end()) {
    found = std::move(*best);
    arenas_.erase(best);
  } else if (!arenas_.empty()) {
    // None is large enough: the largest gives way, so that arenas grow instead of adding up.
    arenas_.pop_back();
  }
  return found;
}

void Executor::return_arena(Arena arena) {
  const auto larger = [](const Arena& a, const Arena& b) { return a.size() < b.size(); };
  arenas_.insert(std::upper_bound(arenas_.begin(), arenas_.end(), arena, larger), std::move(arena));
  if (arenas_.size() > kMaxIdleArenas) arenas_.erase(arenas_.begin());
}

std::size_t Executor::run_within(std::size_t room, const std::vector<Tensor>& inputs,
                                 std::vector<Tensor>& outputs, const std::vector<bool>& wanted,
                                 const RunLimits& limits) {
  std::vector<Tensor> sized;
  if (!program_.sizing_steps().empty()) sized = with_sizes(inputs, limits);
  const std::vector<Tensor>& all = sized.empty() ? inputs : sized;
  const auto cached = find_plan(all, wanted);
  if (cached->plan.arena_bytes <= room) run_plan(cached, all, outputs, limits, {});
  return cached->plan.arena_bytes;
}

void Executor::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                   const std::vector<bool>& wanted, const RunLimits& limits) {
  run_within(std::numeric_limits<std::size_t>::max(), inputs, outputs, wanted, limits);
}

void Executor::run(std::vector<Tensor> inputs, std::vector<Tensor>& outputs,
                   const std::vector<bool>& wanted, const RunLimits& limits,
                   DeviceBinding& binding) {
  if (!binding.any()) return run(inputs, outputs, wanted, limits);
  program_.accelerator()->device().use();
  bring_to_host(inputs, binding);
  if (!program_.sizing_steps().empty()) inputs = with_sizes(inputs, limits);
  const auto cached = find_plan(inputs, wanted);
  std::vector<Tensor> results = outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Home home = binding.output(static_cast<int>(i));
    if (home == Home::host || is_transferred(cached->plan, i)) continue;
    if (home == Home::device) results[i] = Tensor();
    binding.outputs[i] = Home::host;
  }
  run_plan(cached, inputs, results, limits, binding);
  bring_to_device(results, outputs);
}

// Inputs that something but a transfer reads.
void Executor::bring_to_host(std::vector<Tensor>& inputs, DeviceBinding& binding) {
  Device& device = program_.accelerator()->device();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (binding.input(static_cast<int>(i)) != Home::device || !reads_on_host(i)) continue;
    Tensor copy = ops::allocate_tensor(inputs[i].dtype(), inputs[i].shape(), *memory_, "an input");
    const auto stream = device.make_stream();
    stream->follow_default();
    device.copy_to_host(copy.data(), inputs[i].data(), copy.bytes(), *stream);
    stream->synchronize();
    inputs[i] = std::move(copy);
    binding.inputs[i] = Home::host;
  }
}

// Results that the CPU made for outputs that lie on the device.
void Executor::bring_to_device(std::vector<Tensor>& results, std::vector<Tensor>& outputs) {
  Device& device = program_.accelerator()->device();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined()) {
      outputs[i] = std::move(results[i]);
    } else if (results[i].data() != outputs[i].data()) {
      check_bound(i, outputs[i], results[i].dtype(), results[i].shape());
      const auto stream = device.make_stream();
      device.copy_from_host(outputs[i].data(), results[i].data(), results[i].bytes(), *stream);
      stream->synchronize();
    }
  }
}

bool Executor::reads_on_host(std::size_t input) const {
  const int slot = program_.inputs()[input];
  const auto reads = [slot](const Step& step) {
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      const bool kernel_does =
          step.kernel != nullptr && step.kernel->reads_on_host(static_cast<int>(i));
      if (step.inputs[i] == slot && (!step.is_queued() || kernel_does)) return true;
    }
    return false;
  };
  const auto& outputs = program_.outputs();
  return std::any_of(program_.steps().begin(), program_.steps().end(), reads) ||
         std::any_of(program_.sizing_steps().begin(), program_.sizing_steps().end(), reads) ||
         std::find(outputs.begin(), outputs.end(), slot) != outputs.end();
}

std::vector<Tensor> Executor::with_sizes(const std::vector<Tensor>& inputs,
                                         const RunLimits& limits) {
  std::vector<Tensor> all = inputs;
  for (const Step& step : program_.sizing_steps()) {
    std::vector<Tensor> own;
    for (const int slot : step.inputs) {
      const auto found = std::find(program_.inputs().begin(), program_.inputs().end(), slot);
      own.push_back(inputs[static_cast<std::size_t>(found - program_.inputs().begin())]);
      check_declared(*step.nodes.front(), *program_.value(slot), own.back());
    }
    std::vector<Tensor> outputs(step.outputs.size());
    ir::at_node(*step.nodes.front(), [&] {
      step.kernel->run({own, outputs, nullptr, pool_, *memory_, limits});
    });
    std::move(outputs.begin(), outputs.end(), std::back_inserter(all));
  }
  return all;
}

void Executor::run_plan(const std::shared_ptr<CachedPlan>& cached,
                        const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                        const RunLimits& limits, const DeviceBinding& binding) {
  prepare_outputs(cached->plan, outputs, binding);
  Lease lease(*this, cached, binding.queue);
  lease.context().attach(inputs, outputs, binding);
  lease.context().run(limits);
  lease.context().collect(program_.outputs(), outputs);
}

Tensor Executor::allocate(std::size_t output, const PlannedSlot& slot, Home home) {
  const ir::Node* producer = program_.model().graph.outputs()[output]->producer();
  Allocator& memory = home == Home::device ? program_.accelerator()->memory() : *memory_;
  const auto allocated = [&] {
    return ops::allocate_tensor(slot.dtype, slot.shape, memory, "output");
  };
  return producer != nullptr ? ir::at_node(*producer, allocated) : allocated();
}

void Executor::prepare_outputs(const Plan& plan, std::vector<Tensor>& outputs,
                               const DeviceBinding& binding) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const PlannedSlot& slot = plan.slots[static_cast<std::size_t>(program_.outputs()[i])];
    if (!plan.wanted[i] || slot.place == Place::dynamic || slot.dtype == Dtype::undefined) continue;
    if (outputs[i].defined())
      check_bound(i, outputs[i], slot.dtype, slot.shape);
    else
      outputs[i] = allocate(i, slot, binding.output(static_cast<int>(i)));
  }
}

void Executor::check_bound(std::size_t output, const Tensor& bound, Dtype dtype,
                           const Shape& shape) const {
  if (bound.shape() == shape && bound.dtype() == dtype) return;
  fail(Errc::invalid_argument, "output \"{}\" is bound to a tensor of {} {}; this run gives {} {}",
       program_.model().graph.outputs()[output]->name(), to_string(bound.dtype()),
       to_string(bound.shape()), to_string(dtype), to_string(shape));
}

}  // namespace tercel::runtime

#include "src/runtime/executor.h"

#include <algorithm>
#include <cstring>

#include "src/runtime/allocate.h"

namespace tercel::runtime {
namespace {

constexpr std::size_t kMaxPlans = 64;
constexpr std::size_t kMaxIdleArenas = 8;

void check_limits(const RunLimits& limits) {
  if (limits.cancel != nullptr && limits.cancel->load(std::memory_order_relaxed)) {
    fail(Errc::cancelled, "the run was cancelled");
  }
  if (limits.deadline && std::chrono::steady_clock::now() >= *limits.deadline) {
    fail(Errc::deadline_exceeded, "the run's deadline has passed");
  }
}

void copy_elements(const Tensor& from, Tensor& to) {
  if (from.dtype() == Dtype::string) {
    std::copy(from.strings().begin(), from.strings().end(), to.strings().begin());
  } else if (from.bytes() > 0) {
    std::memcpy(to.data(), from.data(), from.bytes());
  }
}

}  // namespace

// Tensors of a plan's slots, bound to one arena; used by one run at a time.
struct Executor::Context {
  const std::byte* base = nullptr;
  std::vector<Tensor> slots;
  std::vector<Tensor> inputs;  // of the step that runs
  std::vector<Tensor> outputs;

  void bind(const Plan& plan, const Program& program, std::byte* arena) {
    if (slots.size() == plan.slots.size() && base == arena) return;
    base = arena;
    slots.assign(plan.slots.size(), Tensor());
    for (std::size_t i = 0; i < plan.slots.size(); ++i) {
      const PlannedSlot& slot = plan.slots[i];
      if (slot.place == Place::constant) slots[i] = slot.constant;
      else if (slot.place == Place::arena) slots[i] = Tensor::view_of(arena + slot.offset, slot.dtype, slot.shape);
    }
    (void)program;
  }
};

struct Executor::CachedPlan {
  std::vector<Shape> shapes;
  Plan plan;
  std::vector<std::unique_ptr<Context>> idle;  // guarded by Executor::mutex_
};

namespace {

// A step whose shapes depend on the data of this run: infers its nodes again from the tensors themselves.
void prepare_dynamic(const Step& step, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                     Allocator& memory) {
  ops::Facts facts;
  const ir::Node& first = *step.nodes.front();
  for (int i = 0; i < first.num_inputs(); ++i) {
    const Tensor& tensor = inputs[static_cast<std::size_t>(i)];
    if (first.input(i) == nullptr) continue;
    if (tensor.defined()) facts.learn(first.input(i), tensor);
    else if (first.input(i)->is_constant()) facts.learn(first.input(i), first.input(i)->initializer());
  }
  for (const ir::Node* node : step.nodes) {
    for (const ir::Value* input : node->inputs()) {
      if (input != nullptr && input->is_constant()) facts.learn(input, input->initializer());
    }
    ops::infer_node(*node, facts, nullptr);
  }
  const ir::Node& last = *step.nodes.back();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ir::Value* value = last.output(static_cast<int>(i));
    if (value == nullptr) continue;
    if (step.kernel == nullptr) {
      const auto shape = facts.type(value)->shape();
      TERCEL_CHECK(shape.has_value());
      outputs[i] = inputs[0].reshape(*shape);
    } else {
      outputs[i] = allocate_output(last, static_cast<int>(i), facts, memory);
    }
  }
}

std::vector<Shape> shapes_of(const std::vector<Tensor>& tensors) {
  std::vector<Shape> shapes;
  for (const Tensor& tensor : tensors) shapes.push_back(tensor.shape());
  return shapes;
}

void run_dynamic(const Step& step, std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, ThreadPool& pool,
                 Allocator& memory) {
  const bool allocates = step.kernel != nullptr && step.kernel->allocates_outputs();
  std::fill(outputs.begin(), outputs.end(), Tensor());
  if (!allocates) prepare_dynamic(step, inputs, outputs, memory);
  if (step.kernel == nullptr) return;
  const std::size_t bytes = step.kernel->workspace(shapes_of(inputs), shapes_of(outputs), pool.size());
  const auto scratch = bytes > 0 ? memory.allocate(bytes, "workspace") : nullptr;
  step.kernel->run({inputs, outputs, scratch ? scratch->data() : nullptr, pool, memory});
}

}  // namespace

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
                      [](const Tensor& tensor, const Shape& shape) { return tensor.shape() == shape; });
  };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(plans_.begin(), plans_.end(), matches);
    if (found != plans_.end()) {
      plans_.splice(plans_.begin(), plans_, found);
      return plans_.front();
    }
  }
  auto made = std::make_shared<CachedPlan>();
  made->shapes = shapes_of(inputs);
  made->plan = make_plan(program_, made->shapes, wanted, pool_.size());
  const std::lock_guard lock(mutex_);
  plans_.push_front(made);
  if (plans_.size() > kMaxPlans) plans_.pop_back();
  return made;
}

std::shared_ptr<Buffer> Executor::lease_arena(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto fits = [&](const std::shared_ptr<Buffer>& arena) { return arena->size() >= bytes; };
    auto best = std::find_if(arenas_.begin(), arenas_.end(), fits);
    if (best != arenas_.end()) {
      auto arena = std::move(*best);
      arenas_.erase(best);
      return arena;
    }
    // None is large enough: the largest gives way, so that arenas grow instead of adding up.
    if (!arenas_.empty()) arenas_.pop_back();
  }
  return memory_->allocate(bytes, "intermediate values");
}

void Executor::return_arena(std::shared_ptr<Buffer> arena) {
  const std::lock_guard lock(mutex_);
  const auto larger = [](const auto& a, const auto& b) { return a->size() < b->size(); };
  arenas_.insert(std::upper_bound(arenas_.begin(), arenas_.end(), arena, larger), std::move(arena));
  if (arenas_.size() > kMaxIdleArenas) arenas_.erase(arenas_.begin());
}

void Executor::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                   const std::vector<bool>& wanted, const RunLimits& limits) {
  check_limits(limits);
  const auto cached = find_plan(inputs, wanted);
  const Plan& plan = cached->plan;

  // Memory goes back whatever happens in between.
  struct Lease {
    Executor& executor;
    CachedPlan& cached;
    std::shared_ptr<Buffer> arena;
    std::unique_ptr<Context> context;
    ~Lease() {
      if (context != nullptr) {
        const std::lock_guard lock(executor.mutex_);
        cached.idle.push_back(std::move(context));
      }
      if (arena != nullptr) executor.return_arena(std::move(arena));
    }
  } lease{*this, *cached, lease_arena(plan.arena_bytes), nullptr};
  {
    const std::lock_guard lock(mutex_);
    if (!cached->idle.empty()) {
      lease.context = std::move(cached->idle.back());
      cached->idle.pop_back();
    }
  }
  if (lease.context == nullptr) lease.context = std::make_unique<Context>();
  Context& context = *lease.context;
  context.bind(plan, program_, lease.arena->data());

  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const PlannedSlot& slot = plan.slots[static_cast<std::size_t>(program_.outputs()[i])];
    if (!wanted[i] || slot.place == Place::dynamic) continue;
    if (!outputs[i].defined()) {
      outputs[i] = allocate_tensor(slot.dtype, slot.shape, *memory_, "output");
    } else if (outputs[i].shape() != slot.shape || outputs[i].dtype() != slot.dtype) {
      fail(Errc::invalid_argument, "output \"{}\" is bound to a tensor of {} {}; this run gives {} {}",
           program_.model().graph.outputs()[i]->name(), to_string(outputs[i].dtype()),
           to_string(outputs[i].shape()), to_string(slot.dtype), to_string(slot.shape));
    }
  }
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const PlannedSlot& slot = plan.slots[i];
    if (slot.place == Place::input) {
      const Tensor& source = inputs[static_cast<std::size_t>(slot.index)];
      context.slots[i] = source.shape() == slot.shape ? source : source.reshape(slot.shape);
    } else if (slot.place == Place::output) {
      const Tensor& target = outputs[static_cast<std::size_t>(slot.index)];
      context.slots[i] = target.shape() == slot.shape ? target : target.reshape(slot.shape);
    }
  }

  for (const PlannedStep& planned : plan.steps) {
    check_limits(limits);
    const Step& step = *planned.step;
    if (planned.is_view && !planned.dynamic) continue;
    context.inputs.resize(step.inputs.size());
    context.outputs.resize(step.outputs.size());
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      context.inputs[i] = step.inputs[i] >= 0 ? context.slots[static_cast<std::size_t>(step.inputs[i])] : Tensor();
    }
    if (planned.dynamic) {
      run_dynamic(step, context.inputs, context.outputs, pool_, *memory_);
      for (std::size_t i = 0; i < step.outputs.size(); ++i) {
        if (step.outputs[i] >= 0) context.slots[static_cast<std::size_t>(step.outputs[i])] = context.outputs[i];
      }
      continue;
    }
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      context.outputs[i] = step.outputs[i] >= 0 ? context.slots[static_cast<std::size_t>(step.outputs[i])] : Tensor();
    }
    step.kernel->run({context.inputs, context.outputs, lease.arena->data() + planned.workspace, pool_, *memory_});
  }

  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!wanted[i]) continue;
    const auto index = static_cast<std::size_t>(program_.outputs()[i]);
    if (plan.slots[index].place == Place::dynamic) {
      if (outputs[i].defined() && outputs[i].shape() == context.slots[index].shape()) {
        copy_elements(context.slots[index], outputs[i]);
      } else {
        outputs[i] = context.slots[index];
      }
    } else if (plan.copy_output[i]) {
      copy_elements(context.slots[index], outputs[i]);
    }
  }
  // Nothing of the caller's is held between runs.
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const Place place = plan.slots[i].place;
    if (place == Place::input || place == Place::output || place == Place::dynamic) context.slots[i] = Tensor();
  }
}

}  // namespace tercel::runtime

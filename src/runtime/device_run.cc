#include "src/runtime/device_run.h"

#include <algorithm>
#include <cstring>

#include "src/ir/place.h"
#include "src/runtime/allocate.h"
#include "src/runtime/shared_queue.h"

namespace tercel::runtime {
namespace {

constexpr int kRunsBefore = 2;  // a recording is made
// Bytes that a kernel converts straight into the host's memory: a copy of their own takes longer.
constexpr std::size_t kWritten = std::size_t{64} << 10;
// Bytes of an input that a thread copies at least: images are worth several.
constexpr int64_t kStaged = int64_t{1} << 20;

// Marks: a fault for each step, then the number of steps that the queue has begun.
int* fault_of(const Buffer& marks, std::size_t step) {
  return reinterpret_cast<int*>(marks.data()) + step;
}

}  // namespace

DeviceRun::DeviceRun(Context& context) : context_(context), accelerator_(*context.accelerator_) {
  accelerator_.device().use();
  own_stream_ = accelerator_.device().make_stream();
  end_ = accelerator_.device().make_event();
  const auto& steps = context.plan_.steps;
  const std::size_t bytes = (steps.size() + 1) * sizeof(int);
  marks_ = accelerator_.host_memory().allocate(bytes, "marks of a run");
  std::memset(marks_->data(), 0, bytes);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const PlannedStep& planned = steps[i];
    if (planned.is_view && !planned.dynamic) continue;
    const bool queued = planned.step->is_queued();
    const bool on_host = queued && reads_on_host(planned);
    if (stretches_.empty() || stretches_.back().queued != queued || on_host)
      stretches_.push_back({i, i, queued, !queued || on_host, true, nullptr});
    stretches_.back().end = i + 1;
    // What is read on the host may be another at the next run.
    if (planned.dynamic || on_host) stretches_.back().recordable = false;
  }
}

// Something that is not known before the run.
bool DeviceRun::reads_on_host(const PlannedStep& planned) const {
  const Step& step = *planned.step;
  for (std::size_t i = 0; step.kernel != nullptr && i < step.inputs.size(); ++i) {
    const int input = step.inputs[i];
    if (input < 0 || !step.kernel->reads_on_host(static_cast<int>(i))) continue;
    if (context_.plan_.slots[static_cast<std::size_t>(input)].place != Place::constant) return true;
  }
  return false;
}

DeviceRun::~DeviceRun() = default;

bool DeviceRun::measures() const { return runs_ == kRunsBefore - 1; }

void DeviceRun::forget() {
  runs_ = 0;
  for (Stretch& stretch : stretches_) stretch.recording.reset();
}

// A recording keeps the addresses that it was made with.
void DeviceRun::note_bound_addresses() {
  std::size_t count = 0;
  settled_ = true;
  const void* const anywhere = this;
  for (const PlannedStep& planned : context_.plan_.steps) {
    if (!is_direct(planned)) continue;
    const void* address =
        context_.binding_->queue != nullptr ? anywhere : caller_end(planned).data();
    if (bound_.size() <= count) bound_.push_back(nullptr);
    settled_ &= bound_[count] == address;
    bound_[count++] = address;
  }
  settled_ &= bound_.size() == count;
  bound_.resize(count);
  if (!settled_) {
    for (Stretch& stretch : stretches_) stretch.recording.reset();
  }
}

// A transfer between memory of the caller's that the device reaches and its own.
bool DeviceRun::is_direct(const PlannedStep& planned) const {
  const Step& step = *planned.step;
  if (planned.dynamic || step.transfer == Transfer::none) return false;
  if (step.transfer == Transfer::to_host)
    return context_.binding_->output(planned.output) != Home::host;
  const PlannedSlot& from = context_.plan_.slots[static_cast<std::size_t>(step.inputs[0])];
  return from.place == Place::input && context_.binding_->input(from.index) != Home::host;
}

// Of a direct transfer.
const Tensor& DeviceRun::caller_end(const PlannedStep& planned) const {
  return planned.step->transfer == Transfer::to_device
             ? context_.slots_[static_cast<std::size_t>(planned.step->inputs[0])]
             : (*context_.bound_outputs_)[static_cast<std::size_t>(planned.output)];
}

// Queues what is passing in this direction; whether there is any.
bool DeviceRun::pass(Transfer direction) {
  bool any = false;
  if (context_.binding_->queue == nullptr) return any;
  for (const PlannedStep& planned : context_.plan_.steps) {
    if (planned.step->transfer != direction || !is_direct(planned)) continue;
    ir::at_node(*planned.step->nodes.front(), [&] { transfer(planned); });
    any = true;
  }
  return any;
}

void DeviceRun::run(const RunLimits& limits) {
  accelerator_.device().use();
  SharedQueue* const shared = context_.binding_->queue;
  std::unique_lock<std::mutex> turn;
  if (shared != nullptr) turn = std::unique_lock(shared->mutex());
  stream_ = shared != nullptr ? &shared->stream() : own_stream_.get();
  try {
    const bool waiting = queue_plan(limits);
    end_->record(*stream_);
    if (shared != nullptr) turn.unlock();
    if (waiting) wait([&] { end_->synchronize(); });
  } catch (...) {
    // What is queued still reads and writes the arena.
    try {
      if (shared != nullptr && !turn.owns_lock()) turn.lock();
      stream_->synchronize();
    } catch (const Error&) {  // the first error is the one to tell
    }
    forget();
    throw;
  }
  if (measures()) accelerator_.save_tuning();
  ++runs_;
}

// Whether there is something to wait for in the end.
bool DeviceRun::queue_plan(const RunLimits& limits) {
  note_bound_addresses();
  const DeviceBinding& binding = *context_.binding_;
  if (binding.any_input() && binding.queue == nullptr) stream_->follow_default();
  bool waiting = pass(Transfer::to_device);
  for (Stretch& stretch : stretches_) {
    limits.check();
    if (waiting && stretch.waits) wait([&] { stream_->synchronize(); });
    waiting = stretch.queued;
    if (stretch.queued) {
      run_queued(stretch, limits);
      continue;
    }
    for (std::size_t i = stretch.begin; i < stretch.end; ++i) {
      const PlannedStep& planned = context_.plan_.steps[i];
      limits.check();
      ir::at_node(*planned.step->nodes.front(), [&] { context_.run_step(planned, limits); });
    }
  }
  waiting |= pass(Transfer::to_host);
  return waiting;
}

void DeviceRun::run_queued(Stretch& stretch, const RunLimits& limits) {
  stage(stretch);
  const auto queue_all = [&] {
    for (std::size_t i = stretch.begin; i < stretch.end; ++i) {
      const ir::Node& node = *context_.plan_.steps[i].step->nodes.front();
      ir::at_node(node, [&] { queue_step(i, limits); });
    }
  };
  if (stretch.recording == nullptr && stretch.recordable && runs_ >= kRunsBefore && settled_)
    stretch.recording = accelerator_.device().record(*stream_, queue_all);
  replayed_ = stretch.recording != nullptr;
  if (replayed_)
    stretch.recording->replay(*stream_);
  else
    queue_all();
}

Queue DeviceRun::queue(std::size_t index) const {
  return {stream_, fault_of(*marks_, index), measures()};
}

// What the device copies must lie where it can reach it, at the same place at every run.
void DeviceRun::stage(const Stretch& stretch) {
  for (std::size_t i = stretch.begin; i < stretch.end; ++i) {
    const PlannedStep& planned = context_.plan_.steps[i];
    if (planned.step->transfer != Transfer::to_device || planned.dynamic) continue;
    if (is_direct(planned)) continue;
    const Tensor& from = context_.slots_[static_cast<std::size_t>(planned.step->inputs[0])];
    std::byte* to = context_.arena_ + planned.staging;
    const auto* bytes = static_cast<const std::byte*>(from.data());
    context_.pool_.parallel_for(
        static_cast<int64_t>(from.bytes()), kStaged, [&](int64_t begin, int64_t end) {
          std::memcpy(to + begin, bytes + begin, static_cast<std::size_t>(end - begin));
        });
  }
}

void DeviceRun::queue_step(std::size_t index, const RunLimits& limits) {
  const PlannedStep& planned = context_.plan_.steps[index];
  if (planned.is_view && !planned.dynamic) return;
  if (runs_ == 0) {
    auto* place = reinterpret_cast<uint32_t*>(fault_of(*marks_, context_.plan_.steps.size()));
    accelerator_.device().mark(place, static_cast<uint32_t>(index + 1), *stream_);
  }
  if (planned.dynamic) return queue_dynamic(planned, index, limits);
  if (context_.binding_->queue != nullptr && is_direct(planned)) return;
  if (planned.step->transfer != Transfer::none) return transfer(planned);
  context_.load(*planned.step);
  if (all_empty(context_.outputs_)) return;
  planned.step->kernel->run(
      context_.kernel_run(context_.device_arena_ + planned.workspace, limits, queue(index)));
}

void DeviceRun::transfer(const PlannedStep& planned) {
  Device& device = accelerator_.device();
  const Step& step = *planned.step;
  const Tensor& from = context_.slots_[static_cast<std::size_t>(step.inputs[0])];
  Tensor& to = context_.slots_[static_cast<std::size_t>(step.outputs[0])];
  if (is_direct(planned)) {
    const bool to_device = step.transfer == Transfer::to_device;
    return copy_directly(from, to_device ? to : caller_end(planned));
  }
  if (planned.joined && !context_.binding_->any_input()) {
    device.copy_from_host(to.data(), context_.arena_ + planned.staging, planned.joined_bytes,
                          *stream_);
    return;
  }
  if (from.size() == 0) return;
  const bool same = from.dtype() == to.dtype();
  if (!same && step.transfer == Transfer::to_host && to.bytes() <= kWritten)
    return accelerator_.convert(from, to, *stream_);
  std::byte* scratch = context_.device_arena_ + planned.workspace;
  if (step.transfer == Transfer::to_device) {
    Tensor landed = same ? to : Tensor::view_of(scratch, from.dtype(), from.shape());
    device.copy_from_host(landed.data(), context_.arena_ + planned.staging, from.bytes(), *stream_);
    if (!same) accelerator_.convert(landed, to, *stream_);
  } else {
    Tensor leaving = same ? from : Tensor::view_of(scratch, to.dtype(), to.shape());
    if (!same) accelerator_.convert(from, leaving, *stream_);
    device.copy_to_host(to.data(), leaving.data(), to.bytes(), *stream_);
  }
}

void DeviceRun::copy_directly(const Tensor& from, Tensor to) {
  if (from.size() == 0) return;
  if (from.dtype() == to.dtype())
    accelerator_.device().copy(to.data(), from.data(), to.bytes(), *stream_);
  else
    accelerator_.convert(from, to, *stream_);
}

// Its shapes are those of this run's data: memory of its own, and nothing recorded.
void DeviceRun::queue_dynamic(const PlannedStep& planned, std::size_t index,
                              const RunLimits& limits) {
  const Step& step = *planned.step;
  if (step.transfer == Transfer::none) return context_.run_dynamic(step, limits, queue(index));
  const Tensor& from = context_.slots_[static_cast<std::size_t>(step.inputs[0])];
  const PlannedSlot& target = context_.plan_.slots[static_cast<std::size_t>(step.outputs[0])];
  Tensor& to = context_.slots_[static_cast<std::size_t>(step.outputs[0])];
  const bool to_device = step.transfer == Transfer::to_device;
  const bool same = from.dtype() == target.dtype;
  const auto allocate = [&](Dtype dtype, Allocator& memory) {
    return ops::allocate_tensor(dtype, from.shape(), memory, "a transfer");
  };
  Device& device = accelerator_.device();
  to = allocate(target.dtype, to_device ? accelerator_.memory() : context_.memory_);
  const Dtype travels = to_device ? from.dtype() : target.dtype;
  const Tensor other = same ? Tensor() : allocate(travels, accelerator_.memory());
  Tensor between = !same ? other : to_device ? to : from;
  if (!same && !to_device) accelerator_.convert(from, between, *stream_);
  if (to_device)
    device.copy_from_host(between.data(), from.data(), from.bytes(), *stream_);
  else
    device.copy_to_host(to.data(), between.data(), to.bytes(), *stream_);
  if (!same && to_device) accelerator_.convert(between, to, *stream_);
  stream_->synchronize();
}

void DeviceRun::wait(FunctionRef<void()> synchronize) {
  try {
    synchronize();
  } catch (const Error& error) {
    const auto& steps = context_.plan_.steps;
    const auto begun = static_cast<std::size_t>(std::max(0, *fault_of(*marks_, steps.size())));
    if (replayed_ || begun == 0 || begun > steps.size()) throw;
    ir::fail_at(*steps[begun - 1].step->nodes.front(), error);
  }
  check_faults();
}

void DeviceRun::check_faults() const {
  const auto& steps = context_.plan_.steps;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    int& fault = *fault_of(*marks_, i);
    if (fault == 0) continue;
    fault = 0;
    fail(Errc::invalid_argument, "{} an index is out of range",
         steps[i].step->nodes.front()->label());
  }
}

}  // namespace tercel::runtime

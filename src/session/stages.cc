#include "src/session/stages.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

#include "src/base/fail.h"
#include "src/base/thread_pool.h"
#include "src/device/cpu_cache.h"

namespace tercel {
namespace {

constexpr int64_t kAllRows = std::numeric_limits<int64_t>::max();

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Which parts each stage is at, and the first error.
class Progress {
 public:
  Progress(std::size_t stages, std::size_t parts)
      : stages_(stages, {std::vector<bool>(parts), 0, 0}) {}

  // The next part of the stage, once it may begin. Nothing when there is none, or when another
  // stage has failed.
  std::optional<std::size_t> begin(std::size_t stage) {
    std::unique_lock lock(mutex_);
    State& own = stages_[stage];
    if (own.begun == own.ended.size()) return {};
    const std::size_t part = own.begun++;
    changed_.wait(lock, [&] {
      const bool is_there = stage == 0 || stages_[stage - 1].ended[part];
      const bool has_room =
          stage + 1 == stages_.size() || part < stages_[stage + 1].num_ended + kAhead;
      return error_ != nullptr || (is_there && has_room);
    });
    return error_ == nullptr ? std::optional(part) : std::nullopt;
  }
  void end(std::size_t stage, std::size_t part) {
    const std::lock_guard lock(mutex_);
    stages_[stage].ended[part] = true;
    ++stages_[stage].num_ended;
    changed_.notify_all();
  }
  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr) error_ = std::move(error);
    changed_.notify_all();
  }
  void check() {
    const std::lock_guard lock(mutex_);
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  struct State {
    std::vector<bool> ended;  // by part
    std::size_t num_ended = 0;
    std::size_t begun = 0;
  };
  // Parts that a stage may have begun and the next not ended: two at each.
  static constexpr std::size_t kAhead = 4;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<State> stages_;
  std::exception_ptr error_;
};

}  // namespace

StagedProgram::StagedProgram(std::unique_ptr<runtime::Program> program,
                             std::optional<BatchRows> rows)
    : rows_(std::move(rows)) {
  const auto outputs = std::as_const(program->model().graph).outputs();
  outputs_.assign(outputs.begin(), outputs.end());
  Stage only{std::move(program), {}, {}};
  only.inputs.resize(only.program->given_inputs().size());
  only.outputs.resize(outputs_.size());
  std::iota(only.inputs.begin(), only.inputs.end(), std::size_t{0});
  std::iota(only.outputs.begin(), only.outputs.end(), only.inputs.size());
  num_values_ = only.inputs.size() + only.outputs.size();
  stages_.push_back(std::move(only));
}

StagedProgram::StagedProgram(std::vector<Stage> stages, std::size_t outputs, BatchRows rows)
    : stages_(std::move(stages)), rows_(std::move(rows)), outputs_(outputs) {
  const std::size_t first = inputs().size();
  num_values_ = first + outputs;
  for (const Stage& stage : stages_) {
    for (std::size_t i = 0; i < stage.outputs.size(); ++i) {
      const std::size_t index = stage.outputs[i];
      num_values_ = std::max(num_values_, index + 1);
      if (index < first + outputs)
        outputs_[index - first] = stage.program->model().graph.outputs()[i];
    }
  }
}

std::string StagedProgram::explain() const {
  if (stages_.size() == 1) {
    const std::string parts = may_be_cut() ? "batches: in parts that caches hold\n" : "";
    return parts + stages_[0].program->explain();
  }
  const std::string& whole = rows_->reason();
  std::string text = whole.empty() ? "batches: in parts, stage by stage\n"
                                   : "batches: in one piece, because " + whole + "\n";
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const runtime::Accelerator* accelerator = stages_[i].program->accelerator();
    text += fmt::format("stage {} of {}, on {}:\n{}", i + 1, stages_.size(),
                        accelerator != nullptr ? accelerator->device().name() : "cpu",
                        stages_[i].program->explain());
  }
  return text;
}

int64_t rows_of_part(int64_t rows, std::size_t stages) {
  constexpr int64_t kParts = 4;  // a stage
  constexpr int64_t kLeast = 8;
  const int64_t parts = kParts * static_cast<int64_t>(stages);
  return stages == 1 ? rows : std::max(kLeast, ceil_div(rows, parts));
}

struct StagedExecutor::Run {
  const std::vector<bool>& needed;
  const runtime::RunLimits& limits;
  Turn turn;
};

StagedExecutor::StagedExecutor(std::shared_ptr<const StagedProgram> program, ThreadPool& pool,
                               std::shared_ptr<Allocator> memory)
    : program_(std::move(program)),
      pool_(pool),
      memory_(std::move(memory)),
      last_stage_(program_->num_values(), 0) {
  const auto& stages = program_->stages();
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const runtime::Program& own = *stages[i].program;
    for (const std::size_t input : stages[i].inputs) last_stage_[input] = i;
    const bool queues = own.accelerator() != nullptr && stages.size() > 1;
    queues_.push_back(queues ? std::make_unique<runtime::SharedQueue>(*own.accelerator())
                             : nullptr);
    // Memory of what goes on to later stages is kept there, for the next parts.
    const bool lends = own.accelerator() != nullptr && i + 1 < stages.size();
    executors_.push_back(std::make_unique<runtime::Executor>(
        own, pool, lends ? own.accelerator()->host_memory().shared_from_this() : memory_));
  }
  choose_homes();
}

// What accelerators alone read stays on the one that made it, and goes from there to the others.
void StagedExecutor::choose_homes() {
  const auto& stages = program_->stages();
  homes_.assign(program_->num_values(), runtime::Home::host);
  std::vector<const runtime::Accelerator*> makers(homes_.size());
  for (const Stage& stage : stages) {
    const runtime::Accelerator* own = stage.program->accelerator();
    for (std::size_t i = 0; i < stage.inputs.size(); ++i) {
      const std::size_t index = stage.inputs[i];
      if (makers[index] == nullptr) continue;
      const auto& executor = *executors_[static_cast<std::size_t>(&stage - stages.data())];
      if (own == nullptr || executor.reads_on_host(i))
        homes_[index] = runtime::Home::pinned;
      else
        own->device().connect(makers[index]->device());
    }
    const std::size_t first_crossing = program_->inputs().size() + program_->outputs().size();
    for (const std::size_t index : stage.outputs) {
      if (own == nullptr || index < first_crossing) continue;
      makers[index] = own;
      homes_[index] = runtime::Home::device;
    }
  }
}

void StagedExecutor::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                         const std::vector<bool>& wanted, const runtime::RunLimits& limits) const {
  const auto at_once = [](FunctionRef<void()> work) { work(); };
  run(inputs, outputs, wanted, limits, {}, at_once);
}

void StagedExecutor::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                         const std::vector<bool>& wanted, const runtime::RunLimits& limits,
                         runtime::DeviceBinding binding, Turn turn) const {
  int64_t step = kAllRows;
  if (executors_.size() == 1) {
    const int64_t count = program_->may_be_cut() ? program_->rows()->count(inputs) : 1;
    turn([&] {
      if (count <= 1) return executors_[0]->run(inputs, outputs, wanted, limits, binding);
      const std::size_t room = bytes_near_cores();
      const std::size_t bytes = executors_[0]->run_within(room, inputs, outputs, wanted, limits);
      if (bytes > room)
        step = ceil_div(count, ceil_div(static_cast<int64_t>(bytes), static_cast<int64_t>(room)));
    });
    if (step == kAllRows) return;
  } else if (program_->may_be_cut()) {
    step = rows_of_part(program_->rows()->count(inputs), executors_.size());
  }
  const std::vector<bool> needed = this->needed(wanted);
  const Run run{needed, limits, turn};
  std::vector<Values> parts = cut(inputs, outputs, wanted, step);
  if (parts.size() > 1) {
    if (executors_.size() > 1) return run_side_by_side(parts, run);
    for (Values& part : parts) run_stage(0, part, run);
    return;
  }
  for (std::size_t stage = 0; stage < executors_.size(); ++stage) run_stage(stage, parts[0], run);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (wanted[i]) outputs[i] = std::move(parts[0].tensors[inputs.size() + i]);
  }
}

std::size_t StagedExecutor::num_plans() const {
  std::size_t most = 0;
  for (const auto& executor : executors_) most = std::max(most, executor->num_plans());
  return most;
}

// Of the values that stages share, for these outputs.
std::vector<bool> StagedExecutor::needed(const std::vector<bool>& wanted) const {
  std::vector<bool> needed(program_->num_values());
  std::copy(wanted.begin(), wanted.end(),
            needed.begin() + static_cast<std::ptrdiff_t>(program_->inputs().size()));
  for (auto stage = program_->stages().rbegin(); stage != program_->stages().rend(); ++stage) {
    const bool runs = std::any_of(stage->outputs.begin(), stage->outputs.end(),
                                  [&](std::size_t index) { return needed[index]; });
    for (const std::size_t index : stage->inputs) needed[index] = needed[index] || runs;
  }
  return needed;
}

StagedExecutor::Values StagedExecutor::values_of(std::vector<Tensor> inputs,
                                                 const std::vector<Tensor>& outputs) const {
  Values values{std::move(inputs), std::vector(homes_.size(), runtime::Home::host)};
  values.tensors.insert(values.tensors.end(), outputs.begin(), outputs.end());
  values.tensors.resize(homes_.size());
  return values;
}

// A quarter of the last cache. Where many threads share it each gets what is worth their meeting at
// each step.
std::size_t StagedExecutor::bytes_near_cores() const {
  constexpr std::size_t kLeastOfThread = std::size_t{4} << 20;
  return std::max(kLeastOfThread * static_cast<std::size_t>(pool_.size()), last_cache_bytes() / 4);
}

std::vector<StagedExecutor::Values> StagedExecutor::cut(const std::vector<Tensor>& inputs,
                                                        std::vector<Tensor>& outputs,
                                                        const std::vector<bool>& wanted,
                                                        int64_t step) const {
  const std::optional<BatchRows>& rows = program_->rows();
  const int64_t count = step != kAllRows ? rows->count(inputs) : 0;
  std::vector<Values> parts;
  if (count <= step || !prepare(inputs, outputs, wanted)) {
    parts.push_back(values_of(inputs, outputs));
    return parts;
  }
  for (int64_t begin = 0; begin < count; begin += step) {
    const int64_t end = std::min(begin + step, count);
    std::vector<Tensor> own(outputs.size());
    for (std::size_t i = 0; i < own.size(); ++i)
      if (wanted[i]) own[i] = outputs[i].slice(begin, end);
    parts.push_back(values_of(rows->part(inputs, begin, end), own));
  }
  return parts;
}

// Every part writes its rows into the outputs. False when the caller's have another shape than the
// model will give.
bool StagedExecutor::prepare(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                             const std::vector<bool>& wanted) const {
  std::vector<Tensor> whole = outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!wanted[i]) continue;
    const ir::Type type = program_->rows()->output_type(i, inputs);
    const Shape shape = *type.shape();
    if (!whole[i].defined())
      whole[i] = ops::allocate_tensor(type.dtype, shape, *memory_, "output");
    else if (whole[i].dtype() != type.dtype || whole[i].shape() != shape)
      return false;
  }
  outputs = std::move(whole);
  return true;
}

void StagedExecutor::run_stage(std::size_t stage, Values& values, const Run& run) const {
  const Stage& own = program_->stages()[stage];
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  std::vector<bool> wanted;
  runtime::DeviceBinding binding;
  binding.queue = queues_[stage].get();
  for (const std::size_t index : own.inputs) {
    inputs.push_back(values.tensors[index]);
    binding.inputs.push_back(values.homes[index]);
  }
  for (const std::size_t index : own.outputs) {
    outputs.push_back(values.tensors[index]);
    binding.outputs.push_back(homes_[index]);
    wanted.push_back(run.needed[index]);
  }
  if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) return;
  if (binding.queue == nullptr) binding = {};
  run.turn([&] { executors_[stage]->run(inputs, outputs, wanted, run.limits, binding); });
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    values.tensors[own.outputs[i]] = std::move(outputs[i]);
    values.homes[own.outputs[i]] = binding.output(static_cast<int>(i));
  }
  for (const std::size_t index : own.inputs)
    if (last_stage_[index] == stage) values.tensors[index] = Tensor();
}

// Two threads a stage each take a part: one queues the next while the other waits for the device. A
// stage of the CPU has one, and so have all beside it, which then wait for it and would only take
// threads away. The calling thread is one of the first stage.
void StagedExecutor::run_side_by_side(std::vector<Values>& parts, const Run& run) const {
  Progress progress(executors_.size(), parts.size());
  const auto work = [&](std::size_t stage) {
    try {
      while (const auto part = progress.begin(stage)) {
        run_stage(stage, parts[*part], run);
        progress.end(stage, *part);
      }
    } catch (...) {
      progress.fail(std::current_exception());
    }
  };
  const bool on_cpu = std::find(queues_.begin(), queues_.end(), nullptr) != queues_.end();
  const std::size_t threads = (on_cpu ? 1 : 2) * executors_.size();
  std::vector<std::jthread> others;
  others.reserve(threads);
  try {
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work, i % executors_.size());
  } catch (const std::system_error& error) {
    progress.fail(std::make_exception_ptr(
        Error(Errc::out_of_memory,
              fmt::format("a thread for a stage cannot be started: {}", error.what()))));
  }
  work(0);
  others.clear();
  progress.check();
}

}  // namespace tercel

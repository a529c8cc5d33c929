#pragma once
// A program of consecutive stages, each with a device of its own, and what runs it: parts of a
// batch go through the stages one behind the other, so that all devices are busy at a time. Of one
// stage on the CPU, parts are as many rows as keep what passes between its steps in the caches.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/function_ref.h"
#include "src/runtime/executor.h"
#include "src/runtime/shared_queue.h"
#include "src/session/batch_rows.h"
#include "src/session/cut_model.h"

namespace tercel {

struct Stage {
  std::unique_ptr<runtime::Program> program;
  std::vector<std::size_t> inputs;   // as StageModel has them
  std::vector<std::size_t> outputs;  // likewise
};

// Compiled; sessions share it.
class StagedProgram {
 public:
  // Of one stage. `rows`: how batches may be cut; nothing: they are not.
  StagedProgram(std::unique_ptr<runtime::Program> program, std::optional<BatchRows> rows);
  // Of two stages or more, with `outputs` outputs together. `rows`: how batches may be cut.
  StagedProgram(std::vector<Stage> stages, std::size_t outputs, BatchRows rows);

  const std::vector<Stage>& stages() const { return stages_; }
  const std::optional<BatchRows>& rows() const { return rows_; }
  bool may_be_cut() const { return rows_ && rows_->reason().empty(); }
  std::size_t num_values() const { return num_values_; }
  // The inputs and outputs of the whole model.
  std::span<ir::Value* const> inputs() const { return stages_[0].program->given_inputs(); }
  std::span<ir::Value* const> outputs() const { return outputs_; }
  std::string explain() const;

 private:
  std::vector<Stage> stages_;
  std::optional<BatchRows> rows_;
  std::vector<ir::Value*> outputs_;
  std::size_t num_values_ = 0;
};

// Rows of each part of a batch but the last, which may have fewer. The last stage waits for the
// first part, and the first for the last: with four parts a stage that is less than a fifth of the
// time. Every part reads all weights, which takes as long as computing a few rows, so it has eight
// at least.
int64_t rows_of_part(int64_t rows, std::size_t stages);

class StagedExecutor {
 public:
  StagedExecutor(std::shared_ptr<const StagedProgram> program, ThreadPool& pool,
                 std::shared_ptr<Allocator> memory);

  // Does what it is given, on the calling thread.
  using Turn = FunctionRef<void(FunctionRef<void()> work)>;

  // As runtime::Executor::run. Each stage takes its turn for each part, with nothing held between;
  // several stages take turns on threads of their own. `binding`: of one stage alone. The first
  // error of any stage reaches the caller, once all of them have ended what they were at.
  void run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
           const std::vector<bool>& wanted, const runtime::RunLimits& limits,
           runtime::DeviceBinding binding, Turn turn) const;
  void run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
           const std::vector<bool>& wanted, const runtime::RunLimits& limits) const;

  std::size_t num_plans() const;  // of the stage that has the most

 private:
  // One part of a batch on its way: the values that stages share, and where they lie.
  struct Values {
    std::vector<Tensor> tensors;
    std::vector<runtime::Home> homes;
  };
  struct Run;

  void choose_homes();
  std::vector<bool> needed(const std::vector<bool>& wanted) const;
  Values values_of(std::vector<Tensor> inputs, const std::vector<Tensor>& outputs) const;
  std::size_t bytes_near_cores() const;
  std::vector<Values> cut(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
                          const std::vector<bool>& wanted, int64_t step) const;
  bool prepare(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs,
               const std::vector<bool>& wanted) const;
  void run_stage(std::size_t stage, Values& values, const Run& run) const;
  void run_side_by_side(std::vector<Values>& parts, const Run& run) const;

  std::shared_ptr<const StagedProgram> program_;
  ThreadPool& pool_;
  std::shared_ptr<Allocator> memory_;
  std::vector<std::unique_ptr<runtime::SharedQueue>> queues_;  // of the stages; null: the CPU's
  std::vector<std::unique_ptr<runtime::Executor>> executors_;
  std::vector<std::size_t> last_stage_;  // that reads each of the values
  std::vector<runtime::Home> homes_;     // where a stage is to leave each of them
};

}  // namespace tercel

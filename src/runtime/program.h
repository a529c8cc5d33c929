#pragma once
// A model made ready to run: an ordered list of steps, each with its kernel (weights packed inside)
// and the slots it reads and writes. Made once; shapes come later, with the plan.
//
// With an accelerator, a step runs there when one of its kernels accepts, else on the CPU. A value
// lies where the step that makes it runs; what reads it elsewhere reads a second slot, which a
// transfer fills. Integers that only say shapes stay on the CPU, where the plan knows them.

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/ops/cpu.h"
#include "src/runtime/accelerator.h"

namespace tercel::runtime {

struct ProgramOptions {
  CpuIsa isa = CpuIsa::generic;
  Dtype weight_dtype = Dtype::f32;
  Dtype product_dtype = Dtype::undefined;  // of the CPU's steps: see ops::KernelContext
  Accelerator* accelerator = nullptr;
  // With an accelerator: refuse a model of which a step would run on the CPU.
  bool strict = false;
};

enum class Transfer { none, to_device, to_host };

struct Step {
  std::vector<const ir::Node*> nodes;   // the first decides the kernel, the others run with it
  std::unique_ptr<ops::Kernel> kernel;  // null: a view of input 0, or a transfer
  std::string implementation;
  std::vector<std::string> refusals;
  std::vector<int> inputs;                      // slots; -1: left out, or packed into the kernel
  std::vector<const ir::Value*> input_values;   // what they hold; null likewise
  std::vector<int> outputs;                     // slots; -1: left out
  std::vector<const ir::Value*> output_values;  // null: left out
  bool rounds_input = false;                    // input 0 is held in bf16, though its value is f32
  bool rounds_output = false;                   // and output 0
  bool on_device = false;                       // the kernel is the accelerator's
  Transfer transfer = Transfer::none;

  bool is_view() const { return kernel == nullptr && transfer == Transfer::none; }
  // Its work is put in the accelerator's queue.
  bool is_queued() const { return on_device || transfer != Transfer::none; }
};

class Program {
 public:
  // Throws Errc::unsupported for a node without a kernel, Errc::invalid_file for one that is
  // malformed.
  Program(std::unique_ptr<ir::Model> model, const ProgramOptions& options, ThreadPool& pool,
          Allocator& memory);

  const ir::Model& model() const { return *model_; }
  const std::vector<Step>& steps() const { return steps_; }
  int num_slots() const { return static_cast<int>(values_.size()); }
  const ir::Value* value(int slot) const { return values_[static_cast<std::size_t>(slot)]; }
  // Held rounded, though its value is f32: in bf16 on the CPU, else as ops::Rounding says.
  bool rounded(int slot) const { return rounded_.contains(value(slot)); }
  bool on_device(int slot) const { return on_device_[static_cast<std::size_t>(slot)]; }
  Accelerator* accelerator() const { return accelerator_; }
  // Defined for slots that hold the same at every run.
  const Tensor& constant(int slot) const { return constants_[static_cast<std::size_t>(slot)]; }
  // Steps that read nothing but the model's inputs and whose outputs have sizes that the data
  // decides (the index of the real tokens of a batch). They run before a plan is looked up, which
  // then knows these sizes: their outputs count as inputs of the graph, behind those of the model.
  const std::vector<Step>& sizing_steps() const { return sizing_; }
  std::span<ir::Value* const> given_inputs() const { return model_->graph.inputs().first(given_); }
  const std::vector<int>& inputs() const { return inputs_; }    // slots of the graph's inputs
  const std::vector<int>& outputs() const { return outputs_; }  // and outputs
  std::size_t constant_bytes() const;

  // One line a step.
  std::string explain() const;

 private:
  class Compiler;   // compiler.h
  class Placement;  // placement.h
  int slot(const ir::Value* value);
  int add_slot(const ir::Value* value, bool on_device);

  std::unique_ptr<ir::Model> model_;
  std::vector<Step> steps_;
  std::vector<Step> sizing_;
  std::size_t given_ = 0;
  std::vector<const ir::Value*> values_;
  std::vector<Tensor> constants_;
  std::vector<bool> on_device_;
  Accelerator* accelerator_ = nullptr;
  std::unordered_map<const ir::Value*, int> slots_;
  std::unordered_set<const ir::Value*> rounded_;
  std::vector<int> inputs_;
  std::vector<int> outputs_;
};

}  // namespace tercel::runtime

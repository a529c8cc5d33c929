#pragma once
// Where the values of a program that is being compiled lie: in slots, on the device or not, with
// transfers between them; and which are the same at every run, computed here once.

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/runtime/program.h"

namespace tercel::runtime {

class Program::Placement {
 public:
  // `accelerator` may be null.
  Placement(Program& program, const ops::Facts& facts, const ProgramOptions& options,
            ThreadPool& pool, Allocator& memory);

  // Takes a node whose inputs are the same at every run: it is computed if anyone reads it. False
  // for what would take more time or memory than the file can justify; that is left to the runs.
  bool take_load_time(const ir::Node& node);

  // Slots for what the step reads and gives: the inputs of `first`, and the outputs of `last`.
  void connect(Step& step, const ir::Node& first, const ir::Node& last);
  void add_input(Step& step, const ir::Value* value, bool on_device);
  void add_output(Step& step, const ir::Value* output, bool on_device);
  // The slot that holds the value on that side; a transfer fills it when the value lies on the
  // other. `reader`: for messages.
  int read_on(const ir::Value* value, bool on_device, const ir::Node* reader);

 private:
  bool is_load_time(const ir::Node& node) const;
  bool take_from_budget(const ir::Node& node);
  int read_slot(const ir::Value* value);
  void add_view(const ir::Node& node, int copy);
  void add_transfer(int home, int copy, bool to_device, const ir::Node* reader);
  void compute(const ir::Node& wanted);
  void compute_one(const ir::Node& node);

  Program& program_;
  const ops::Facts& facts_;
  const ProgramOptions& options_;
  ThreadPool& pool_;
  Allocator& memory_;
  std::unordered_set<const ir::Value*> load_time_;
  std::unordered_set<const ir::Node*> computed_;
  std::unordered_map<int, int> moved_;  // slot to the slot of its copy on the other side
  std::unordered_map<int, const ir::Node*> views_;  // on the host, by their slot
  std::ptrdiff_t input_transfers_ = 0;              // the first steps
  std::size_t load_budget_ = std::size_t{64} << 20;
};

}  // namespace tercel::runtime

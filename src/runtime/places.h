#pragma once
// Gives the values of a plan their places in memory: blocks with lifetimes, results written over
// what is read for the last time, outputs straight into the caller's memory.

#include <utility>
#include <vector>

#include "src/runtime/memory_plan.h"
#include "src/runtime/plan.h"

namespace tercel::runtime {

class Places {
 public:
  // `plan` has its steps, and its slots all but their places. `known_shape`: by slot.
  Places(const Program& program, Plan& plan, std::vector<bool> known_shape, ThreadPool& pool);
  void place();

 private:
  void find_last_reads();
  void place_inputs_side_by_side();
  void place_step(PlannedStep& planned, const Step& step, int at);
  bool is_dynamic(const Step& step) const;
  bool is_of_input(const Step& step) const;
  bool is_read(int slot) const;
  void place_view(const Step& step);
  void place_outputs(const Step& step, int at);
  void place_side_by_side(const std::vector<int>& slots, int at);
  void reserve_staging(PlannedStep& planned, int at);
  void reserve_workspace(PlannedStep& planned, int at);
  void claim_outputs();
  void find_transferred_outputs();
  void lay_out();
  std::size_t lay_out_side(std::vector<Block>& blocks, bool on_device) const;

  int add_block(std::size_t bytes, int at, bool on_device);
  int reusable(const Step& step, std::size_t bytes, int at);
  void read(int slot, int at);
  void store(int slot, int block);
  void note_largest(const Step& step, std::size_t bytes);

  PlannedSlot& slot(int index) { return plan_.slots[static_cast<std::size_t>(index)]; }
  const PlannedSlot& slot(int index) const { return plan_.slots[static_cast<std::size_t>(index)]; }
  std::size_t bytes_of_slot(int index) const {
    return bytes_of(slot(index).dtype, element_count(slot(index).shape));
  }
  static std::size_t at_slot(int index) { return static_cast<std::size_t>(index); }
  std::size_t at_block(int index) const {
    return static_cast<std::size_t>(storage_[at_slot(index)]);
  }

  const Program& program_;
  Plan& plan_;
  ThreadPool& pool_;
  std::vector<bool> known_shape_;
  std::vector<int> storage_;           // slot to block; -1: not in the arena
  std::vector<std::size_t> in_block_;  // by slot: where in its block it begins
  std::vector<int> last_read_;         // by slot: the last step that does, -1 for none
  std::vector<Block> blocks_;
  std::vector<bool> on_device_;  // by block
  std::vector<bool> kept_;       // by block: it is not the caller's memory, and not written over
  std::vector<int> last_read_of_block_;
  std::vector<int> reads_here_;  // by block, of the step that is being placed
  std::size_t largest_ = 0;
  std::vector<int> external_;  // block to the graph output whose memory it is
  std::vector<std::pair<PlannedStep*, int>> workspaces_;
  std::vector<std::pair<PlannedStep*, int>> stagings_;
};

}  // namespace tercel::runtime

#pragma once
// Which of a run's inputs and outputs lie in the accelerator's memory, where the caller has put
// them or wants them.

#include <algorithm>
#include <vector>

namespace tercel::runtime {

struct DeviceBinding {
  std::vector<bool> inputs;   // by given input of the program; empty: none
  std::vector<bool> outputs;  // by output of the graph; likewise

  bool input(int index) const { return holds(inputs, index); }
  bool output(int index) const { return holds(outputs, index); }
  bool any_input() const { return std::find(inputs.begin(), inputs.end(), true) != inputs.end(); }
  bool any() const {
    return any_input() || std::find(outputs.begin(), outputs.end(), true) != outputs.end();
  }

 private:
  static bool holds(const std::vector<bool>& side, int index) {
    return index >= 0 && static_cast<std::size_t>(index) < side.size() &&
           side[static_cast<std::size_t>(index)];
  }
};

}  // namespace tercel::runtime

#pragma once
// Where a run's inputs and outputs lie, as an accelerator sees it.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tercel::runtime {

class SharedQueue;

enum class Home : uint8_t {
  host,    // the accelerator gets at it by way of memory of the run's
  pinned,  // memory of the host that the accelerator copies to and from by itself
  // Its own memory; what is kept as it is may come from that of another accelerator.
  device,
};

struct DeviceBinding {
  std::vector<Home> inputs;   // by given input of the program; empty: all on the host
  std::vector<Home> outputs;  // by output of the graph; likewise
  // The run follows others in this queue. What is not on the host is passing: it lies elsewhere at
  // each run, so that nothing that is recorded reads or writes it. Null: the run has its own.
  SharedQueue* queue = nullptr;

  Home input(int index) const { return at(inputs, index); }
  Home output(int index) const { return at(outputs, index); }
  bool any_input() const { return any(inputs); }
  bool any() const { return any(inputs) || any(outputs); }

 private:
  static Home at(const std::vector<Home>& side, int index) {
    const bool is_there = index >= 0 && static_cast<std::size_t>(index) < side.size();
    return is_there ? side[static_cast<std::size_t>(index)] : Home::host;
  }
  static bool any(const std::vector<Home>& side) {
    return std::any_of(side.begin(), side.end(), [](Home home) { return home != Home::host; });
  }
};

}  // namespace tercel::runtime

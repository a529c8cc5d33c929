#pragma once
// Where in one arena the intermediate values of a run lie. Two values whose lifetimes do not meet
// may share bytes. Greedy by size: the largest value first, each at the lowest offset that is free
// for its whole life (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", 2020). Plans of thousands of values, which this would take too long for, are laid out
// in the order of their steps instead.

#include <cstddef>
#include <vector>

namespace tercel::runtime {

struct Block {
  std::size_t bytes = 0;
  int first = 0;           // the step that writes it
  int last = 0;            // the last step that reads it, inclusive
  std::size_t offset = 0;  // filled in by plan_memory
};

// Sets the offsets (multiples of 64) and returns the arena's size. Throws Errc::invalid_argument on
// overflow.
std::size_t plan_memory(std::vector<Block>& blocks);

// Up to the next boundary at which a block may begin. Throws Errc::invalid_argument on overflow.
std::size_t aligned(std::size_t bytes);

}  // namespace tercel::runtime

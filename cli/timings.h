#pragma once
// Times of repeated runs.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace tercel::cli {

struct Timings {
  double first = 0;          // milliseconds; the plan is made in it
  std::vector<double> runs;  // milliseconds, ascending

  void sort() { std::sort(runs.begin(), runs.end()); }

  double at(double fraction) const {  // nearest rank
    const auto rank =
        static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(runs.size())));
    return runs[std::min(std::max<std::size_t>(rank, 1), runs.size()) - 1];
  }
};

}  // namespace tercel::cli

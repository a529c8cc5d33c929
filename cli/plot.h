#pragma once
// Lines in a plot, as SVG.

#include <string>
#include <utility>
#include <vector>

namespace tercel::cli {

struct PlotLine {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x ascending and above 0, y at least 0
};

// One picture of all lines: x on a logarithmic axis with a mark at every x that is there, y from 0.
std::string line_plot(const std::string& title, const std::string& x_label,
                      const std::vector<PlotLine>& lines);

}  // namespace tercel::cli

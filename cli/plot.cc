#include "cli/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>

namespace tercel::cli {
namespace {

constexpr double kLeft = 70;
constexpr double kTop = 70;
constexpr double kWidth = 560;
constexpr double kHeight = 280;
constexpr std::array<const char*, 6> kColours = {"#1f77b4", "#d62728", "#2ca02c",
                                                 "#9467bd", "#ff7f0e", "#17becf"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

// The least of 1, 2, 5 times a power of ten that is not below `value`.
double round_number(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= value) return factor * power;
  }
  return 10 * power;
}

struct Axes {
  std::set<double> marks;  // of x
  double step = 1;         // of y
  int steps = 1;

  explicit Axes(const std::vector<PlotLine>& lines) {
    double most = 0;
    for (const PlotLine& line : lines) {
      for (const auto& [x, y] : line.points) {
        marks.insert(x);
        most = std::max(most, y);
      }
    }
    if (most > 0) {
      step = round_number(most / 5);
      steps = static_cast<int>(std::ceil(most / step));
    }
  }
  double x(double value) const {
    const double width = std::log(*marks.rbegin()) - std::log(*marks.begin());
    return kLeft + (width > 0 ? kWidth * (std::log(value) - std::log(*marks.begin())) / width : 0);
  }
  double y(double value) const { return kTop + kHeight * (1 - value / (step * steps)); }
};

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)", x, y, anchor,
                     escaped(text)) +
         "\n";
}

std::string grid(const Axes& axes, const std::string& x_label) {
  std::string out;
  for (int i = 0; i <= axes.steps; ++i) {
    const double value = i * axes.step;
    out +=
        fmt::format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="#dddddd"/>)",
                    kLeft, axes.y(value), kLeft + kWidth, axes.y(value));
    out += text_at(kLeft - 8, axes.y(value) + 4, "end", fmt::format("{:g}", value));
  }
  for (const double mark : axes.marks) {
    out += text_at(axes.x(mark), kTop + kHeight + 18, "middle", fmt::format("{:g}", mark));
  }
  return out + text_at(kLeft + kWidth / 2, kTop + kHeight + 40, "middle", x_label);
}

}  // namespace

std::string line_plot(const std::string& title, const std::string& x_label,
                      const std::vector<PlotLine>& lines) {
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#333333\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kLeft + kWidth + 30, kTop + kHeight + 55);
  out += fmt::format(R"(<text x="{}" y="22" font-size="14" font-weight="bold">{}</text>)", kLeft,
                     escaped(title)) +
         "\n";
  const Axes axes(lines);
  if (axes.marks.empty()) return out + "</svg>\n";
  out += grid(axes, x_label);
  double legend = kLeft;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const char* colour = kColours[i % kColours.size()];
    std::string points;
    for (const auto& [x, y] : lines[i].points) {
      points += fmt::format("{:.1f},{:.1f} ", axes.x(x), axes.y(y));
      out += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>)", axes.x(x),
                         axes.y(y), colour);
    }
    out += fmt::format(R"(<polyline points="{}" fill="none" stroke="{}" stroke-width="2"/>)",
                       points, colour) +
           "\n";
    out += fmt::format(R"(<circle cx="{:.1f}" cy="44" r="4" fill="{}"/>)", legend + 4, colour);
    out += text_at(legend + 12, 48, "start", lines[i].name);
    legend += 40 + 7 * static_cast<double>(lines[i].name.size());
  }
  return out + "</svg>\n";
}

}  // namespace tercel::cli

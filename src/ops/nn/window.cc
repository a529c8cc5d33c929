#include "src/ops/nn/window.h"

#include <algorithm>

#include "src/base/checked.h"

namespace tercel::ops {
namespace {

template <class... Args>
[[noreturn]] void reject(const ir::Node& node, fmt::format_string<Args...> format, Args&&... args) {
  fail(Errc::invalid_file, "{} {}", node.label(), fmt::format(format, std::forward<Args>(args)...));
}

std::vector<int64_t> values_of(const ir::Node& node, std::string_view name, std::size_t count,
                               int64_t otherwise, int64_t least) {
  auto values = node.ints_or(name, std::vector<int64_t>(count, otherwise));
  if (values.size() != count)
    reject(node, "{} has {} values; expected {}", name, values.size(), count);
  for (const int64_t value : values) {
    if (value < least) reject(node, "{} has {}; expected {} or more", name, value, least);
  }
  return values;
}

Window::AutoPad auto_pad_of(const ir::Node& node) {
  const std::string name = node.string_or("auto_pad", "NOTSET");
  if (name == "NOTSET") return Window::AutoPad::none;
  if (name == "SAME_UPPER") return Window::AutoPad::same_upper;
  if (name == "SAME_LOWER") return Window::AutoPad::same_lower;
  if (name == "VALID") return Window::AutoPad::valid;
  reject(node, "auto_pad is \"{}\"; expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", name);
}

// What the dilated kernel covers.
int64_t reach_of(const Window& window, std::size_t d) {
  return checked_add(checked_mul(window.kernel[d] - 1, window.dilations[d]), 1);
}

// Splits the padding in two, the odd one to the end that `auto_pad` names.
Slide split(int64_t total, int64_t count, Window::AutoPad auto_pad) {
  const int64_t half = total / 2;
  const int64_t rest = total - half;
  return auto_pad == Window::AutoPad::same_lower ? Slide{rest, half, count}
                                                 : Slide{half, rest, count};
}

}  // namespace

Window window_of(const ir::Node& node, std::size_t rank, std::vector<int64_t> kernel) {
  Window window;
  if (node.has_attribute("kernel_shape")) {
    window.kernel = values_of(node, "kernel_shape", rank, 1, 1);
    for (std::size_t d = 0; d < kernel.size(); ++d) {
      if (kernel[d] >= 0 && kernel[d] != window.kernel[d])
        reject(node, "kernel_shape has {} for a weight of {}", window.kernel[d], kernel[d]);
    }
  } else {
    window.kernel = std::move(kernel);
  }
  if (window.kernel.size() != rank)
    reject(node, "the kernel has {} dimensions; expected {}", window.kernel.size(), rank);
  if (std::find(window.kernel.begin(), window.kernel.end(), 0) != window.kernel.end())
    reject(node, "the kernel is empty");
  window.strides = values_of(node, "strides", rank, 1, 1);
  window.dilations = values_of(node, "dilations", rank, 1, 1);
  const auto pads = values_of(node, "pads", 2 * rank, 0, 0);
  window.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  window.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  window.auto_pad = auto_pad_of(node);
  window.ceil = node.int_or("ceil_mode", 0) != 0;
  return window;
}

Slide slide_along(const ir::Node& node, const Window& window, std::size_t d, int64_t size) {
  const int64_t reach = reach_of(window, d);
  const int64_t stride = window.strides[d];
  if (window.auto_pad == Window::AutoPad::same_upper ||
      window.auto_pad == Window::AutoPad::same_lower) {
    const int64_t count = size / stride + (size % stride != 0 ? 1 : 0);
    const int64_t covered =
        checked_add(checked_mul(std::max<int64_t>(count - 1, 0), stride), reach);
    return split(std::max<int64_t>(covered - size, 0), count, window.auto_pad);
  }
  Slide slide;
  if (window.auto_pad == Window::AutoPad::none) slide = {window.begin[d], window.end[d], 0};
  const int64_t room = checked_add(checked_add(size, slide.begin), slide.end) - reach;
  if (room < 0) {
    if (size == 0) return slide;
    reject(node, "the window covers {} elements of dimension {}, which has {} with its padding",
           reach, d + 2, room + reach);
  }
  slide.count = room / stride + 1;
  // A window that would begin behind the input and its first padding is left out.
  if (window.ceil && room % stride != 0 &&
      checked_mul(slide.count, stride) < checked_add(size, slide.begin))
    ++slide.count;
  return slide;
}

Slide slide_back(const ir::Node& node, const Window& window, std::size_t d, int64_t size) {
  const std::size_t rank = window.rank();
  const int64_t extra = values_of(node, "output_padding", rank, 0, 0)[d];
  const int64_t spread = size == 0 ? 0 : checked_mul(size - 1, window.strides[d]);
  const int64_t covered = checked_add(checked_add(spread, reach_of(window, d)), extra);
  const bool shaped = node.has_attribute("output_shape");
  const bool same = window.auto_pad == Window::AutoPad::same_upper ||
                    window.auto_pad == Window::AutoPad::same_lower;
  if (shaped || same) {
    auto shape = node.ints_or("output_shape", {});
    // Some exporters name the batch and the channels as well.
    if (shape.size() == rank + 2) shape.erase(shape.begin(), shape.begin() + 2);
    if (shaped && shape.size() != rank)
      reject(node, "output_shape has {} values; expected {}", shape.size(), rank);
    const int64_t count = shaped ? shape[d] : checked_mul(size, window.strides[d]);
    if (count < 0) reject(node, "output_shape has {}", count);
    // What is more than the windows cover lies behind them.
    Slide slide =
        split(std::max<int64_t>(covered - count, 0), count,
              window.auto_pad == Window::AutoPad::same_upper ? Window::AutoPad::same_upper
                                                             : Window::AutoPad::same_lower);
    return slide;
  }
  Slide slide;
  if (window.auto_pad == Window::AutoPad::none) slide = {window.begin[d], window.end[d], 0};
  slide.count = covered - checked_add(slide.begin, slide.end);
  if (slide.count < 0) reject(node, "pads take {} from dimension {}", -slide.count, d + 2);
  if (size == 0) slide.count = 0;
  return slide;
}

ir::Dim slid_dim(const ir::Node& node, const Window& window, std::size_t d, const ir::Dim& size) {
  if (window.kernel[d] < 0) return {};
  if (size.known()) return slide_along(node, window, d, size.value()).count;
  const bool same = window.auto_pad == Window::AutoPad::same_upper ||
                    window.auto_pad == Window::AutoPad::same_lower;
  if (window.strides[d] != 1) return {};
  if (same) return size;
  const bool padded = window.auto_pad == Window::AutoPad::none;
  const int64_t pads = padded ? checked_add(window.begin[d], window.end[d]) : 0;
  const int64_t change = pads - (reach_of(window, d) - 1);
  return change >= 0 ? add(size, ir::Dim(change)) : sub(size, ir::Dim(-change));
}

}  // namespace tercel::ops

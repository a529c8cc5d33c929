#include <numeric>

#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

enum class PadMode { constant, reflect, edge, wrap };

PadMode mode_of(const ir::Node& node) {
  const std::string mode = node.string_or("mode", "constant");
  if (mode == "reflect") return PadMode::reflect;
  if (mode == "edge") return PadMode::edge;
  return mode == "wrap" ? PadMode::wrap : PadMode::constant;
}

constexpr int64_t kFill = -1;

// The element of an axis of `size` that stands at `at`, which may lie outside; kFill for none.
int64_t source_of(int64_t at, int64_t size, PadMode mode) {
  if (at >= 0 && at < size) return at;
  if (mode == PadMode::constant || size == 0) return kFill;
  if (mode == PadMode::edge) return at < 0 ? 0 : size - 1;
  if (mode == PadMode::wrap) return (at % size + size) % size;
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  const int64_t folded = (at % period + period) % period;
  return folded < size ? folded : period - folded;
}

using Map = std::vector<int64_t>;  // from a position of the output to one of the input

template <class T>
void pad_row(const T* from, const Map& map, const T& fill, T* to) {
  const auto count = static_cast<int64_t>(map.size());
  for (int64_t i = 0; i < count;) {
    const int64_t first = map[static_cast<std::size_t>(i)];
    int64_t run = 1;
    if (first == kFill) {
      while (i + run < count && map[static_cast<std::size_t>(i + run)] == kFill) ++run;
      std::fill_n(to + i, run, fill);
    } else {
      while (i + run < count && map[static_cast<std::size_t>(i + run)] == first + run) ++run;
      std::copy_n(from + first, run, to + i);
    }
    i += run;
  }
}

class PadKernel final : public CpuKernel {
 public:
  explicit PadKernel(const KernelContext& context)
      : label_(context.node.label()), mode_(mode_of(context.node)) {}

  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    if (out.size() == 0) return;
    const std::vector<Map> maps = maps_of(run);
    dispatch_element(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const bool given = run.inputs.size() > 2 && run.inputs[2].defined();
      const T fill = given ? *elements<T>(run.inputs[2]) : T{};
      if (in.rank() == 0)
        *elements<T>(out) = *elements<T>(in);
      else
        pad(elements<T>(in), in.shape(), maps, fill, elements<T>(out), run.pool);
    });
  }

 private:
  std::vector<Map> maps_of(const KernelRun& run) const {
    const Shape& in = run.inputs[0].shape();
    const Shape& out = run.outputs[0].shape();
    const auto pads = integer_values(run.inputs[1]);
    std::vector<int64_t> axes(in.size());
    std::iota(axes.begin(), axes.end(), 0);
    if (run.inputs.size() > 3 && run.inputs[3].defined()) axes = integer_values(run.inputs[3]);
    std::vector<int64_t> before(in.size(), 0);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const int64_t axis = checked_index(axes[i], static_cast<int64_t>(in.size()), label_);
      before[static_cast<std::size_t>(axis)] = pads[i];
    }
    std::vector<Map> maps(in.size());
    for (std::size_t d = 0; d < in.size(); ++d) {
      if (mode_ != PadMode::constant && in[d] == 0 && out[d] > 0)
        fail(Errc::invalid_argument, "{} an empty axis has no elements to pad with", label_);
      for (int64_t i = 0; i < out[d]; ++i)
        maps[d].push_back(source_of(i - before[d], in[d], mode_));
    }
    return maps;
  }

  template <class T>
  static void pad(const T* from, const Shape& in, const std::vector<Map>& maps, const T& fill,
                  T* to, ThreadPool& pool) {
    const std::vector<int64_t> strides = row_major(in);
    const std::size_t outer = maps.size() - 1;
    const auto row = static_cast<int64_t>(maps[outer].size());
    int64_t rows = 1;
    for (std::size_t d = 0; d < outer; ++d) rows *= static_cast<int64_t>(maps[d].size());
    pool.parallel_for(rows, rows_per_grain(row), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t at = 0;
        int64_t rest = i;
        bool inside = true;
        for (std::size_t d = outer; d-- > 0;) {
          const auto size = static_cast<int64_t>(maps[d].size());
          const int64_t place = maps[d][static_cast<std::size_t>(rest % size)];
          inside = inside && place != kFill;
          at += place * strides[d];
          rest /= size;
        }
        if (inside)
          pad_row(from + at, maps[outer], fill, to + i * row);
        else
          std::fill_n(to + i * row, row, fill);
      }
    });
  }

  std::string label_;
  PadMode mode_;
};

}  // namespace

const CpuImplementation kPadCpu[1] = {{"pad", refuse_packed, create_kernel<PadKernel>}};

}  // namespace tercel::ops

// Numbers are written_cast_text as Python writes them: the shortest text that reads back, with a
// point in every float. They are read_cast_text as decimal numbers, inf and nan in any case.

#include <charconv>
#include <cmath>

#include "src/ops/cpu_text.h"
#include "src/ops/tensor/cast_cpu.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

template <class T>
std::string written_cast_text(T value) {
  if constexpr (std::is_integral_v<T>) {
    return fmt::format("{}", +value);
  } else {
    std::string text = fmt::format("{}", value);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
}

[[noreturn]] void reject(const std::string& text) {
  const std::string shown = text.size() <= 40 ? text : text.substr(0, 40) + "…";
  fail(Errc::invalid_argument, "[Cast] \"{}\" is not a number", shown);
}

template <class T>
bool parses(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

template <class T>
T read_cast_text(const std::string& text) {
  std::string_view rest = text;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    T whole{};
    if (parses(rest, whole)) return whole;
  }
  double number = 0;
  if (!parses(rest, number)) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc::result_out_of_range || end != rest.data() + rest.size()) reject(text);
    // Too large or too small for a double.
    const bool tiny = rest.find("e-") != rest.npos || rest.find("E-") != rest.npos;
    number = std::copysign(tiny ? 0.0 : HUGE_VAL, rest.starts_with('-') ? -1.0 : 1.0);
  }
  if constexpr (std::is_same_v<T, bool>) {
    return number != 0;
  } else if constexpr (std::is_integral_v<T>) {
    if (!(number >= -0x1p63 && number < 0x1p63)) reject(text);
    return static_cast<T>(static_cast<int64_t>(number));
  } else {
    return store<T>(static_cast<ComputeType<T>>(number));
  }
}

class TextCast final : public TextKernel {
 public:
  explicit TextCast(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    const auto size = static_cast<std::size_t>(in.size());
    if (in.dtype() == Dtype::string) {
      dispatch_dtype(out.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        for (std::size_t i = 0; i < size; ++i)
          elements<T>(out)[i] = read_cast_text<T>(in.strings()[i]);
      });
    } else {
      dispatch_dtype(in.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        for (std::size_t i = 0; i < size; ++i)
          out.strings()[i] = written_cast_text(load(elements<T>(in)[i]));
      });
      out = counted(out, run.memory, "Cast");
    }
  }
};

}  // namespace

std::string refuse_text_cast(const KernelContext& context) {
  const Dtype from = context.input_dtype(0);
  const Dtype to = context.output_dtype(0);
  const Dtype other = from == Dtype::string ? to : from;
  if (from != Dtype::string && to != Dtype::string) return "converts to and from text only";
  return contains(AllTypes{}, other)
             ? std::string()
             : fmt::format("{} is not converted to or from text", to_string(other));
}

std::unique_ptr<CpuKernel> create_text_cast(const KernelContext& context) {
  return create_kernel<TextCast>(context);
}

}  // namespace tercel::ops

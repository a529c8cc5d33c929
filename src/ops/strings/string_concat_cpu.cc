#include "src/base/checked.h"
#include "src/device/count.h"
#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"
#include "src/ops/strings/strings_cpu.h"

namespace tercel::ops {
namespace {

class StringConcatKernel final : public TextKernel {
 public:
  explicit StringConcatKernel(const KernelContext&) {}

  void run(const KernelRun& run) const override {
    const auto a = run.inputs[0].strings();
    const auto b = run.inputs[1].strings();
    Tensor& out = run.outputs[0];
    const BroadcastLoop loop =
        broadcast_loop(out.shape(), {&run.inputs[0].shape(), &run.inputs[1].shape()});
    const auto parts = [&](int64_t i) {
      const auto at = loop.locate(i);
      return std::pair<const std::string&, const std::string&>(a[static_cast<std::size_t>(at[0])],
                                                               b[static_cast<std::size_t>(at[1])]);
    };
    int64_t bytes = 0;
    for (int64_t i = 0; i < out.size(); ++i) {
      const auto [left, right] = parts(i);
      bytes = checked_add(bytes, static_cast<int64_t>(left.size() + right.size()));
    }
    auto count = count_bytes(run.memory, static_cast<std::size_t>(bytes), "StringConcat");
    for (int64_t i = 0; i < out.size(); ++i) {
      const auto [left, right] = parts(i);
      std::string& text = out.strings()[static_cast<std::size_t>(i)];
      text.reserve(left.size() + right.size());
      text.append(left).append(right);
    }
    out = holding(out, std::move(count));
  }
};

}  // namespace

const CpuImplementation kStringConcatCpu[1] = {
    {"concat", refuse_nothing, create_kernel<StringConcatKernel>}};

}  // namespace tercel::ops

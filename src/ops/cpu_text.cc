#include "src/ops/cpu_text.h"

#include <algorithm>

#include "src/base/checked.h"
#include "src/device/count.h"

namespace tercel::ops {
namespace {

// A pointer to a string, or null for an empty one, as the bits of an element.
using Pointer = uint64_t;
static_assert(sizeof(const std::string*) <= sizeof(Pointer));

bool is_text(const Tensor& tensor) { return tensor.defined() && tensor.dtype() == Dtype::string; }

Tensor pointers_to(const Tensor& text, Allocator& memory) {
  Tensor pointers = allocate_tensor(Dtype::u64, text.shape(), memory, "strings");
  const auto strings = text.strings();
  std::transform(strings.begin(), strings.end(), pointers.values<uint64_t>().begin(),
                 [](const std::string& one) {
                   return static_cast<Pointer>(reinterpret_cast<uintptr_t>(&one));
                 });
  return pointers;
}

Tensor no_pointers(const Shape& shape, Allocator& memory) {
  Tensor pointers = allocate_tensor(Dtype::u64, shape, memory, "strings");
  std::fill_n(pointers.values<uint64_t>().begin(), pointers.size(), Pointer{0});
  return pointers;
}

const std::string& pointed_to(Pointer pointer) {
  static const std::string kEmpty;
  return pointer == 0 ? kEmpty
                      : *reinterpret_cast<const std::string*>(static_cast<uintptr_t>(pointer));
}

// What a string holds beside its own size.
int64_t heap_bytes(const std::string& one) {
  static const std::size_t kInline = std::string().capacity();
  return one.size() > kInline ? static_cast<int64_t>(one.size()) + 1 : 0;
}

Tensor strings_at(const Tensor& pointers, Allocator& memory) {
  int64_t bytes = 0;
  for (const Pointer pointer : pointers.values<uint64_t>())
    bytes = checked_add(bytes, heap_bytes(pointed_to(pointer)));
  auto count = count_bytes(memory, static_cast<std::size_t>(bytes), "strings");
  Tensor text = allocate_tensor(Dtype::string, pointers.shape(), memory, "strings");
  std::transform(pointers.values<uint64_t>().begin(), pointers.values<uint64_t>().end(),
                 text.strings().begin(), pointed_to);
  return holding(text, std::move(count));
}

}  // namespace

std::shared_ptr<const void> count_text(const Tensor& text, Allocator& memory, const char* what) {
  int64_t bytes = 0;
  for (const std::string& one : text.strings()) bytes += heap_bytes(one);
  return count_bytes(memory, static_cast<std::size_t>(bytes), what);
}

Tensor holding(const Tensor& tensor, std::shared_ptr<const void> more) {
  auto both =
      std::make_shared<std::pair<Tensor, std::shared_ptr<const void>>>(tensor, std::move(more));
  return Tensor::view_of(tensor.data(), tensor.dtype(), tensor.shape(), std::move(both));
}

Tensor counted(const Tensor& tensor, Allocator& memory, const char* what) {
  return is_text(tensor) ? holding(tensor, count_text(tensor, memory, what)) : tensor;
}

Tensor copy_text(const Tensor& text, Allocator& memory, const char* what) {
  auto count = count_text(text, memory, what);
  Tensor copy = allocate_tensor(Dtype::string, text.shape(), memory, what);
  std::copy(text.strings().begin(), text.strings().end(), copy.strings().begin());
  return holding(copy, std::move(count));
}

void run_kernel(const CpuKernel& kernel, const KernelRun& run) {
  if (std::none_of(run.inputs.begin(), run.inputs.end(), is_text) ||
      dynamic_cast<const TextKernel*>(&kernel) != nullptr) {
    return kernel.run(run);
  }
  std::vector<Tensor> inputs(run.inputs.begin(), run.inputs.end());
  for (Tensor& input : inputs) {
    if (is_text(input)) input = pointers_to(input, run.memory);
  }
  std::vector<Tensor> outputs(run.outputs.begin(), run.outputs.end());
  for (Tensor& output : outputs) {
    if (is_text(output)) output = no_pointers(output.shape(), run.memory);
  }
  kernel.run({inputs, outputs, run.workspace, run.pool, run.memory, run.limits});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const bool pointers = outputs[i].defined() && outputs[i].dtype() == Dtype::u64;
    run.outputs[i] = pointers ? strings_at(outputs[i], run.memory) : outputs[i];
  }
}

}  // namespace tercel::ops

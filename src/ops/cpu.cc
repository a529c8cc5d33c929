#include "src/ops/cpu.h"

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

const KernelTable& cpu_kernel_table() {
  static const KernelTable table(cpu_families());
  return table;
}

const CpuOp* find_cpu_op(std::string_view domain, std::string_view name) {
  return cpu_kernel_table().find(domain, name);
}

std::span<const CpuOp* const> all_cpu_ops() { return cpu_kernel_table().all(); }

bool has_cpu_kernel(const KernelContext& context) {
  return has_kernel(cpu_kernel_table(), context);
}

Choice choose_cpu_kernel(const KernelContext& context) {
  const ir::Node& node = context.node;
  if (find_cpu_op(node.domain(), node.op_type()) == nullptr) {
    fail(Errc::unsupported,
         "{} the operator has no CPU kernel; `tercel show --operators` lists those that have",
         node.label());
  }
  Choice choice = choose_kernel(cpu_kernel_table(), context);
  if (choice.kernel != nullptr) return choice;
  std::string reasons;
  for (const std::string& refusal : choice.refusals)
    reasons += (reasons.empty() ? "" : "; ") + refusal;
  fail(Errc::unsupported, "{} no CPU kernel accepts the node: {}", node.label(), reasons);
}

}  // namespace tercel::ops

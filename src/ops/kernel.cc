#include "src/ops/kernel.h"

#include <algorithm>
#include <cstring>

#include "src/base/checked.h"
#include "src/ir/place.h"

namespace tercel::ops {
namespace {

Dtype dtype_of_value(const Facts& facts, const ir::Value* value) {
  const ir::Type* type = value != nullptr ? facts.type(value) : nullptr;
  return type != nullptr ? type->dtype : Dtype::undefined;
}

// Elements that are objects of C++ and must be made and unmade.
template <class T>
Tensor allocate_objects(Dtype dtype, const Shape& shape, Allocator& memory, const char* what) {
  const int64_t count = element_count(shape);
  const int64_t bytes = checked_mul(count, static_cast<int64_t>(sizeof(T)));
  auto buffer = memory.allocate(static_cast<std::size_t>(bytes), what);
  T* first = reinterpret_cast<T*>(buffer->data());
  std::uninitialized_value_construct_n(first, count);
  const std::shared_ptr<const void> owner(
      first, [buffer, count](T* elements) { std::destroy_n(elements, count); });
  return Tensor::view_of(first, dtype, shape, owner);
}

bool swaps_last_two(const ir::Node& node, int rank) {
  const auto perm = node.ints_or("perm", {});
  if (perm.empty()) return rank == 2;
  return rank == 2 && perm == std::vector<int64_t>{1, 0};
}

}  // namespace

void RunLimits::check() const {
  if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) {
    fail(Errc::cancelled, "the run was cancelled");
  }
  if (deadline && std::chrono::steady_clock::now() >= *deadline) {
    fail(Errc::deadline_exceeded, "the run's deadline has passed");
  }
}

Tensor allocate_tensor(Dtype dtype, const Shape& shape, Allocator& memory, const char* what) {
  if (dtype == Dtype::string) return allocate_objects<std::string>(dtype, shape, memory, what);
  if (dtype == Dtype::sequence) return allocate_objects<Tensor>(dtype, shape, memory, what);
  auto buffer = memory.allocate(bytes_of(dtype, element_count(shape)), what);
  const std::byte* data = buffer->data();
  return Tensor::view_of(data, dtype, shape, std::move(buffer));
}

namespace {

Dtype kept_as(const KernelContext& context, Dtype declared) {
  return context.device != nullptr && declared == Dtype::f32 ? context.weight_dtype : declared;
}

}  // namespace

bool Epilogue::empty() const {
  return !bias.defined() && !residual && !norm && activation == Activation::none &&
         last == Activation::none;
}

KernelContext KernelContext::of(const Sibling& sibling) const {
  KernelContext other{sibling.node,     facts,   isa,   pool, memory, weight_dtype,
                      sibling.epilogue, layouts, device};
  other.product_dtype = product_dtype;
  other.batch_invariant = batch_invariant;
  return other;
}

Dtype KernelContext::input_dtype(int index) const { return kept_as(*this, declared_dtype(index)); }
Dtype KernelContext::output_dtype(int index) const {
  return kept_as(*this, dtype_of_value(facts, node.output(index)));
}
Dtype KernelContext::declared_dtype(int index) const {
  return dtype_of_value(facts, node.input(index));
}

const Tensor* KernelContext::constant(int index) const {
  const ir::Value* value = node.input(index);
  return value != nullptr && value->is_constant() ? &value->initializer() : nullptr;
}

std::optional<ConstantSource> constant_source(const KernelContext& context, int index) {
  const ir::Value* value = context.node.input(index);
  constexpr int kLongestChain = 32;
  ConstantSource source;
  for (int i = 0; value != nullptr && !value->is_constant(); ++i) {
    if (i == kLongestChain) return std::nullopt;
    const ir::Node* node = value->producer();
    const ir::Type* type = context.facts.type(value);
    if (node == nullptr || type == nullptr || !type->dims) return std::nullopt;
    if (node->is("Transpose") && swaps_last_two(*node, type->rank()))
      source.transposed = !source.transposed;
    else if (!node->is("Cast") || !is_floating_point(type->dtype))
      return std::nullopt;
    value = node->input(0);
  }
  if (value == nullptr || value->initializer().rank() != 2) return std::nullopt;
  // A Cast that narrows loses bits on the way: only widening ones are looked through.
  if (bits_of(value->initializer().dtype()) > bits_of(context.declared_dtype(index)))
    return std::nullopt;
  source.tensor = value->initializer();
  return source;
}

KernelTable::KernelTable(std::span<const std::span<const OperatorKernels>> families) {
  for (const auto& family : families) {
    for (const OperatorKernels& row : family) {
      all_.push_back(&row);
      by_name_.emplace(row.name, &row);
    }
  }
}

const OperatorKernels* KernelTable::find(std::string_view domain, std::string_view name) const {
  const auto [begin, end] = by_name_.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    if (it->second->domain == domain) return it->second;
  }
  return nullptr;
}

namespace {

// Empty when the implementation takes the node.
std::string refusal(const Implementation& implementation, const KernelContext& context) {
  if (!context.epilogue.empty() && !implementation.epilogues) return "takes no epilogue";
  if (!context.siblings.empty() && !implementation.siblings)
    return "computes one product at a time";
  if (!context.lookups.empty() && !implementation.lookups) return "looks nothing up";
  if ((context.rounding.input || context.rounding.output) && !implementation.rounding)
    return "takes and gives nothing rounded for f32";
  if ((context.layouts.input || context.layouts.output) && !implementation.layouts)
    return "takes no image that lies channels last";
  return implementation.refuse(context);
}

}  // namespace

Choice choose_kernel(const KernelTable& table, const KernelContext& context) {
  const OperatorKernels* row = table.find(context.node.domain(), context.node.op_type());
  Choice choice;
  if (row == nullptr) return choice;
  for (const Implementation& implementation : row->implementations) {
    const std::string reason = refusal(implementation, context);
    if (reason.empty()) {
      choice.kernel = ir::at_node(context.node, [&] { return implementation.create(context); });
      choice.implementation = implementation.name;
      return choice;
    }
    choice.refusals.push_back(fmt::format("{}: {}", implementation.name, reason));
  }
  return choice;
}

bool has_kernel(const KernelTable& table, const KernelContext& context) {
  const OperatorKernels* row = table.find(context.node.domain(), context.node.op_type());
  return row != nullptr && std::any_of(row->implementations.begin(), row->implementations.end(),
                                       [&](const Implementation& implementation) {
                                         return refusal(implementation, context).empty();
                                       });
}

}  // namespace tercel::ops

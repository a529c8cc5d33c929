#include <algorithm>

#include "src/base/checked.h"
#include "src/kernels/cpu/kernels.h"
#include "src/ops/math/einsum.h"
#include "src/ops/math/math_cpu.h"
#include "src/ops/math/naive_product_cpu.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

// The equation at concrete shapes: the size of each label, and each operand's stride along it (0
// where it does not have it).
struct Problem {
  Problem(const ir::Node& node, std::span<const Shape> shapes) {
    std::vector<int> ranks;
    for (const Shape& shape : shapes) ranks.push_back(static_cast<int>(shape.size()));
    einsum = parse_einsum(node, ranks);
    sizes.assign(static_cast<std::size_t>(einsum.labels), 1);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      std::vector<int64_t> along(sizes.size(), 0);
      const std::vector<int64_t> own = row_major(shapes[i]);
      for (std::size_t d = 0; d < own.size(); ++d) {
        const auto label = static_cast<std::size_t>(einsum.inputs[i][d]);
        if (shapes[i][d] != 1) sizes[label] = shapes[i][d];
        if (shapes[i][d] != 1) along[label] += own[d];
      }
      strides.push_back(std::move(along));
    }
    for (int label = 0; label < einsum.labels; ++label) {
      if (std::count(einsum.output.begin(), einsum.output.end(), label) == 0)
        summed.push_back(label);
    }
  }

  int64_t size(const std::vector<int>& labels) const {
    int64_t count = 1;
    for (const int label : labels)
      count = checked_mul(count, sizes[static_cast<std::size_t>(label)]);
    return count;
  }
  // Adds to the operands' offsets those of element `index` of the dimensions `labels`.
  void locate(const std::vector<int>& labels, int64_t index, std::vector<int64_t>& offsets) const {
    for (std::size_t d = labels.size(); d-- > 0;) {
      const auto label = static_cast<std::size_t>(labels[d]);
      const int64_t at = index % sizes[label];
      index /= sizes[label];
      for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] += at * strides[i][label];
    }
  }

  Einsum einsum;
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> strides;
  std::vector<int> summed;
};

// One output after the other, each a sum over all labels that it does not have.
class EinsumGenericKernel final : public CpuKernel {
 public:
  explicit EinsumGenericKernel(const KernelContext& context) : node_(context.node) {}

  void run(const KernelRun& run) const override {
    std::vector<Shape> shapes;
    for (const Tensor& input : run.inputs) shapes.push_back(input.shape());
    const Problem problem(node_, shapes);
    dispatch_dtype(ProductTypes{}, run.outputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const int64_t terms = problem.size(problem.summed);
      run.pool.parallel_for(run.outputs[0].size(), rows_per_grain(8 * std::min(terms, kGrain)),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                elements<T>(run.outputs[0])[i] = sum<T>(problem, run, i, terms);
                            });
    });
  }

 private:
  template <class T>
  static T sum(const Problem& problem, const KernelRun& run, int64_t index, int64_t terms) {
    using Wide = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
    std::vector<int64_t> first(run.inputs.size(), 0);
    problem.locate(problem.einsum.output, index, first);
    Wide total{};
    std::vector<int64_t> at;
    for (int64_t term = 0; term < terms; ++term) {
      // A small equation can ask for a sum without end.
      if (term % kGrain == 0) run.limits.check();
      at = first;
      problem.locate(problem.summed, term, at);
      auto value = static_cast<Wide>(1);
      for (std::size_t i = 0; i < at.size(); ++i)
        value *= static_cast<Wide>(load(elements<T>(run.inputs[i])[at[i]]));
      total += value;
    }
    return store<T>(static_cast<ComputeType<T>>(total));
  }

  const ir::Node& node_;
};

// Two operands as a stack of matrix products, each brought into order by a copy. Labels are those
// of the stack, the rows, the columns, and the sum.
struct Product {
  std::vector<int> batch, rows, columns, inner;
  int64_t m = 1, n = 1, k = 1, count = 1;

  explicit Product(const Problem& problem) {
    for (const int label : problem.einsum.output) {
      const bool a = has(problem, 0, label);
      const bool b = has(problem, 1, label);
      (a && b ? batch : b ? columns : rows).push_back(label);
    }
    inner = problem.summed;
    m = problem.size(rows);
    n = problem.size(columns);
    k = problem.size(inner);
    count = problem.size(batch);
  }
  static bool has(const Problem& problem, std::size_t operand, int label) {
    const auto& labels = problem.einsum.inputs[operand];
    return std::count(labels.begin(), labels.end(), label) > 0;
  }
};

std::vector<int> joined(const std::vector<int>& a, const std::vector<int>& b,
                        const std::vector<int>& c) {
  std::vector<int> all = a;
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

class ProductKernel final : public CpuKernel {
 public:
  explicit ProductKernel(const KernelContext& context)
      : gemm_(kernels::cpu_kernels(context.isa).gemm), node_(context.node) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    const Product p{Problem(node_, inputs)};
    return bytes(p.count, p.m, p.k) + bytes(p.count, p.k, p.n) + bytes(p.count, p.m, p.n) +
           gemm_.batched_gemm_workspace(threads);
  }

  void run(const KernelRun& run) const override {
    const Shape shapes[] = {run.inputs[0].shape(), run.inputs[1].shape()};
    const Problem problem(node_, shapes);
    const Product p(problem);
    if (run.outputs[0].size() == 0) return;
    auto* a = reinterpret_cast<float*>(run.workspace);
    auto* b = reinterpret_cast<float*>(run.workspace + bytes(p.count, p.m, p.k));
    auto* c = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(b) + bytes(p.count, p.k, p.n));
    bring(problem, run.inputs[0], 0, joined(p.batch, p.rows, p.inner), a, run.pool);
    bring(problem, run.inputs[1], 1, joined(p.batch, p.inner, p.columns), b, run.pool);
    gemm_.batched_gemm({.batch = p.count,
                        .m = p.m,
                        .n = p.n,
                        .k = p.k,
                        .a = a,
                        .a_batch = p.m * p.k,
                        .a_row = p.k,
                        .b = b,
                        .b_batch = p.k * p.n,
                        .b_k = p.n,
                        .c = c,
                        .c_batch = p.m * p.n,
                        .c_row = p.n,
                        .workspace = reinterpret_cast<std::byte*>(c) + bytes(p.count, p.m, p.n)},
                       run.pool);
    put_back(problem, p, c, run);
  }

 private:
  static std::size_t bytes(int64_t x, int64_t y, int64_t z) {
    return workspace_bytes(bytes_of(Dtype::f32, checked_mul(checked_mul(x, y), z)));
  }
  static void bring(const Problem& problem, const Tensor& from, std::size_t operand,
                    const std::vector<int>& order, float* to, ThreadPool& pool) {
    StridedSource source{from.data(), 0, {}, {}};
    for (const int label : order) {
      source.dims.push_back(problem.sizes[static_cast<std::size_t>(label)]);
      source.strides.push_back(problem.strides[operand][static_cast<std::size_t>(label)]);
    }
    copy_strided(source, to, Dtype::f32, pool);
  }
  static void put_back(const Problem& problem, const Product& product, const float* from,
                       const KernelRun& run) {
    const std::vector<int> order = joined(product.batch, product.rows, product.columns);
    Shape shape;
    for (const int label : order) shape.push_back(problem.sizes[static_cast<std::size_t>(label)]);
    const std::vector<int64_t> own = row_major(shape);
    StridedSource source{from, 0, {}, {}};
    for (const int label : problem.einsum.output) {
      const auto place = std::find(order.begin(), order.end(), label) - order.begin();
      source.dims.push_back(shape[static_cast<std::size_t>(place)]);
      source.strides.push_back(own[static_cast<std::size_t>(place)]);
    }
    copy_strided(source, run.outputs[0].data(), Dtype::f32, run.pool);
  }

  const kernels::GemmKernels& gemm_;
  const ir::Node& node_;
};

std::string refuse_product(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  if (context.node.num_inputs() != 2) return "has other than two operands";
  std::vector<int> ranks;
  for (int i = 0; i < 2; ++i) {
    const ir::Type* type = context.facts.type(context.node.input(i));
    if (type == nullptr || !type->has_rank()) return "the rank of an input is not known";
    ranks.push_back(type->rank());
  }
  const Einsum einsum = parse_einsum(context.node, ranks);
  for (int label = 0; label < einsum.labels; ++label) {
    const auto times = [&](const std::vector<int>& labels) {
      return std::count(labels.begin(), labels.end(), label);
    };
    if (times(einsum.inputs[0]) > 1 || times(einsum.inputs[1]) > 1) return "takes a diagonal";
    const bool shared = times(einsum.inputs[0]) + times(einsum.inputs[1]) == 2;
    if (times(einsum.output) == 0 && !shared) return "sums over one operand alone";
  }
  return {};
}

constexpr CpuImplementation kEinsumImplementations[] = {
    {"einsum_gemm", refuse_product, create_kernel<ProductKernel>},
    {"einsum_generic", refuse_input0<ProductTypes>, create_kernel<EinsumGenericKernel>}};
constexpr CpuOp kEinsumOps[] = {{"", "Einsum", kEinsumImplementations}};

}  // namespace

CpuFamily einsum_cpu_ops() { return kEinsumOps; }

}  // namespace tercel::ops

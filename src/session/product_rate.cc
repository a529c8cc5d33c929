#include "src/session/product_rate.h"

#include <algorithm>
#include <chrono>

#include "src/ir/builder.h"
#include "src/runtime/executor.h"
#include "src/session/workshop.h"

namespace tercel {
namespace {

struct Products {
  int64_t rows, size;
  int count;
  double flops() const {
    return 2.0 * static_cast<double>(rows * size * size) * static_cast<double>(count);
  }
};

// y = sum(x · w · w · …): only a row goes in and out, so that it is the products that take time.
std::unique_ptr<ir::Model> chain(const Products& products) {
  auto model = std::make_unique<ir::Model>();
  model->opsets[""] = ir::kOpset;
  ir::Graph& graph = model->graph;
  ir::Builder b(graph);
  ir::Value* x = graph.add_input("x", ir::Type::tensor(Dtype::f32, {1, products.size}));
  Tensor weight(Dtype::f32, {products.size, products.size});
  const float element = 1.0F / static_cast<float>(products.size);
  std::fill_n(weight.values<float>().begin(), weight.size(), element);
  ir::Value* w = b.constant(weight, "w");
  ir::Value* y = b.op("Expand", {x, b.ints({products.rows, products.size})});
  for (int i = 0; i < products.count; ++i) y = b.matmul(y, w);
  y = b.op("ReduceMax", {y, b.ints({0})}, {{"keepdims", int64_t{0}}});
  graph.rename(y, "y");
  y->type = ir::Type::tensor(Dtype::f32, {products.size});
  graph.add_output(y);
  return model;
}

}  // namespace

double measure_product_rate(const std::string& device, Dtype dtype) {
  const bool on_cpu = find_device(device).kind() == DeviceKind::cpu;
  const Products products = on_cpu ? Products{256, 1024, 4} : Products{4096, 4096, 32};
  const Workshop workshop;
  std::unique_ptr<runtime::Accelerator> accelerator;
  if (!on_cpu) accelerator = std::make_unique<runtime::Accelerator>(device, 0, dtype);
  const runtime::Program program(
      chain(products),
      {.isa = workshop.machine.isa, .weight_dtype = dtype, .accelerator = accelerator.get()},
      workshop.machine.pool, *workshop.memory);
  runtime::Executor executor(program, workshop.machine.pool, workshop.memory);
  Tensor x(Dtype::f32, {1, products.size});
  std::fill_n(x.values<float>().begin(), x.size(), 1.0F);
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    std::vector<Tensor> y(1);
    const auto start = std::chrono::steady_clock::now();
    executor.run({x}, y, {true}, {});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, products.flops() / took.count());
  }
  return best;
}

}  // namespace tercel

// pass_tool [--adapt] IN.onnx OUT.onnx: a model after adaptation and, without --adapt, after all
// passes, for tests that hold it against other runtimes. Stamped with the lowest opset that fits.

#include <cstdio>
#include <string_view>

#include "src/base/thread_pool.h"
#include "src/device/cpu_isa.h"
#include "src/device/memory.h"
#include "src/ir/onnx_file.h"
#include "src/ir/verify.h"
#include "src/ops/op_def.h"
#include "src/passes/adapt.h"
#include "src/passes/expand_masks.h"
#include "src/passes/passes.h"
#include "src/runtime/evaluate.h"

namespace tercel {
namespace {

void optimize(ir::Model& model) {
  ThreadPool pool(1);
  const auto memory = make_cpu_allocator();
  passes::PassContext context;
  context.evaluate = [&](const ir::Node& node, const std::vector<Tensor>& inputs) {
    return runtime::evaluate(node, inputs, best_cpu_isa(), pool, *memory);
  };
  passes::optimize(model, context);
  passes::expand_masks(model);
  ir::verify(model);
}

int run(int argc, char** argv) {
  const bool only_adapt = argc == 4 && std::string_view(argv[1]) == "--adapt";
  if (argc != 3 && !only_adapt) {
    std::fputs("usage: pass_tool [--adapt] IN.onnx OUT.onnx\n", stderr);
    return 2;
  }
  const auto model = ir::read_onnx(argv[argc - 2]);
  ir::verify(*model);
  passes::adapt_to_newest(*model);
  if (!only_adapt) optimize(*model);
  model->opsets[""] = ops::lowest_opset(*model);
  ir::write_onnx(*model, argv[argc - 1]);
  return 0;
}

}  // namespace
}  // namespace tercel

int main(int argc, char** argv) {
  try {
    return tercel::run(argc, argv);
  } catch (const tercel::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}

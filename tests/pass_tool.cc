// pass_tool [--adapt] IN.onnx OUT.onnx: a model after adaptation and, without --adapt, after all
// passes, for tests that hold it against other runtimes. Stamped with the lowest opset that fits.

#include <cstdio>
#include <string_view>

#include "src/device/cpu_isa.h"
#include "src/device/memory.h"
#include "src/base/thread_pool.h"
#include "src/ir/onnx_file.h"
#include "src/ir/verify.h"
#include "src/ops/op_def.h"
#include "src/passes/adapt.h"
#include "src/passes/expand_masks.h"
#include "src/passes/passes.h"
#ifdef TERCEL_PASS_TOOL_EVALUATES
#include "src/runtime/evaluate.h"
#endif

namespace tercel {
namespace {

passes::PassContext context(ThreadPool& pool) {
  passes::PassContext context;
  (void)pool;
  return context;
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
  ThreadPool pool(1);
  if (!only_adapt) passes::optimize(*model, context(pool));
  if (!only_adapt) passes::expand_masks(*model);
  ir::verify(*model);
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

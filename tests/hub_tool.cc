// hub_tool DIR OUT.onnx [TASK]: a checkpoint as an ONNX file, for tests that hold it against other
// runtimes. hub_tool --time DIR: how long loading takes, the least of 200, in milliseconds.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string_view>

#include "src/hub/hub.h"
#include "src/ir/onnx_file.h"
#include "src/ir/verify.h"
#include "tercel/error.h"

namespace {

// The newest opset that ONNX Runtime 1.32 runs without inlining Attention.
constexpr int64_t kExportOpset = 23;
constexpr int64_t kExportIrVersion = 10;

void print_time(const char* directory) {
  using Clock = std::chrono::steady_clock;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 200; ++i) {
    const auto start = Clock::now();
    const auto model = tercel::hub::load_checkpoint(directory);
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    least = std::min(least, took.count());
  }
  std::printf("%.3f ms\n", least);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: hub_tool DIR OUT.onnx [TASK] | hub_tool --time DIR\n");
    return 2;
  }
  try {
    if (std::string_view(argv[1]) == "--time") {
      print_time(argv[2]);
      return 0;
    }
    const auto model = tercel::hub::load_checkpoint(argv[1], {argc == 4 ? argv[3] : ""});
    tercel::ir::verify(*model);
    model->opsets[""] = kExportOpset;
    model->ir_version = kExportIrVersion;
    tercel::ir::write_onnx(*model, argv[2]);
  } catch (const tercel::Error& error) {
    std::fprintf(stderr, "hub_tool: %s\n", error.what());
    return 1;
  }
  return 0;
}

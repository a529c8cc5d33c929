// Any text as ONNX's textual syntax: an Error, or a model whose text comes back, and that can be
// optimised and run on a budget.

#include <cstddef>
#include <cstdint>

#include "fuzz/run_model.h"
#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace tercel;
  std::unique_ptr<ir::Model> model;
  try {
    model = ir::parse_text({reinterpret_cast<const char*>(data), size});
    ir::verify(*model);
  } catch (const Error&) {
    return 0;
  }
  ir::TextOptions options;
  options.max_elements = INT64_MAX;
  const std::string text = ir::to_text(*model, options);
  if (ir::to_text(*ir::parse_text(text), options) != text) __builtin_trap();
  ir::serialize_onnx(*model);
  fuzz::runs([&] { return ir::parse_text({reinterpret_cast<const char*>(data), size}); });
  return 0;
}

// Any bytes as an ONNX file: an Error, or a model that is sound, that comes back from its file and
// its text as it was, and that can be optimised and run on a budget.

#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz/run_model.h"
#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"

namespace {

using namespace tercel;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

void check(const ir::Model& model) {
  const std::string bytes = ir::serialize_onnx(model);
  const auto again = ir::parse_onnx(std::as_bytes(std::span(bytes)), "written");
  ir::verify(*again);
  require(ir::serialize_onnx(*again) == bytes);

  ir::to_text(model);
  ir::TextOptions options;
  options.max_elements = INT64_MAX;
  const std::string text = ir::to_text(*again, options);
  require(ir::to_text(*ir::parse_text(text), options) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto read = [&] {
    auto model = ir::parse_onnx(std::as_bytes(std::span(data, size)), "fuzz.onnx");
    ir::verify(*model);
    return model;
  };
  std::unique_ptr<ir::Model> model;
  try {
    model = read();
  } catch (const Error&) {
    return 0;
  }
  check(*model);
  fuzz::runs(read);
  return 0;
}

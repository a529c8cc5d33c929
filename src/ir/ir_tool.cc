// Converts models between files and text: for tests that hold them against the onnx package.

#include <cstring>
#include <fstream>
#include <iostream>
#include <string_view>

#include "src/base/mapped_file.h"
#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"

namespace tercel::ir {
namespace {

constexpr std::string_view kUsage =
    "usage: ir_tool onnx2text FILE | text2onnx FILE OUT | onnx2onnx FILE OUT [--external]\n";

int run(int argc, char** argv) {
  const std::string_view command = argc > 2 ? argv[1] : "";
  if (command == "onnx2text" && argc == 3) {
    const auto model = read_onnx(argv[2]);
    verify(*model);
    TextOptions options;
    options.max_elements = INT64_MAX;
    std::cout << to_text(*model, options);
    return 0;
  }
  if ((command != "text2onnx" && command != "onnx2onnx") || argc < 4) {
    std::cerr << kUsage;
    return 2;
  }
  const auto model =
      command == "onnx2onnx" ? read_onnx(argv[2]) : parse_text(read_text_file(argv[2]), argv[2]);
  verify(*model);
  WriteOptions options;
  options.external = argc > 4 && std::strcmp(argv[4], "--external") == 0;
  write_onnx(*model, argv[3], options);
  return 0;
}

}  // namespace
}  // namespace tercel::ir

int main(int argc, char** argv) {
  try {
    return tercel::ir::run(argc, argv);
  } catch (const tercel::Error& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}

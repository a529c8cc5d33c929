#pragma once
// ONNX's textual syntax (https://github.com/onnx/onnx/blob/main/docs/Syntax.md), read and written:
// for tests of passes, and for people. Everything of a model but the documentation and metadata of
// graphs, nodes and values comes back as it was. f16, bf16 and float8 elements are written as the
// integers of their bits, those of 6 bits too; other sub-byte elements as packed bytes, complex
// ones as pairs.

#include <memory>
#include <string>
#include <string_view>

#include "src/ir/model.h"

namespace tercel::ir {

// A text without the header <ir_version …> is of the newest versions. Throws Errc::invalid_file:
// "<source>:line:column: expected …", or what parse_onnx says of the graph.
std::unique_ptr<Model> parse_text(std::string_view text, const std::string& source = "text");

struct TextOptions {
  int64_t max_elements = 16;  // of a tensor written in full; larger ones are cut with an ellipsis …
  bool types = true;  // … which only people can read. Types of intermediate values as well?
};

std::string to_text(const Model& model, const TextOptions& options = {});
std::string to_text(const Graph& graph, const TextOptions& options = {});

}  // namespace tercel::ir

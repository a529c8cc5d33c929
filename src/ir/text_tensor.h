#pragma once
// The elements of tensors in ONNX's textual syntax.

#include <string>

#include "src/ir/text_scan.h"
#include "tercel/tensor.h"

namespace tercel::ir {

// "{1, 2, 3}" after the type: as many elements as the type's shape says.
Tensor scan_elements(Scanner& scanner, const Type& type);

// The same, appended. Of more than `max_elements` the first are followed by "...".
void append_elements(std::string& text, const Tensor& tensor, int64_t max_elements);

void append_quoted(std::string& text, std::string_view value);

}  // namespace tercel::ir

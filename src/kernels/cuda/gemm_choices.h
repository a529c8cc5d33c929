#pragma once
// The choices of GemmLibrary::tune() as lines of text: key, a tab, the engine, the parts of K, the
// words of cuBLASLt's algorithm, and a checksum of all that, as a file may be damaged.

#include <string>
#include <string_view>

#include "src/kernels/cuda/gemm_choice.h"

namespace tercel::kernels::cuda {

std::string choice_line(const std::string& key, const Choice& choice);
// False, and nothing is set, for a line that choice_line() does not write.
bool read_choice_line(std::string_view line, std::string& key, Choice& choice);

}  // namespace tercel::kernels::cuda

#pragma once
// Strings in kernels. What they say counts against the memory cap like all that a run holds.

#include "src/ops/cpu.h"

namespace tercel::ops {

// A kernel that looks at what strings say, or makes some and counts them. All others only move
// elements: see run_kernel().
class TextKernel : public CpuKernel {};

// What a tensor of strings holds counts for as long as the result lives. Throws
// Errc::out_of_memory naming `what`.
std::shared_ptr<const void> count_text(const Tensor& text, Allocator& memory, const char* what);
// The same elements; `more` lives as long as they do.
Tensor holding(const Tensor& tensor, std::shared_ptr<const void> more);
// The same elements; what the strings among them hold counts for as long as they live.
Tensor counted(const Tensor& tensor, Allocator& memory, const char* what);
// A copy, counted before it is made.
Tensor copy_text(const Tensor& text, Allocator& memory, const char* what);

// Runs a kernel that may meet strings. A TextKernel is given them; any other is given pointers to
// them, 64 bits each, so that what it makes of them is counted before it is copied.
void run_kernel(const CpuKernel& kernel, const KernelRun& run);

}  // namespace tercel::ops

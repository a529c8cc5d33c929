#pragma once
// The CPU implementations of the operators on strings.

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

extern const CpuImplementation kRegexFullMatchCpu[1];
extern const CpuImplementation kStringConcatCpu[1];
extern const CpuImplementation kStringNormalizerCpu[1];
extern const CpuImplementation kStringSplitCpu[1];
extern const CpuImplementation kTfIdfVectorizerCpu[1];

}  // namespace tercel::ops

#pragma once
// The CPU implementations of the generator family that have files of their own.

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

extern const CpuImplementation kRandomUniformCpu[1];  // and RandomUniformLike
extern const CpuImplementation kRandomNormalCpu[1];   // and RandomNormalLike
extern const CpuImplementation kBernoulliCpu[1];
extern const CpuImplementation kMultinomialCpu[1];

}  // namespace tercel::ops

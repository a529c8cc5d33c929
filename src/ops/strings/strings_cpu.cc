#include "src/ops/strings/strings_cpu.h"

namespace tercel::ops {

CpuFamily strings_cpu_ops() {
  static const CpuOp kOps[] = {{"", "RegexFullMatch", kRegexFullMatchCpu},
                               {"", "StringConcat", kStringConcatCpu},
                               {"", "StringNormalizer", kStringNormalizerCpu},
                               {"", "StringSplit", kStringSplitCpu},
                               {"", "TfIdfVectorizer", kTfIdfVectorizerCpu}};
  return kOps;
}

}  // namespace tercel::ops

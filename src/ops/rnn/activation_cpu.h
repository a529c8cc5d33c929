#pragma once
// The activation functions that the recurrent operators name in their attributes.

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {

class GateActivation {
 public:
  // Of the names, alphas and betas that a node's attributes list, the next ones; a function takes
  // an alpha or a beta from the lists only when it has one. Throws Errc::invalid_file for an
  // unknown name.
  struct Lists {
    explicit Lists(const ir::Node& node);
    std::string label;
    std::vector<std::string> names;
    std::vector<float> alphas, betas;
    std::size_t name = 0, alpha = 0, beta = 0;
  };
  GateActivation(Lists& lists, std::string_view otherwise);

  void apply(float* x, int64_t count, const kernels::ElementwiseKernels& kernels,
             ThreadPool& pool) const;

 private:
  struct Row;
  const Row* row_;
  float alpha_ = 0;
  float beta_ = 0;
};

}  // namespace tercel::ops

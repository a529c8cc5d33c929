#pragma once
// Running one operator in a test: a graph of one node, inferred, given to the CPU kernel that is
// chosen for it.

#include <random>
#include <string>
#include <vector>

#include "src/ir/builder.h"
#include "src/ops/cpu.h"

namespace tercel::ops {

struct RunOptions {
  bool constants = false;     // inputs are initializers instead of graph inputs
  std::vector<int> constant;  // or only these are
  int threads = 2;
  CpuIsa isa = best_cpu_isa();
  Dtype weight_dtype = Dtype::f32;
  Epilogue epilogue;
  bool in_place = false;  // output 0 takes the memory of the first input that allows it
};

struct OpRun {
  std::vector<Tensor> outputs;
  std::string implementation;
};

// Throws what inference, the choice of the kernel, or the kernel throws. Inputs that are not
// defined are left out. With an epilogue's residual, the last input is the residual and is not the
// node's.
OpRun run_op_with(const RunOptions& options, const std::string& op_type,
                  const std::vector<Tensor>& inputs,
                  const std::vector<ir::Builder::Attr>& attributes = {}, int outputs = 1);
std::vector<Tensor> run_op(const std::string& op_type, const std::vector<Tensor>& inputs,
                           const std::vector<ir::Builder::Attr>& attributes = {}, int outputs = 1);

// The types that inference gives the outputs of one node for inputs of these types.
std::vector<ir::Type> infer_op(const std::string& op_type, const std::vector<ir::Type>& inputs,
                               const std::vector<ir::Builder::Attr>& attributes = {},
                               int outputs = 1);

// Random elements: floating-point ones normally distributed, integers in [-9, 9] or [0, 9],
// booleans. The same seed gives the same tensor.
Tensor random_tensor(Dtype dtype, Shape shape, uint32_t seed);
Tensor ints(const std::vector<int64_t>& values);  // of rank 1
// Elements of any numeric or boolean type as f64; and rounded back.
std::vector<double> to_doubles(const Tensor& tensor);
Tensor from_doubles(const std::vector<double>& values, Dtype dtype, Shape shape);

// True when dtype, shape and all bits agree.
bool same_bits(const Tensor& a, const Tensor& b);
// The greatest of |a - b| / (1 + |b|); infinite when shapes differ or only one element is NaN.
double distance(const Tensor& a, const std::vector<double>& b);

}  // namespace tercel::ops

#pragma once
// The type of a session's weights, chosen by trying: each type that may be faster than f32 is
// compiled and run on samples, beside f32.

#include "src/session/compile_model.h"

namespace tercel {

struct ChosenModel {
  CompiledModel model;
  WeightTypes types;
  Dtype dtype = Dtype::f32;
  std::string why;  // a line a candidate, the last says which was chosen
};

// The fastest whose float outputs have a mean cosine of at least `least_cosine` to those of f32,
// row by row; of int8, kinds of weights (those of one shape) are left in the next best type until
// they have. Runs on `samples`, or on what make_samples() makes.
ChosenModel choose_dtype(const ModelSource& source, const std::vector<NamedTensors>& samples,
                         float least_cosine);

}  // namespace tercel

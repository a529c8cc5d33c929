#pragma once
// Models as files: what is in one, and writing one.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/export.h"
#include "tercel/session.h"

namespace tercel {

struct ModelSummary {
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;  // domain to version, as in the file
  std::string producer;
  std::map<std::string, int64_t> operators;  // "Domain.Type" (no domain for ONNX's own) to count
  int64_t parameters = 0;                    // elements of the constants
  int64_t parameter_bytes = 0;
  double flops = 0;  // of MatMul, Gemm, Conv and Attention at `flops_shape`; 2 per multiply-add
  std::string flops_shape;  // "batch=1, sequence=128"
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;  // as Session::warnings
};

// `path` as in Session::load. `dimensions` gives numbers to symbolic dimensions for the count of
// flops; those that are not named count as 1, and "sequence" as 128
// or the longest half, quarter, … of it that the graph takes.
TERCEL_API ModelSummary summarize(const std::filesystem::path& path,
                                  const std::map<std::string, int64_t>& dimensions = {});

// The model in ONNX's textual syntax, large constants cut short. `optimized`: after the passes.
TERCEL_API std::string model_text(const std::filesystem::path& path, bool optimized = false);

// The operators that Tercel runs, sorted, named as in ModelSummary::operators.
TERCEL_API std::vector<std::string> supported_operators();

struct ExportOptions {
  // Element type of the weights; undefined: as they are stored.
  Dtype dtype = Dtype::undefined;
  // Write the graph after Tercel's optimising passes.
  bool optimize = false;
  // Weights in a file beside the model ("<file>.data"); always so past 2 GiB.
  bool external_data = false;
  std::string task;  // as in SessionOptions
};

// Reads a checkpoint or an ONNX file and writes it as ONNX, with the lowest opset that its
// operators need. Returns the warnings, as Session::warnings has them.
TERCEL_API std::vector<std::string> export_onnx(const std::filesystem::path& path,
                                                const std::filesystem::path& output,
                                                const ExportOptions& options = {});

}  // namespace tercel

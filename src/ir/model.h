#pragma once
// The model: ONNX's ModelProto. A main graph, the operator sets it is written for, and model-local
// functions. In memory the main domain is always at kOpset once src/passes/adapt.h has run.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/ir/graph.h"

namespace tercel::ir {

inline constexpr int64_t kIrVersion = 14;
inline constexpr int64_t kOpset = 28;  // of the newest onnx release that the operators follow

// A model-local function (ONNX FunctionProto): a body in other operators.
struct Function {
  std::string domain;
  std::string name;
  std::string overload;
  std::string doc;
  std::vector<std::string> attributes;  // without default
  std::vector<Attribute> defaults;      // with default
  std::map<std::string, int64_t> opsets;
  std::vector<std::pair<std::string, std::string>> metadata;
  Graph body;
};

struct Model {
  int64_t ir_version = kIrVersion;
  std::map<std::string, int64_t> opsets;  // domain ("" is ONNX's own) to version
  std::string producer_name = "tercel";
  std::string producer_version;
  std::string domain;
  int64_t model_version = 0;
  std::string doc;
  std::vector<std::pair<std::string, std::string>> metadata;
  Graph graph;
  std::vector<std::unique_ptr<Function>> functions;
  // What the reader left out or took on trust, one sentence each, with what to do. Not written.
  std::vector<std::string> warnings;

  const Function* find_function(std::string_view domain, std::string_view name,
                                std::string_view overload = {}) const;
};

}  // namespace tercel::ir

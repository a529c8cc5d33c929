#pragma once
// Whether the rows of a model's batches are computed each for itself, so that a batch may be cut
// into parts.

#include <cstdint>
#include <string>
#include <vector>

#include "src/ops/infer.h"

namespace tercel {

// Of a model without padding: rows are sequences, each computed by itself.
bool has_packed_rows(const ir::Model& model);

class BatchRows {
 public:
  // By the symbol that comes first in inputs: every input that has it must begin with it, and so
  // must all outputs, whose other sizes must be numbers or sizes of inputs. A model that is not of
  // packed rows is also searched for operators that would mix rows. `facts`: of the graph with the
  // symbols of its inputs.
  BatchRows(const ir::Model& model, const ops::Facts& facts);

  // Empty when batches may be cut; else why not.
  const std::string& reason() const { return reason_; }

  // What follows is of models whose batches may be cut, and of inputs that agree in their symbols.
  int64_t count(const std::vector<Tensor>& inputs) const;
  std::vector<Tensor> part(const std::vector<Tensor>& inputs, int64_t begin, int64_t end) const;
  ir::Type output_type(std::size_t output, const std::vector<Tensor>& inputs) const;

 private:
  void find_inputs(const ir::Graph& graph);
  void find_outputs(const ir::Graph& graph, const ops::Facts& facts);

  std::string symbol_;
  std::vector<ir::Type> inputs_;
  std::vector<bool> cut_;  // of the inputs: begins with the symbol
  std::vector<ir::Type> outputs_;
  std::string reason_;
};

}  // namespace tercel

#pragma once
// What RNN, GRU and LSTM share: the walk over directions and steps, and the packed weights. All
// steps' inputs are projected by one product; each step then adds the recurrent one. A row's sums
// depend on its own sequence alone.

#include <array>

#include "src/ops/rnn/activation_cpu.h"

namespace tercel::ops {

class RecurrentKernel : public CpuKernel {
 public:
  // `parts`: the gates of R are packed in so many pieces of these numbers of gates.
  RecurrentKernel(const KernelContext& context, std::vector<int> parts);

  bool absorbs(int input) const override { return constant_ && (input == 1 || input == 2); }
  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override;
  void run(const KernelRun& run) const override;

 protected:
  struct Sizes {
    int64_t steps = 0, batch = 0, input = 0, hidden = 0, directions = 0;
  };
  // One sequence at one step. `gates` hold the projected input with its bias and become scratch.
  struct Row {
    float* gates;      // [gates, hidden]
    float* recurrent;  // [gates, hidden], what multiply() gave
    float* hidden;
    float* cell;
  };
  // One direction of a run.
  struct Pass {
    const KernelRun& run;
    const Sizes& sizes;
    int direction;
    std::vector<const void*> factors;  // W, then the parts of R
    const float* bias;                 // [2, gates, hidden] or null
    std::vector<float> summed;         // the bias that the projection adds, [gates, hidden]
    float *projected, *recurrent, *hidden, *cell, *scratch;
  };

  // recurrent[:, gates of the part] = from · part of R, for all sequences; `from` is [batch,
  // hidden].
  void multiply(const Pass& pass, std::size_t part, const float* from) const;
  void clip(float* x, int64_t count) const;

  // Gates whose recurrent bias is not added to the projection.
  virtual int apart_from() const { return gates_; }
  // Advances the sequences that are not at their end.
  virtual void step(const Pass& pass, std::span<const Row> rows) const = 0;

  int gates_;
  const kernels::CpuKernels& kernels_;

 private:
  Sizes sizes_of(std::span<const Shape> inputs) const;
  std::vector<std::size_t> factor_bytes(const Sizes& sizes) const;
  void pack(const float* w, const float* r, const Sizes& sizes, std::byte* to,
            ThreadPool& pool) const;
  void project(Pass& pass) const;
  void walk(const Pass& pass, bool backwards) const;
  int64_t length_of(const KernelRun& run, const Sizes& sizes, int64_t sequence) const;

  std::string label_;
  std::vector<int> parts_;
  int64_t layout_;
  std::string direction_;
  float clip_;
  bool constant_;
  std::shared_ptr<Buffer> packed_;
  Sizes packed_sizes_;
};

}  // namespace tercel::ops

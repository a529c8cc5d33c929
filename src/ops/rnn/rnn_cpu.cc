#include <algorithm>

#include "src/ops/cpu_tables.h"
#include "src/ops/rnn/recurrent_cpu.h"

namespace tercel::ops {
namespace {

void add(float* x, const float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] += y[i];
}

// One set of functions for each direction.
std::vector<std::vector<GateActivation>> activations_of(
    const ir::Node& node, std::initializer_list<std::string_view> otherwise) {
  GateActivation::Lists lists(node);
  std::vector<std::vector<GateActivation>> all(
      node.string_or("direction", "forward") == "bidirectional" ? 2 : 1);
  for (auto& direction : all) {
    for (const std::string_view name : otherwise) direction.emplace_back(lists, name);
  }
  return all;
}

// H = f(x W + H R + b)
class RnnKernel final : public RecurrentKernel {
 public:
  explicit RnnKernel(const KernelContext& context)
      : RecurrentKernel(context, {1}), activations_(activations_of(context.node, {"Tanh"})) {}

 protected:
  void step(const Pass& pass, std::span<const Row> rows) const override {
    const int64_t n = pass.sizes.hidden;
    multiply(pass, 0, pass.hidden);
    const auto& f = activations_[static_cast<std::size_t>(pass.direction)];
    for (const Row& row : rows) {
      add(row.gates, row.recurrent, n);
      clip(row.gates, n);
      f[0].apply(row.gates, n, kernels_.elementwise, pass.run.pool);
      std::copy_n(row.gates, n, row.hidden);
    }
  }

 private:
  std::vector<std::vector<GateActivation>> activations_;
};

// Gates in the order z, r, h: H = (1 - z) h + z H.
class GruKernel final : public RecurrentKernel {
 public:
  explicit GruKernel(const KernelContext& context)
      : RecurrentKernel(context,
                        linear_first(context) ? std::vector<int>{3} : std::vector<int>{2, 1}),
        linear_first_(linear_first(context)),
        activations_(activations_of(context.node, {"Sigmoid", "Tanh"})) {}

 protected:
  int apart_from() const override { return linear_first_ ? 2 : 3; }

  void step(const Pass& pass, std::span<const Row> rows) const override {
    const int64_t n = pass.sizes.hidden;
    const auto& f = activations_[static_cast<std::size_t>(pass.direction)];
    multiply(pass, 0, pass.hidden);
    for (const Row& row : rows) {
      add(row.gates, row.recurrent, 2 * n);
      clip(row.gates, 2 * n);
      f[0].apply(row.gates, 2 * n, kernels_.elementwise, pass.run.pool);
    }
    if (linear_first_)
      reset_product(pass, rows);
    else
      reset_state(pass, rows);
    for (const Row& row : rows) {
      const float* z = row.gates;
      float* h = row.gates + 2 * n;
      clip(h, n);
      f[1].apply(h, n, kernels_.elementwise, pass.run.pool);
      for (int64_t i = 0; i < n; ++i) row.hidden[i] = (1 - z[i]) * h[i] + z[i] * row.hidden[i];
    }
  }

 private:
  static bool linear_first(const KernelContext& context) {
    return context.node.int_or("linear_before_reset", 0) != 0;
  }

  // h = x W + r (H R + b)
  static void reset_product(const Pass& pass, std::span<const Row> rows) {
    const int64_t n = pass.sizes.hidden;
    const float* bias = pass.bias != nullptr ? pass.bias + 5 * n : nullptr;
    for (const Row& row : rows) {
      const float* r = row.gates + n;
      float* h = row.gates + 2 * n;
      for (int64_t i = 0; i < n; ++i) {
        const float product = row.recurrent[2 * n + i];
        h[i] += r[i] * (bias != nullptr ? product + bias[i] : product);
      }
    }
  }

  // h = x W + (r H) R
  void reset_state(const Pass& pass, std::span<const Row> rows) const {
    const int64_t n = pass.sizes.hidden;
    std::fill_n(pass.scratch, pass.sizes.batch * n, 0.0F);
    for (const Row& row : rows) {
      float* state = pass.scratch + (row.hidden - pass.hidden);
      for (int64_t i = 0; i < n; ++i) state[i] = row.gates[n + i] * row.hidden[i];
    }
    multiply(pass, 1, pass.scratch);
    for (const Row& row : rows) add(row.gates + 2 * n, row.recurrent + 2 * n, n);
  }

  bool linear_first_;
  std::vector<std::vector<GateActivation>> activations_;
};

// Gates in the order i, o, f, c: C = f C + i c, H = o h(C).
class LstmKernel final : public RecurrentKernel {
 public:
  explicit LstmKernel(const KernelContext& context)
      : RecurrentKernel(context, {4}),
        coupled_(context.node.int_or("input_forget", 0) != 0),
        activations_(activations_of(context.node, {"Sigmoid", "Tanh", "Tanh"})) {}

 protected:
  void step(const Pass& pass, std::span<const Row> rows) const override {
    multiply(pass, 0, pass.hidden);
    for (const Row& row : rows) update(pass, row);
  }

 private:
  void update(const Pass& pass, const Row& row) const {
    const int64_t n = pass.sizes.hidden;
    const auto& f = activations_[static_cast<std::size_t>(pass.direction)];
    const auto activate = [&](const GateActivation& function, float* x) {
      function.apply(x, n, kernels_.elementwise, pass.run.pool);
    };
    // The specification says only "the input of activations"; other runtimes clip those of the
    // gates, and not the cell.
    const auto activate_gate = [&](const GateActivation& function, float* x) {
      clip(x, n);
      activate(function, x);
    };
    const float* peephole = peephole_of(pass);
    const auto peep = [&](int64_t gate, int64_t weight) {
      if (peephole == nullptr) return;
      for (int64_t i = 0; i < n; ++i)
        row.gates[gate * n + i] += peephole[weight * n + i] * row.cell[i];
    };
    add(row.gates, row.recurrent, 4 * n);
    float* i_gate = row.gates;
    float* o_gate = row.gates + n;
    float* f_gate = row.gates + 2 * n;
    float* c_gate = row.gates + 3 * n;
    peep(0, 0);
    peep(2, 2);
    activate_gate(f[0], i_gate);
    activate_gate(f[0], f_gate);
    activate_gate(f[1], c_gate);
    for (int64_t i = 0; i < n; ++i) {
      const float forget = coupled_ ? 1 - i_gate[i] : f_gate[i];
      row.cell[i] = forget * row.cell[i] + i_gate[i] * c_gate[i];
    }
    peep(1, 1);
    activate_gate(f[0], o_gate);
    std::copy_n(row.cell, n, row.hidden);
    activate(f[2], row.hidden);
    for (int64_t i = 0; i < n; ++i) row.hidden[i] *= o_gate[i];
  }

  static const float* peephole_of(const Pass& pass) {
    const auto& inputs = pass.run.inputs;
    if (inputs.size() <= 7 || !inputs[7].defined()) return nullptr;
    return elements<float>(inputs[7]) + pass.direction * 3 * pass.sizes.hidden;
  }

  bool coupled_;
  std::vector<std::vector<GateActivation>> activations_;
};

constexpr CpuImplementation kGru[] = {{"gru_f32", refuse_unless_f32, create_kernel<GruKernel>}};
constexpr CpuImplementation kLstm[] = {{"lstm_f32", refuse_unless_f32, create_kernel<LstmKernel>}};
constexpr CpuImplementation kRnn[] = {{"rnn_f32", refuse_unless_f32, create_kernel<RnnKernel>}};

}  // namespace

CpuFamily rnn_cpu_ops() {
  static const CpuOp kOps[] = {{"", "GRU", kGru}, {"", "LSTM", kLstm}, {"", "RNN", kRnn}};
  return kOps;
}

}  // namespace tercel::ops

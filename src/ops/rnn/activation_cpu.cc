#include "src/ops/rnn/activation_cpu.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace tercel::ops {

struct GateActivation::Row {
  std::string_view name;
  std::optional<kernels::UnaryOp> vector;
  float (*scalar)(float x, float alpha, float beta);
  std::optional<float> alpha, beta;  // defaults, of the functions that have one
};

namespace {

template <class T>
std::vector<T> list_of(const ir::Node& node, std::string_view name) {
  const ir::Attribute* attribute = node.find_attribute(name);
  const auto* values =
      attribute != nullptr ? std::get_if<std::vector<T>>(&attribute->data) : nullptr;
  return values != nullptr ? *values : std::vector<T>();
}

}  // namespace

GateActivation::Lists::Lists(const ir::Node& node)
    : label(node.label()),
      names(list_of<std::string>(node, "activations")),
      alphas(list_of<float>(node, "activation_alpha")),
      betas(list_of<float>(node, "activation_beta")) {}

GateActivation::GateActivation(Lists& lists, std::string_view otherwise) {
  using kernels::UnaryOp;
  static const Row kRows[] = {
      {"Affine", {}, [](float x, float a, float b) { return a * x + b; }, 1.0F, 0.0F},
      {"Elu", UnaryOp::elu, nullptr, 1.0F, {}},
      {"HardSigmoid", UnaryOp::hard_sigmoid, nullptr, 0.2F, 0.5F},
      {"LeakyRelu", UnaryOp::leaky_relu, nullptr, 0.01F, {}},
      {"Relu", UnaryOp::relu, nullptr, {}, {}},
      {"ScaledTanh",
       {},
       [](float x, float a, float b) { return a * std::tanh(b * x); },
       1.0F,
       1.0F},
      {"Sigmoid", UnaryOp::sigmoid, nullptr, {}, {}},
      {"Softplus", UnaryOp::softplus, nullptr, {}, {}},
      {"Softsign", {}, [](float x, float, float) { return x / (1 + std::fabs(x)); }, {}, {}},
      {"Tanh", UnaryOp::tanh, nullptr, {}, {}},
      {"ThresholdedRelu", {}, [](float x, float a, float) { return x > a ? x : 0; }, 1.0F, {}},
  };
  std::string_view wanted = otherwise;
  if (!lists.names.empty()) {
    if (lists.name == lists.names.size())
      fail(Errc::invalid_file, "{} names {} activations; more are needed", lists.label, lists.name);
    wanted = lists.names[lists.name++];
  }
  row_ = std::find_if(std::begin(kRows), std::end(kRows),
                      [&](const Row& row) { return row.name == wanted; });
  if (row_ == std::end(kRows))
    fail(Errc::invalid_file, "{} activation \"{}\" is not known", lists.label, wanted);
  const auto next = [](const std::optional<float>& standard, const std::vector<float>& values,
                       std::size_t& at) {
    if (!standard) return 0.0F;
    return at < values.size() ? values[at++] : *standard;
  };
  alpha_ = next(row_->alpha, lists.alphas, lists.alpha);
  beta_ = next(row_->beta, lists.betas, lists.beta);
}

void GateActivation::apply(float* x, int64_t count, const kernels::ElementwiseKernels& kernels,
                           ThreadPool& pool) const {
  if (row_->vector) {
    kernels.unary(
        {.op = *row_->vector, .count = count, .x = x, .y = x, .alpha = alpha_, .beta = beta_},
        pool);
    return;
  }
  for (int64_t i = 0; i < count; ++i) x[i] = row_->scalar(x[i], alpha_, beta_);
}

}  // namespace tercel::ops

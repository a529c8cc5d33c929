// Which nodes the plan computes in one step, and that they give what they give node by node.

#include <random>
#include <regex>

#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/runtime/evaluate.h"
#include "src/runtime/executor.h"

namespace tercel::runtime {
namespace {

struct Case {
  const char* name;
  const char* graph;
  std::vector<std::string> steps;  // operators of each
};

void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }

class Fusion : public testing::TestWithParam<Case> {
 protected:
  static std::string operators(const Step& step) {
    std::string text;
    for (const ir::Node* node : step.nodes) text += (text.empty() ? "" : " ") + node->op_type();
    return text;
  }

  Tensor random(const ir::Value& value) {
    Shape shape;
    for (const ir::Dim& dim : *value.type.dims) shape.push_back(dim.known() ? dim.value() : 5);
    Tensor tensor(value.type.dtype, shape);
    if (tensor.dtype() == Dtype::i64) {
      for (int64_t& element : tensor.values<int64_t>())
        element = static_cast<int64_t>(random_() % 6) - 3;
      return tensor;
    }
    for (float& element : tensor.values<float>()) element = normal_(random_);
    return tensor;
  }

  // Each "{0}" stands for as many random numbers as the shape before it says.
  std::string written_out(const std::string& graph) {
    static const std::regex kConstant(R"(float\[([0-9]+)(?:,([0-9]+))?\] \w+ = \{0\})");
    std::string text;
    auto from = graph.cbegin();
    for (std::smatch match; std::regex_search(from, graph.cend(), match, kConstant);) {
      text.append(from, match[0].second - 2);
      const int64_t count =
          std::stoll(match[1]) * (match[2].matched ? std::stoll(match[2]) : int64_t{1});
      for (int64_t i = 0; i < count; ++i)
        text += (i == 0 ? "" : ", ") + std::to_string(normal_(random_));
      text += "}";
      from = match[0].second;
    }
    return text.append(from, graph.cend());
  }

  std::mt19937 random_{17};
  std::normal_distribution<float> normal_;
  ThreadPool pool_{2};
  std::shared_ptr<Allocator> memory_ = find_device("cpu").make_allocator(0);
};

// What evaluate() gives for each node in turn.
std::vector<Tensor> node_by_node(const ir::Graph& graph, const std::vector<Tensor>& inputs,
                                 ThreadPool& pool, Allocator& memory) {
  std::unordered_map<const ir::Value*, Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i]] = inputs[i];
  for (const ir::Value* constant : graph.initializers()) values[constant] = constant->initializer();
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor> own;
    for (const ir::Value* input : node->inputs())
      own.push_back(input != nullptr ? values.at(input) : Tensor());
    const auto results = evaluate(*node, own, best_cpu_isa(), pool, memory);
    for (int i = 0; i < node->num_outputs(); ++i)
      values[node->output(i)] = results[static_cast<std::size_t>(i)];
  }
  std::vector<Tensor> outputs;
  for (const ir::Value* output : graph.outputs()) outputs.push_back(values.at(output));
  return outputs;
}

TEST_P(Fusion, GivesWhatTheNodesGive) {
  auto plain = ir::parse_text("g " + written_out(GetParam().graph));
  std::vector<Tensor> inputs;
  for (const ir::Value* input : plain->graph.inputs()) inputs.push_back(random(*input));
  const auto expected = node_by_node(plain->graph, inputs, pool_, *memory_);
  const Program program(std::move(plain), {.isa = best_cpu_isa()}, pool_, *memory_);
  std::vector<std::string> steps;
  for (const Step& step : program.steps()) steps.push_back(operators(step));
  EXPECT_EQ(steps, GetParam().steps);
  Executor executor(program, pool_, memory_);
  std::vector<Tensor> outputs(expected.size());
  executor.run(inputs, outputs, std::vector<bool>(outputs.size(), true), {});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    ASSERT_EQ(outputs[i].shape(), expected[i].shape());
    for (std::size_t j = 0; j < static_cast<std::size_t>(outputs[i].size()); ++j)
      ASSERT_NEAR(outputs[i].values<float>()[j], expected[i].values<float>()[j], 2e-4) << j;
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Fusion,
    testing::Values(
        Case{"QueriesKeysAndValues",
             "(float[B,S,24] x) => (float[B,S,16] q, float[B,S,7] k, float[B,S,16] v)"
             "<float[24,16] a = {0}, float[24,7] b = {0}, float[24,16] c = {0}, float[7] d = {0}>"
             "{ q = MatMul(x, a) kk = MatMul(x, b) k = Add(kk, d) vv = MatMul(x, c) v = Relu(vv) }",
             {"MatMul MatMul Add MatMul Relu"}},
        Case{"ProductsOfTwoValuesStayApart",
             "(float[B,24] x, float[B,24] y) => (float[B,16] p, float[B,16] q)"
             "<float[24,16] a = {0}> { p = MatMul(x, a) q = MatMul(y, a) }",
             {"MatMul", "MatMul"}},
        Case{"ResidualAndNormalisation",
             "(float[B,S,24] x, float[B,S,16] r) => (float[B,S,16] y)"
             "<float[24,16] a = {0}, float[16] b = {0}, float[16] s = {0}, float[16] t = {0}>"
             "{ p = MatMul(x, a) q = Add(p, b) u = Add(q, r)"
             "  y = LayerNormalization<axis = -1, epsilon = 0.1>(u, s, t) }",
             {"MatMul Add Add LayerNormalization"}},
        Case{"NormalisationWithoutBias",
             "(float[B,24] x) => (float[B,16] y) <float[24,16] a = {0}, float[16] s = {0}>"
             "{ p = MatMul(x, a) y = LayerNormalization<axis = 1>(p, s) }",
             {"MatMul LayerNormalization"}},
        Case{"WhatIsReadTwiceIsNotNormalisedAway",
             "(float[B,24] x) => (float[B,16] y, float[B,16] p)"
             "<float[24,16] a = {0}, float[16] s = {0}>"
             "{ p = MatMul(x, a) y = LayerNormalization(p, s) }",
             {"MatMul", "LayerNormalization"}},
        Case{"NormalisationOverTwoAxesStays",
             "(float[2,B,24] x) => (float[2,B,16] y) <float[24,16] a = {0}, float[16] s = {0}>"
             "{ p = MatMul(x, a) y = LayerNormalization<axis = 0>(p, s) }",
             {"MatMul", "LayerNormalization"}},
        Case{"Embedding",
             "(int64[B,S] w, int64[1,S] p) => (float[B,S,19] y)"
             "<float[9,19] a = {0}, float[5,19] b = {0}, float[19] c = {0}, float[19] s = {0},"
             " float[19] t = {0}>"
             "{ g = Gather(a, w) h = Gather(b, p) gh = Add(h, g) u = Add(gh, c)"
             "  y = LayerNormalization(u, s, t) }",
             {"Gather Gather Add Add LayerNormalization"}},
        Case{"EmbeddingOfPickedRows",
             "(int64[V] w, int64[B] p) => (float[B,19] y) <float[9,19] a = {0}, float[19] s = {0}>"
             "{ i = Gather(w, p) g = Gather(a, i) y = LayerNormalization(g, s) }",
             {"Gather Gather LayerNormalization"}},
        Case{"AnEmbeddingThatIsReadTwiceStays",
             "(int64[B] w) => (float[B,19] y, float[B,19] g)"
             "<float[9,19] a = {0}, float[19] s = {0}>"
             "{ g = Gather(a, w) y = LayerNormalization(g, s) }",
             {"Gather", "LayerNormalization"}},
        Case{"AResidualComesBehindTheProductsBesideIt",
             "(float[B,16] x) => (float[B,16] y) <float[16,16] a = {0}, float[16,16] b = {0}>"
             "{ p = MatMul(x, a) q = MatMul(x, b) y = Add(p, q) }",
             {"MatMul", "MatMul Add"}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tercel::runtime

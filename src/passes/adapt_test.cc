#include "src/passes/adapt.h"

#include <gtest/gtest.h>

#include "src/ir/builder.h"
#include "src/ops/infer.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {
namespace {

using ir::Dim;
using ir::Dims;
using ir::Type;

struct Adapt : testing::Test {
  ir::Model model;
  ir::Builder b{model.graph};
  ir::Value* x = model.graph.add_input(
      "x", Type::tensor(Dtype::f32, Dims{Dim("batch"), Dim("sequence"), Dim(6)}));

  void adapt(int64_t opset) {
    model.opsets[""] = opset;
    adapt_to_newest(model);
    EXPECT_EQ(model.opsets[""], ir::kOpset);
  }
  std::vector<std::string> op_types() const {
    std::vector<std::string> names;
    for (const auto& node : model.graph.nodes()) names.push_back(node->op_type());
    return names;
  }
  std::string output_type() const {
    const auto facts = ops::infer(model.graph, {}, &model);
    const Type* type = facts.type(model.graph.outputs()[0]);
    return type != nullptr ? ir::to_string(*type) : "nothing";
  }
  static std::vector<int64_t> constant(const ir::Value* value) {
    const auto values = value->initializer().values<int64_t>();
    return {values.begin(), values.end()};
  }
};

TEST_F(Adapt, TableGoesUpwards) {
  for (std::size_t i = 1; i < adapters().size(); ++i) {
    const Adapter& a = adapters()[i - 1];
    const Adapter& b = adapters()[i];
    EXPECT_TRUE(a.op_type < b.op_type || (a.op_type == b.op_type && a.below < b.below));
  }
}

TEST_F(Adapt, SoftmaxOverTheLastAxisStaysOne) {
  model.graph.add_output(b.op("Softmax", {x}, {{"axis", int64_t{2}}}));
  adapt(11);
  EXPECT_EQ(op_types(), std::vector<std::string>{"Softmax"});
  EXPECT_EQ(model.graph.nodes().front()->int_or("axis", 0), -1);
}

TEST_F(Adapt, SoftmaxOverMoreAxesIsFlattened) {
  ir::Value* y = b.op("Softmax", {x});
  y->type = x->type;
  model.graph.add_output(y);
  adapt(12);
  EXPECT_EQ(op_types(), (std::vector<std::string>{"Shape", "Flatten", "Softmax", "Reshape"}));
  EXPECT_EQ(output_type(), "float[batch,sequence,6]");
}

TEST_F(Adapt, SoftmaxOf13IsTheNewest) {
  model.graph.add_output(b.op("Softmax", {x}, {{"axis", int64_t{1}}}));
  adapt(13);
  EXPECT_EQ(model.graph.nodes().front()->int_or("axis", 0), 1);
}

TEST_F(Adapt, RanksAreFollowedThroughAdaptedNodes) {
  ir::Value* wide = b.op("Unsqueeze", {x}, {{"axes", std::vector<int64_t>{0}}});
  model.graph.add_output(b.op("Softmax", {wide}, {{"axis", int64_t{3}}}));
  adapt(11);
  EXPECT_EQ(op_types(), (std::vector<std::string>{"Unsqueeze", "Softmax"}));
  EXPECT_EQ(output_type(), "float[1,batch,sequence,6]");
}

TEST_F(Adapt, AxesBecomeAnInput) {
  const std::vector<int64_t> axes{1};
  for (const char* op : {"ReduceSum", "ReduceMean"}) {
    ir::Value* reduced = b.op(op, {x}, {{"axes", axes}, {"keepdims", int64_t{0}}});
    model.graph.add_output(reduced);
  }
  adapt(12);
  for (const auto& node : model.graph.nodes()) {
    EXPECT_FALSE(node->has_attribute("axes"));
    EXPECT_EQ(constant(node->input(1)), axes);
  }
  EXPECT_EQ(output_type(), "float[batch,6]");
}

TEST_F(Adapt, ReduceSumOf13HasTheInputAlready) {
  model.graph.add_output(b.op("ReduceSum", {x, b.ints({2})}));
  model.graph.add_output(b.op("ReduceMax", {x}, {{"axes", std::vector<int64_t>{2}}}));
  adapt(17);
  for (const auto& node : model.graph.nodes())
    EXPECT_EQ(constant(node->input(1)), std::vector<int64_t>{2});
}

TEST_F(Adapt, SplitLengthsAndCounts) {
  ir::Node* given =
      b.node("Split", {x}, 2, {{"axis", int64_t{2}}, {"split", std::vector<int64_t>{2, 4}}});
  ir::Node* equal = b.node("Split", {x}, 3, {{"axis", int64_t{2}}});
  model.graph.add_output(given->output(1));
  adapt(11);
  EXPECT_EQ(constant(given->input(1)), (std::vector<int64_t>{2, 4}));
  EXPECT_FALSE(given->has_attribute("num_outputs"));
  EXPECT_EQ(equal->int_or("num_outputs", 0), 3);
  EXPECT_EQ(output_type(), "float[batch,sequence,4]");
}

TEST_F(Adapt, DropoutRatioBecomesAnInput) {
  model.graph.add_output(b.op("Dropout", {x}, {{"ratio", 0.25F}}));
  adapt(11);
  const ir::Node& node = *model.graph.nodes().front();
  EXPECT_EQ(node.attributes().size(), 0U);
  EXPECT_EQ(node.input(1)->initializer().values<float>()[0], 0.25F);
}

TEST_F(Adapt, GroupNormalizationScalesByChannel) {
  ir::Value* image = model.graph.add_input("image", Type::tensor(Dtype::f32, Dims{2, 6, 3, 3}));
  ir::Value* scale = b.constant(Tensor::from({1.0F, 2.0F}, {2}));
  model.graph.add_output(
      b.op("GroupNormalization", {image, scale, scale}, {{"num_groups", int64_t{2}}}));
  adapt(18);
  const auto facts = ops::infer(model.graph, {}, &model);
  const ir::Node& node = *model.graph.nodes().back();
  EXPECT_EQ(ir::to_string(*facts.type(node.input(1))), "float[6]");
}

TEST_F(Adapt, SubgraphsAndFunctions) {
  auto branch = [&] {
    auto sub = std::make_shared<ir::Graph>("branch", &model.graph);
    ir::Builder inner(*sub);
    sub->add_output(inner.op("Squeeze", {x}, {{"axes", std::vector<int64_t>{0}}}));
    return sub;
  };
  const auto yes = branch();
  ir::Value* condition = model.graph.add_input("c", Type::tensor(Dtype::boolean, Dims{}));
  ir::Node* node = b.node("If", {condition}, 1, {{"then_branch", yes}, {"else_branch", branch()}});
  model.graph.add_output(node->output());
  auto function = std::make_unique<ir::Function>();
  function->domain = "local";
  function->name = "F";
  function->opsets[""] = 12;
  function->attributes = {"axes"};
  ir::Value* input = function->body.add_input("a", {});
  ir::Builder body(function->body);
  ir::Node* squeeze = body.node("Squeeze", {input}, 1);
  squeeze->add_attribute({.name = "axes", .data = {}, .ref = "axes", .ref_type = 7, .doc = {}});
  function->body.add_output(squeeze->output());
  model.functions.push_back(std::move(function));
  adapt(12);
  EXPECT_NE(yes->nodes().front()->input(1), nullptr);
  const ir::Graph& inside = model.functions[0]->body;
  EXPECT_EQ(inside.nodes().front()->op_type(), "Constant");
  EXPECT_EQ(squeeze->input(1)->producer()->attributes()[0].ref, "axes");
  EXPECT_EQ(model.functions[0]->opsets[""], ir::kOpset);
}

TEST_F(Adapt, RefusesOldAndUnknown) {
  model.graph.add_output(b.op("Softmax", {x}));
  for (const int64_t opset : {kOldestOpset - 1, ir::kOpset + 2}) {
    model.opsets[""] = opset;
    EXPECT_THROW(adapt_to_newest(model), Error);
  }
  model.opsets[""] = ir::kOpset + 1;
  EXPECT_NO_THROW(adapt_to_newest(model));
  EXPECT_EQ(model.warnings.size(), 1U);
  b.op("FromTheFuture", {x});
  model.opsets[""] = ir::kOpset + 1;
  EXPECT_THROW(adapt_to_newest(model), Error);
}

TEST_F(Adapt, RefusesBatchNormalizationInTraining) {
  ir::Value* one = b.constant(Tensor::from({1.0F}, {1}));
  b.node("BatchNormalization", {x, one, one, one, one}, 5);
  model.opsets[""] = 11;
  EXPECT_THROW(adapt_to_newest(model), Error);
}

}  // namespace
}  // namespace tercel::passes

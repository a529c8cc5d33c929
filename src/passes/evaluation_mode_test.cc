#include "src/passes/evaluation_mode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/fail.h"
#include "src/ir/builder.h"

namespace tercel::passes {
namespace {

class EvaluationMode : public testing::Test {
 protected:
  ir::Model model;
  ir::Builder b{model.graph};
  ir::Value* x = model.graph.add_input("x", ir::Type::tensor(Dtype::f32));
};

TEST_F(EvaluationMode, DropoutKeepsEverything) {
  ir::Value* ratio = b.scalar(0.5F);
  ir::Value* yes = b.constant(Tensor::scalar(true));
  ir::Node* trained = b.node("Dropout", {x, ratio, yes}, 1);
  ir::Value* given = model.graph.add_input("mode", ir::Type::tensor(Dtype::boolean));
  ir::Node* open = b.node("Dropout", {trained->output(), ratio, given}, 1);
  model.graph.add_output(open->output());
  use_evaluation_mode(model);
  EXPECT_EQ(trained->input(2), nullptr);
  EXPECT_EQ(open->input(2), nullptr);
  EXPECT_EQ(trained->input(1), ratio);
  ASSERT_EQ(model.warnings.size(), 1U);
  EXPECT_THAT(model.warnings[0], testing::HasSubstr("2 of its operators"));
}

TEST_F(EvaluationMode, BatchNormalizationTakesTheStatisticsOfTheModel) {
  ir::Value* one = b.constant(Tensor::from({1.0F}, {1}));
  ir::Value* mean = b.constant(Tensor::from({2.0F}, {1}));
  ir::Value* variance = b.constant(Tensor::from({3.0F}, {1}));
  ir::Node* norm = b.node("BatchNormalization", {x, one, one, mean, variance}, 3);
  norm->set_attribute("training_mode", int64_t{1});
  ir::Node* sum = b.node("Add", {norm->output(1), norm->output(2)}, 1);
  model.graph.add_output(norm->output());
  model.graph.add_output(sum->output());
  use_evaluation_mode(model);
  EXPECT_EQ(norm->int_or("training_mode", 0), 0);
  EXPECT_EQ(norm->output(1), nullptr);
  EXPECT_EQ(sum->input(0), mean);
  EXPECT_EQ(sum->input(1), variance);
  EXPECT_EQ(model.warnings.size(), 1U);
}

TEST_F(EvaluationMode, StatisticsThatTheModelGivesAreRefused) {
  ir::Value* one = b.constant(Tensor::from({1.0F}, {1}));
  ir::Node* norm = b.node("BatchNormalization", {x, one, one, one, one}, 3);
  norm->set_attribute("training_mode", int64_t{1});
  model.graph.add_output(norm->output(1));
  EXPECT_THROW(use_evaluation_mode(model), Error);
}

TEST_F(EvaluationMode, AModelForInferenceStaysAsItIs) {
  ir::Value* one = b.constant(Tensor::from({1.0F}, {1}));
  ir::Node* norm = b.node("BatchNormalization", {x, one, one, one, one}, 1);
  ir::Value* no = b.constant(Tensor::scalar(false));
  ir::Node* dropout = b.node("Dropout", {norm->output(), b.scalar(0.5F), no}, 1);
  model.graph.add_output(dropout->output());
  use_evaluation_mode(model);
  EXPECT_TRUE(model.warnings.empty());
}

}  // namespace
}  // namespace tercel::passes

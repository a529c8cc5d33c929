// Symbols through chains of shape arithmetic, as exporters write them.

#include <gtest/gtest.h>

#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace tercel::ops {
namespace {

using ir::Dim;
using ir::Dims;
using ir::Type;

struct ShapeRules : testing::Test {
  ir::Graph graph{"g"};
  ir::Builder b{graph};
  ir::Value* x =
      graph.add_input("x", Type::tensor(Dtype::f32, Dims{Dim("batch"), Dim("sequence"), Dim(384)}));

  // Infers all, at other input types when given.
  std::string type(const ir::Value* value, const std::vector<Type>& inputs = {}) {
    facts = infer(graph, inputs, nullptr);
    const Type* found = facts.type(value);
    return found != nullptr ? ir::to_string(*found) : "nothing";
  }
  std::string contents(const ir::Value* value) {
    facts = infer(graph, {}, nullptr);
    const Contents* found = facts.contents(value);
    if (found == nullptr) return "nothing";
    std::string text;
    for (const Known& element : *found) {
      text += text.empty() ? "" : ",";
      if (element.is_number())
        text += std::to_string(element.number());
      else
        text += element.symbol().empty() ? "?" : element.symbol();
    }
    return text;
  }
  ir::Value* dim_of(ir::Value* value, int64_t axis) {
    return b.op("Gather", {b.op("Shape", {value}), b.int_scalar(axis)}, {{"axis", int64_t{0}}});
  }
  ir::Value* column(ir::Value* value) { return b.unsqueeze(value, {0}); }
  ir::Value* joined(std::vector<ir::Value*> parts) {
    return b.op("Concat", std::move(parts), {{"axis", int64_t{0}}});
  }

  Facts facts;
};

TEST_F(ShapeRules, HeadsAreSplitOff) {
  ir::Value* shape = joined({column(dim_of(x, 0)), column(dim_of(x, 1)), b.ints({12, -1})});
  EXPECT_EQ(contents(shape), "batch,sequence,12,-1");
  ir::Value* heads = b.op("Reshape", {x, shape});
  ir::Value* turned = b.transpose(heads, {0, 2, 1, 3});
  EXPECT_EQ(type(turned), "float[batch,12,sequence,32]");
  EXPECT_EQ(type(turned, {Type::tensor(Dtype::f32, {2, 7, 384})}), "float[2,12,7,32]");
}

TEST_F(ShapeRules, ReshapeCopiesAndCombines) {
  EXPECT_EQ(type(b.reshape(x, {0, 0, 12, 32})), "float[batch,sequence,12,32]");
  EXPECT_EQ(type(b.reshape(x, {-1, 384})), "float[batch*sequence,384]");
  EXPECT_EQ(type(b.reshape(x, {0, -1})), "float[batch,384*sequence]");
  EXPECT_EQ(type(b.reshape(b.reshape(x, {0, 0, 12, 32}), {0, 0, -1})), "float[batch,sequence,384]");
}

TEST_F(ShapeRules, ReshapeRejectsWhatDoesNotFit) {
  ir::Value* bad = b.reshape(x, {2, 7, 100});
  EXPECT_THROW(type(bad, {Type::tensor(Dtype::f32, {2, 7, 384})}), Error);
}

TEST_F(ShapeRules, SlicesOfShapesAndTables) {
  ir::Value* shape = b.op("Shape", {x});
  EXPECT_EQ(contents(b.op("Slice", {shape, b.ints({-2}), b.ints({INT64_MAX})})), "sequence,384");
  EXPECT_EQ(contents(b.op("Slice",
                          {shape, b.ints({-1}), b.ints({INT64_MIN}), b.ints({0}), b.ints({-2})})),
            "384,batch");
  ir::Value* table = graph.add_input("table", Type::tensor(Dtype::f32, Dims{512, 8}));
  ir::Value* rows = b.op("Slice", {table, b.ints({0}), column(dim_of(x, 1))});
  EXPECT_EQ(type(rows), "float[sequence,8]");
  EXPECT_EQ(type(b.op("Slice", {x, b.ints({0}), b.ints({INT64_MAX}), b.ints({1})})),
            "float[batch,sequence,384]");
}

TEST_F(ShapeRules, ExpandWithAWhere) {
  // Expand to (batch, -1): a dimension of -1 stands for 1.
  ir::Value* wanted = joined({column(dim_of(x, 0)), b.ints({1})});
  ir::Value* ones =
      b.op("ConstantOfShape", {b.ints({2})}, {{"value", Tensor::from<int64_t>({1}, {1})}});
  ir::Value* keep = b.constant(Tensor::from({false, true}, {2}));
  ir::Value* target = b.op("Where", {keep, ones, wanted});
  EXPECT_EQ(contents(target), "batch,1");
  ir::Value* row = graph.add_input("row", Type::tensor(Dtype::f32, Dims{1, 5}));
  EXPECT_EQ(type(b.op("Expand", {row, target})), "float[batch,5]");
}

TEST_F(ShapeRules, RangeOfASymbol) {
  ir::Value* range = b.op("Range", {b.int_scalar(0), dim_of(x, 1), b.int_scalar(1)});
  EXPECT_EQ(type(range), "int64[sequence]");
  EXPECT_EQ(type(range, {Type::tensor(Dtype::f32, {1, 4, 384})}), "int64[4]");
  ASSERT_NE(facts.contents(range), nullptr);
  EXPECT_EQ(facts.contents(range)->size(), 4U);
}

TEST_F(ShapeRules, LargeCountsAreNotFollowed) {
  ir::Value* long_range =
      b.op("Range", {b.int_scalar(0), b.int_scalar(int64_t{1} << 50), b.int_scalar(1)});
  EXPECT_EQ(contents(long_range), "nothing");
  EXPECT_EQ(contents(b.op("ConstantOfShape", {b.ints({int64_t{1} << 40})})), "nothing");
}

TEST_F(ShapeRules, SplitAndConcatAgree) {
  ir::Node* split = b.node("Split", {x}, 3, {{"axis", int64_t{2}}, {"num_outputs", int64_t{3}}});
  EXPECT_EQ(type(split->output(1)), "float[batch,sequence,128]");
  ir::Value* whole = b.op("Concat", {split->output(0), split->output(2)}, {{"axis", int64_t{-1}}});
  EXPECT_EQ(type(whole), "float[batch,sequence,256]");
}

TEST_F(ShapeRules, SizeAndFlattenMultiply) {
  EXPECT_EQ(type(b.op("Flatten", {x}, {{"axis", int64_t{2}}})), "float[batch*sequence,384]");
  EXPECT_EQ(contents(b.op("Size", {x})), "384*batch*sequence");
}

TEST_F(ShapeRules, IfTakesTheKnownBranch) {
  const auto branch = [&](std::vector<int64_t> axes) {
    auto sub = std::make_shared<ir::Graph>("branch", &graph);
    ir::Builder inner(*sub);
    sub->add_output(inner.op("Squeeze", {x, inner.ints(std::move(axes))}));
    return sub;
  };
  ir::Value* condition = b.constant(Tensor::scalar(true));
  ir::Node* node =
      b.node("If", {condition}, 1, {{"then_branch", branch({0})}, {"else_branch", branch({2})}});
  EXPECT_EQ(type(node->output()), "float[sequence,384]");
}

}  // namespace
}  // namespace tercel::ops

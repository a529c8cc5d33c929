#include "src/ir/graph.h"

#include <gtest/gtest.h>

#include "src/ir/builder.h"

namespace tercel::ir {
namespace {

Type floats(Dims dims) { return Type::tensor(Dtype::f32, std::move(dims)); }

TEST(Graph, ReplacingAnOutputKeepsItsName) {
  Graph graph("g");
  Value* x = graph.add_input("x", floats({2}));
  Builder b(graph);
  Value* y = b.op("Relu", {x});
  graph.rename(y, "y");
  graph.add_output(y);
  Value* z = b.op("Tanh", {x});
  graph.replace_uses(y, z);
  EXPECT_EQ(graph.outputs()[0], z);
  EXPECT_EQ(z->name(), "y");
  graph.erase(y->producer());
  EXPECT_EQ(graph.nodes().size(), 1U);

  graph.replace_uses(z, x);  // an input keeps its name: an Identity stands between
  EXPECT_EQ(graph.outputs()[0]->name(), "y");
  EXPECT_TRUE(graph.outputs()[0]->producer()->is("Identity"));
}

TEST(Graph, SortIsStableAndFindsCycles) {
  Graph graph("g");
  Value* x = graph.add_input("x", floats({2}));
  Node* late = graph.add_node("Add", {x, nullptr});
  Node* early = graph.add_node("Relu", {x});
  late->set_input(1, early->add_output("r"));
  late->add_output("a");
  EXPECT_EQ(graph.sort(), nullptr);
  EXPECT_EQ(graph.nodes().front().get(), early);
  early->set_input(0, late->output());
  EXPECT_NE(graph.sort(), nullptr);
}

TEST(Graph, NamesAreMadeUnique) {
  Graph graph("g");
  Value* a = graph.add_input("x", floats({}));
  Value* b = graph.add_initializer("x", Tensor::scalar(1.0F));
  EXPECT_NE(a->name(), b->name());
}

TEST(Graph, CloneCopiesSubgraphsWithTheirCaptures) {
  Graph graph("g");
  Value* condition = graph.add_input("c", Type::tensor(Dtype::boolean, Dims{}));
  Value* x = graph.add_input("x", floats({2}));
  Value* y = Builder(graph).op("Relu", {x});
  const auto branch = [&](const char* op) {
    auto sub = std::make_shared<Graph>(op, &graph);
    sub->add_output(Builder(*sub).op(op, {y}));
    return sub;
  };
  Node* node = graph.add_node("If", {condition});
  node->set_attribute("then_branch", branch("Tanh"));
  node->set_attribute("else_branch", branch("Exp"));
  graph.add_output(node->add_output("out"));

  Graph copy;
  graph.clone_into(copy);
  const Node* cloned = copy.outputs()[0]->producer();
  const Graph* then_branch = cloned->subgraph("then_branch");
  ASSERT_NE(then_branch, nullptr);
  EXPECT_NE(then_branch, node->subgraph("then_branch"));
  EXPECT_EQ(&then_branch->nodes().front()->input(0)->graph(), &copy);
}

}  // namespace
}  // namespace tercel::ir

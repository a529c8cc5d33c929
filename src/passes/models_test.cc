// What needs more than one graph in text: functions, evaluated constants, stored weights, the list.

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "src/base/half.h"
#include "src/ir/builder.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/pass_list.h"
#include "src/passes/store_weights.h"
#include "src/passes/test_support.h"

namespace tercel::passes {
namespace {

constexpr const char* kHead = "<ir_version: 10, opset_import: [\"\" : 28, \"local\" : 1]>\n";
constexpr const char* kFunction =
    "\n<domain: \"local\", opset_import: [\"\" : 28, \"local\" : 1]>\n";

std::unique_ptr<ir::Model> parse(const std::string& text) { return ir::parse_text(kHead + text); }

std::string text_of(const std::string& graph) { return canonical_text(parse("g " + graph)->graph); }

TEST(InlineFunctions, ResolvesAttributesAndNests) {
  const auto model = parse(
      "g (float[N] x) => (float[N] y, float[N] z) {"
      " y = local.Outer<alpha = 3.0>(x) z = local.Outer(x) }" +
      std::string(kFunction) +
      "Inner <beta: float = 2.0> (a) => (b) { c = Elu<alpha: float = @beta>(a) b = Neg(c) }" +
      kFunction +
      "Outer <alpha: float = 1.0> (a) => (b) {"
      " c = local.Inner<beta: float = @alpha>(a) b = local.Inner(c) }");
  ir::verify(*model);
  EXPECT_TRUE(inline_functions(*model, {}));
  ir::verify(*model, Errc::internal);
  EXPECT_EQ(canonical_text(model->graph),
            text_of("(float[N] x) => (float[N] y, float[N] z) {"
                    " a = Elu<alpha = 3.0>(x) b = Neg(a) c = Elu<alpha = 2.0>(b) y = Neg(c)"
                    " d = Elu<alpha = 1.0>(x) e = Neg(d) f = Elu<alpha = 2.0>(e) z = Neg(f) }"));
  EXPECT_TRUE(eliminate_dead(*model, {}));
  EXPECT_TRUE(model->functions.empty());
}

TEST(InlineFunctions, RefusesRecursion) {
  const auto model = parse("g (float[N] x) => (float[N] y) { y = local.F(x) }" +
                           std::string(kFunction) + "F (a) => (b) { b = local.F(a) }");
  EXPECT_THROW(inline_functions(*model, {}), Error);
}

TEST(InlineFunctions, RefusesToGrowWithoutEnd) {
  std::string text = "g (float[N] x) => (float[N] y) { y = local.F0(x) }";
  for (int i = 0; i < 40; ++i) {
    text += kFunction +
            fmt::format("F{} (a) => (b) {{ c = local.F{}(a) b = local.F{}(c) }}", i, i + 1, i + 1);
  }
  text += std::string(kFunction) + "F40 (a) => (b) { b = Neg(a) }";
  const auto model = parse(text);
  EXPECT_THROW(inline_functions(*model, {}), Error);
}

TEST(FoldConstants, AsksTheEvaluator) {
  PassContext context;
  context.evaluate = [](const ir::Node& node, const std::vector<Tensor>& inputs) {
    EXPECT_TRUE(node.is("Neg"));
    return std::vector<Tensor>{Tensor::scalar(-inputs[0].values<float>()[0])};
  };
  const Outcome outcome = rewrite(
      fold_constants,
      "(float[N] x) => (float[N] y) <float c = {2.0}> { a = Neg(c) b = Neg(a) y = Mul(x, a) }",
      "(float[N] x) => (float[N] y) <float c = {-2.0}> { y = Mul(x, c) }", context);
  EXPECT_EQ(outcome.actual, outcome.expected);
}

TEST(FoldConstants, LeavesWhatIsNotSupportedAndWhatWouldGrow) {
  PassContext context;
  int asked = 0;
  context.evaluate = [&](const ir::Node& node, const std::vector<Tensor>&) -> std::vector<Tensor> {
    ++asked;
    throw Error(Errc::unsupported, node.label() + " has no kernel");
  };
  const std::string text =
      "(float[N] x) => (float[N] y, float[300,300] z) <float c = {2.0}, int64[2] s = {300, 300}>"
      "{ a = Neg(c) y = Mul(x, a) z = Expand(c, s) }";
  const Outcome outcome = rewrite(fold_constants, text, text, context);
  EXPECT_EQ(outcome.actual, outcome.expected);
  EXPECT_EQ(asked, 1);
}

TEST(FoldConstants, WeightsThatMayStayBytesComeLast) {
  PassContext context;
  int asked = 0;
  context.evaluate = [&](const ir::Node& node, const std::vector<Tensor>&) {
    ++asked;
    EXPECT_TRUE(node.is("DequantizeLinear"));
    return std::vector<Tensor>{Tensor::from({0.5F, 1.0F}, {2, 1, 1})};
  };
  const std::string weight = " <float s = {0.5}, int8[2, 1, 1] w = {1, 2}> ";
  const std::string conv = "v = DequantizeLinear(w, s) y = Conv <group = 2>(x, v) }";
  const std::string of_numbers = "g (float[N,2,9] x) => (float[N,2,9] y)" + weight + "{ " + conv;
  const std::string of_bytes =
      "g (uint8[N,2,9] b) => (float[N,2,9] y)" + weight + "{ x = DequantizeLinear(b, s) " + conv;
  EXPECT_TRUE(fold_constants(*parse(of_numbers), context));
  EXPECT_FALSE(fold_conv_weights(*parse(of_numbers), context));
  EXPECT_FALSE(fold_constants(*parse(of_bytes), context));
  EXPECT_TRUE(fold_conv_weights(*parse(of_bytes), context));
  EXPECT_EQ(asked, 2);
}

std::unique_ptr<ir::Model> with_weight(const Tensor& weight) {
  auto model = std::make_unique<ir::Model>();
  model->opsets[""] = ir::kOpset;
  ir::Graph& graph = model->graph;
  ir::Value* x = graph.add_input("x", ir::Type::tensor(Dtype::f32, {ir::Dim("N"), ir::Dim(40)}));
  ir::Value* i = graph.add_input("i", ir::Type::tensor(Dtype::i64, {ir::Dim("M")}));
  ir::Builder b(graph);
  ir::Value* product = b.matmul(x, b.constant(weight, "w"));
  ir::Value* rows = b.op("Gather", {b.constant(weight.clone(), "table"), i});
  graph.add_output(product);
  graph.add_output(rows);
  return model;
}

TEST(StoreWeights, RoundsAndCasts) {
  Tensor weight(Dtype::f32, {40, 40});
  for (std::size_t i = 0; i < 1600; ++i)
    weight.values<float>()[i] = 0.001F * static_cast<float>(i) - 0.7F;
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16}) {
    const auto model = with_weight(weight);
    EXPECT_TRUE(store_weights(*model, dtype).empty());
    ir::verify(*model, Errc::internal);
    const auto leaves = model->graph.initializers();
    ASSERT_EQ(leaves.size(), 2U);
    for (const ir::Value* leaf : leaves) {
      EXPECT_EQ(leaf->initializer().dtype(), dtype);
      const auto* bits = static_cast<const uint16_t*>(leaf->initializer().data());
      for (std::size_t i = 0; i < 1600; ++i) {
        const float value = weight.values<float>()[i];
        EXPECT_EQ(bits[i], dtype == Dtype::f16 ? to_f16(value).bits : to_bf16(value).bits);
      }
    }
    EXPECT_EQ(model->graph.nodes().size(), 4U);
    store_weights(*model, Dtype::f32);
    ir::verify(*model, Errc::internal);
    EXPECT_EQ(model->graph.nodes().size(), 2U);
    for (const ir::Value* leaf : model->graph.initializers())
      EXPECT_EQ(leaf->initializer().dtype(), Dtype::f32);
  }
}

TEST(StoreWeights, KeepsWhatF16CannotHold) {
  Tensor weight(Dtype::f32, {40, 40});
  for (float& value : weight.values<float>()) value = 1e6F;
  const auto model = with_weight(weight);
  EXPECT_EQ(store_weights(*model, Dtype::f16), (std::vector<std::string>{"w", "table"}));
  for (const ir::Value* leaf : model->graph.initializers())
    EXPECT_EQ(leaf->initializer().dtype(), Dtype::f32);
}

TEST(StoreWeights, ConvertsFactorsButNotTablesInSixteenBits) {
  const auto model = with_weight(Tensor::from(std::vector<float>(1600, 0.1F), {40, 40}));
  store_weights(*model, Dtype::f16);
  store_weights(*model, Dtype::bf16);
  ir::verify(*model, Errc::internal);
  std::map<std::string, Dtype> dtypes;
  for (const ir::Value* leaf : model->graph.initializers())
    dtypes[leaf->name()] = leaf->initializer().dtype();
  EXPECT_EQ(dtypes.at("w"), Dtype::bf16);
  EXPECT_EQ(dtypes.at("table"), Dtype::f16);
}

TEST(Optimize, LongChainsTakeLinearTime) {
  ir::Model model;
  model.opsets[""] = ir::kOpset;
  ir::Builder b(model.graph);
  ir::Value* x = model.graph.add_input("x", ir::Type::tensor(Dtype::f32, {ir::Dim("N")}));
  ir::Value* one = b.scalar(1);
  for (int i = 0; i < 20000; ++i) x = b.op("Neg", {b.mul(x, one)});
  model.graph.add_output(x);
  optimize(model, {});
  EXPECT_EQ(model.graph.nodes().size(), 20000U);
}

}  // namespace
}  // namespace tercel::passes

// Which graphs lose their padding, and what is said of those that keep it.

#include <algorithm>

#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// A layer of tokens x [batch, sequence, 8] under a mask, then `tail`, which makes y out of h.
std::unique_ptr<ir::Model> layer(const std::string& mask, const std::string& tail) {
  const std::string text =
      "<ir_version: 10, opset_import: [\"\" : 28]>\n"
      "g (int64[batch,sequence] ids, int64[batch,sequence] attention_mask,"
      " float[16,8] table, float[8,8] w) => (float[] y)"
      "<float min = {-3.4e38}, float one = {1.0},"
      " int64[2] axes = {1, 2}, int64[1] middle = {1}, int64[1] last = {2}, int64 zero = {0},"
      " int64 next = {1}, int64 near = {2}> {"
      " x = Gather(table, ids) q = MatMul(x, w)" +
      mask + " a = Attention<q_num_heads: int = 2, kv_num_heads: int = 2>(q, x, x, m)" +
      " h = Add(a, x)" + tail + "}";
  return ir::parse_text(text);
}

constexpr const char* kBoolean =
    " seen = Cast<to: int = 9>(attention_mask) m = Unsqueeze(seen, axes)";
constexpr const char* kAdded =
    " real = Cast<to: int = 1>(attention_mask) wide = Unsqueeze(real, axes)"
    " not = Sub(one, wide) m = Mul(not, min)";

std::string note_of(ir::Model& model) {
  unpad(model, {});
  ir::verify(model);
  for (const auto& [key, value] : model.metadata) {
    if (key == "tercel.rows") return value;
  }
  return {};
}

int count(const ir::Model& model, std::string_view type) {
  const auto& nodes = model.graph.nodes();
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(),
                                        [&](const auto& node) { return node->op_type() == type; }));
}

TEST(Unpad, PacksTokensUnderEitherKindOfMask) {
  for (const char* mask : {kBoolean, kAdded}) {
    const auto model = layer(mask, " y = Relu(h)");
    EXPECT_EQ(note_of(*model), "packed");
    EXPECT_EQ(count(*model, "Attention"), 0);
    EXPECT_EQ(count(*model, "PackedAttention"), 1);
    EXPECT_EQ(count(*model, "UnpackedRows"), 1);
    EXPECT_NE(model->find_function("tercel", "PackedAttention"), nullptr);
    EXPECT_FALSE(unpad(*model, {}));
  }
}

TEST(Unpad, RunsTheHeadOnFirstTokensAlone) {
  const auto model = layer(kBoolean, " p = Relu(h) y = Gather<axis: int = 1>(p, zero)");
  EXPECT_EQ(note_of(*model), "packed");
  EXPECT_EQ(count(*model, "UnpackedRows"), 0);
  for (const auto& node : model->graph.nodes()) {
    if (!node->is("Add")) continue;
    for (const ir::Value* input : node->inputs()) {
      ASSERT_NE(input->producer(), nullptr);
      EXPECT_TRUE(input->producer()->is("Gather"));
    }
  }
}

TEST(Unpad, PoolsWhatTheMaskMakesZero) {
  const auto model = layer(kBoolean,
                           " f = Cast<to: int = 1>(attention_mask) fm = Unsqueeze(f, last)"
                           " z = Mul(h, fm) y = ReduceSum<keepdims: int = 0>(z, middle)");
  EXPECT_EQ(note_of(*model), "packed");
}

TEST(Unpad, KeepsPaddingWhereTokensMixAndSaysWhere) {
  const auto mean = layer(kBoolean, " y = ReduceMean<keepdims: int = 0>(h, middle)");
  EXPECT_EQ(note_of(*mean), "padded: [ReduceMean \"y\"] mixes tokens, padding among them");
  EXPECT_EQ(count(*mean, "Attention"), 1);
  EXPECT_EQ(count(*mean, "PackedRows"), 0);
  const auto product =
      layer(kBoolean, " t = Transpose<perm: ints = [0, 2, 1]>(h) y = MatMul(h, t)");
  EXPECT_NE(note_of(*product).find("moves tokens"), std::string::npos);
  const auto shifted = layer(
      " seen = Cast<to: int = 9>(attention_mask) hidden = Not(seen) m = Unsqueeze(hidden, axes)",
      " y = Relu(h)");
  EXPECT_NE(note_of(*shifted).find("does more than hide padding"), std::string::npos);
}

}  // namespace
}  // namespace tercel::passes

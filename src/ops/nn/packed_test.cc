#include <gtest/gtest.h>

#include "src/ops/cpu.h"
#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

// One node of the domain "tercel", run on tensors.
std::vector<Tensor> run(const std::string& op, const std::vector<Tensor>& inputs, int outputs,
                        const std::vector<ir::Builder::Attr>& attributes = {}) {
  ir::Graph graph;
  std::vector<ir::Value*> values;
  for (const Tensor& tensor : inputs) {
    values.push_back(
        graph.add_input({}, ir::Type::tensor(tensor.dtype(), ir::to_dims(tensor.shape()))));
  }
  ir::Builder b(graph);
  const ir::Node* node = b.node(op, values, outputs, attributes, "tercel");
  const Facts facts = infer(graph, {}, nullptr);
  ThreadPool pool(2);
  const auto memory = make_cpu_allocator();
  const auto choice =
      choose_cpu_kernel({*node, facts, best_cpu_isa(), pool, *memory, Dtype::f32, {}});
  std::vector<Tensor> results(static_cast<std::size_t>(outputs));
  std::vector<Shape> shapes;
  for (const Tensor& tensor : inputs) shapes.push_back(tensor.shape());
  std::shared_ptr<Buffer> scratch;
  if (!choice.kernel->allocates_outputs()) {
    results[0] = Tensor(facts.type(node->output())->dtype, *facts.type(node->output())->shape());
    const std::vector<Shape> out{results[0].shape()};
    scratch = memory->allocate(choice.kernel->workspace(shapes, out, 2) + 64, "scratch");
  }
  choice.kernel->run({inputs, results, scratch ? scratch->data() : nullptr, pool, *memory});
  return results;
}

std::vector<int64_t> ints(const Tensor& tensor) {
  const auto values = tensor.values<int64_t>();
  return {values.begin(), values.end()};
}

using Ints = std::vector<int64_t>;

TEST(PackedRows, AreTheRealTokensOfRightPaddedSequences) {
  const auto mask = Tensor::from(Ints{1, 1, 0, 1, 0, 0, 1, 1, 1}, {3, 3});
  const auto out = run("PackedRows", {mask}, 5);
  EXPECT_EQ(ints(out[0]), (Ints{0, 1, 3, 6, 7, 8}));
  EXPECT_EQ(ints(out[1]), (Ints{0, 2, 3, 6}));
  EXPECT_EQ(ints(out[2]), (Ints{0, 1, 0, 0, 1, 2}));
  EXPECT_EQ(ints(out[3]), (Ints{0, 2, 3}));
}

TEST(PackedRows, AreAllPlacesForOtherMasks) {
  for (const Ints& mask :
       {Ints{1, 0, 1, 1, 1, 1}, Ints{0, 1, 1, 1, 1, 1}, Ints{0, 0, 0, 1, 1, 0}}) {
    const auto out = run("PackedRows", {Tensor::from(mask, {2, 3})}, 5);
    EXPECT_EQ(ints(out[0]), (Ints{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(ints(out[1]), (Ints{0, 3, 6}));
    EXPECT_EQ(out[4].values<bool>()[0], mask[0] != 0);
  }
}

TEST(PackedRows, OfAnEmptyBatch) {
  const auto out = run("PackedRows", {Tensor(Dtype::i64, {0, 4})}, 5);
  EXPECT_EQ(out[0].size(), 0);
  EXPECT_EQ(ints(out[1]), (Ints{0}));
}

TEST(UnpackedRows, AreZeroWhereThereIsPadding) {
  const auto packed = run("PackedRows", {Tensor::from(Ints{1, 0, 1, 1}, {2, 2})}, 5);
  const auto x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  const auto out = run("UnpackedRows", {x, packed[0], packed[4]}, 1);
  const auto values = out[0].values<float>();
  EXPECT_EQ((std::vector<float>{values.begin(), values.end()}),
            (std::vector<float>{1, 2, 0, 0, 3, 4, 5, 6}));
  for (const Ints& wrong : {Ints{0, 3, 2}, {0, 0, 2}, {-1, -1, -1}, {1, 2, 4}})
    EXPECT_THROW(run("UnpackedRows", {x, Tensor::from(wrong, {3}), packed[4]}, 1), Error);
}

TEST(UnpackedRows, TakesALastRowThatIsRepeated) {
  const auto valid = Tensor::from(Ints{1, 1, 0, 0}, {2, 2});
  const auto packed = run("PackedRows", {valid}, 5);
  const auto x = Tensor::from(std::vector<float>{1, 2, 3}, {3, 1});
  const auto rows = Tensor::from(Ints{0, 1, 1}, {3});
  const auto out = run("UnpackedRows", {x, rows, packed[4]}, 1);
  const auto values = out[0].values<float>();
  EXPECT_EQ((std::vector<float>{values.begin(), values.end()}), (std::vector<float>{1, 2, 0, 0}));
  // In as many places as rows, each is at its own.
  const auto few = run("PackedRows", {Tensor::from(Ints{1, 1, 0}, {1, 3})}, 5);
  EXPECT_THROW(run("UnpackedRows", {x, rows, few[4]}, 1), Error);
}

TEST(PackedAttention, IsTheAttentionOfEachSequence) {
  const Ints lengths{3, 1, 5};
  Tensor mask(Dtype::i64, {3, 5});
  for (std::size_t i = 0; i < 15; ++i)
    mask.values<int64_t>()[i] = static_cast<int64_t>(i % 5) < lengths[i / 5] ? 1 : 0;
  const auto rows = run("PackedRows", {mask}, 5);
  const Tensor q = random_tensor(Dtype::f32, {9, 8}, 1);
  const Tensor k = random_tensor(Dtype::f32, {9, 4}, 2);
  const Tensor v = random_tensor(Dtype::f32, {9, 6}, 3);
  for (const int64_t window : {int64_t{1}, int64_t{INT32_MAX}}) {
    const std::vector<ir::Builder::Attr> attributes{{"q_num_heads", int64_t{4}},
                                                    {"kv_num_heads", int64_t{2}},
                                                    {"scale", 0.7F},
                                                    {"left_window", window},
                                                    {"right_window", window}};
    const Tensor none = Tensor::scalar(0.0F);
    const auto y =
        run("PackedAttention", {q, k, v, rows[1], rows[0], rows[4], none}, 1, attributes);
    int64_t at = 0;
    for (const int64_t length : lengths) {
      const auto part = [&](const Tensor& tensor) {
        return tensor.slice(at, at + length).reshape({1, length, tensor.shape()[1]}).clone();
      };
      std::vector<ir::Builder::Attr> own{
          {"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}, {"scale", 0.7F}};
      if (window == 1) {
        own.push_back({"left_window_size", window});
        own.push_back({"right_window_size", window});
      }
      const auto alone = run_op("Attention", {part(q), part(k), part(v)}, own);
      EXPECT_TRUE(same_bits(part(y[0]), alone[0])) << length << " rows";
      at += length;
    }
  }
  const auto fewer = Tensor::from(Ints{0, 3, 4, 7}, {4});
  const Tensor y =
      run("PackedAttention", {q, k, v, fewer, rows[0], rows[4], Tensor::scalar(0.0F)}, 1,
          {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}, {"scale", 1.0F}})[0];
  for (const float x : y.slice(7, 9).values<float>()) EXPECT_EQ(x, 0) << "a row of no sequence";
  const auto wrong = Tensor::from(Ints{0, 4, 3, 9}, {4});
  EXPECT_THROW(run("PackedAttention", {q, k, v, wrong, rows[0], rows[4], Tensor::scalar(0.0F)}, 1,
                   {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}, {"scale", 1.0F}}),
               Error);
}

}  // namespace
}  // namespace tercel::ops

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "src/ops/op_def.h"
#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Attrs = std::vector<ir::Builder::Attr>;

Tensor in_f64(const Tensor& tensor) {
  if (!tensor.defined() || !is_floating_point(tensor.dtype())) return tensor;
  return from_doubles(to_doubles(tensor), Dtype::f64, tensor.shape());
}

// The naive kernel in f64 is the oracle of the vector kernel.
void compare(std::vector<Tensor> inputs, const Attrs& attributes, int outputs = 1) {
  const OpRun fast = run_op_with({}, "Attention", inputs, attributes, outputs);
  EXPECT_EQ(fast.implementation, "attention_f32");
  for (Tensor& input : inputs) input = in_f64(input);
  const OpRun exact = run_op_with({}, "Attention", inputs, attributes, outputs);
  EXPECT_EQ(exact.implementation, "attention_naive");
  for (int i = 0; i < outputs; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(fast.outputs[at].shape(), exact.outputs[at].shape());
    EXPECT_LE(distance(fast.outputs[at], to_doubles(exact.outputs[at])), 1e-5);
  }
}

Tensor floats(Shape shape, uint32_t seed) {
  return random_tensor(Dtype::f32, std::move(shape), seed);
}

TEST(Attention, Literals) {
  // One key: the value itself. Two equal keys: the mean.
  const Tensor q = Tensor::from({1.0F, 2.0F}, {1, 1, 1, 2});
  const Tensor k = Tensor::from({1.0F, 1.0F, 1.0F, 1.0F}, {1, 1, 2, 2});
  const Tensor v = Tensor::from({2.0F, 4.0F, 6.0F, 8.0F}, {1, 1, 2, 2});
  EXPECT_LE(distance(run_op("Attention", {q, k, v})[0], {4, 6}), 1e-6);
  const Tensor mask = Tensor::from({true, false}, {2});
  EXPECT_LE(distance(run_op("Attention", {q, k, v, mask})[0], {2, 4}), 1e-6);
  const Tensor none = Tensor::from({false, false}, {2});
  EXPECT_LE(distance(run_op("Attention", {q, k, v, none})[0], {0, 0}), 0);
}

TEST(Attention, MasksCausalityWindowsAndCaps) {
  const Tensor q = floats({2, 4, 9, 8}, 1);
  const Tensor k = floats({2, 2, 13, 8}, 2);
  const Tensor v = floats({2, 2, 13, 6}, 3);
  compare({q, k, v}, {});
  compare({q, k, v}, {{"is_causal", int64_t{1}}});
  compare({q, k, v}, {{"scale", 0.3F}, {"softcap", 2.0F}});
  compare({q, k, v}, {{"left_window_size", int64_t{2}}, {"right_window_size", int64_t{1}}});
  for (const Shape& shape : {Shape{13}, Shape{9, 13}, Shape{2, 1, 1, 13}, Shape{1, 4, 9, 13},
                             Shape{4, 1, 13}, Shape{9, 7}}) {
    compare({q, k, v, floats(shape, 4)}, {});
    compare({q, k, v, random_tensor(Dtype::boolean, shape, 5)}, {{"is_causal", int64_t{1}}});
  }
  EXPECT_THROW(run_op("Attention", {q, k, v, floats({3, 13}, 4)}), Error);
}

TEST(Attention, ThreeDimensionalInputsAreHeadsSideBySide) {
  const Tensor q = floats({2, 5, 12}, 1);
  const Tensor k = floats({2, 7, 6}, 2);
  const Tensor v = floats({2, 7, 10}, 3);
  const Attrs heads{{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}};
  compare({q, k, v}, heads);
  compare({q, k, v}, heads, 3);
  EXPECT_EQ(run_op("Attention", {q, k, v}, heads)[0].shape(), (Shape{2, 5, 20}));
}

TEST(Attention, PastAndPresent) {
  const Tensor q = floats({1, 2, 3, 4}, 1);
  const Tensor k = floats({1, 2, 3, 4}, 2);
  const Tensor v = floats({1, 2, 3, 5}, 3);
  const Tensor past_k = floats({1, 2, 6, 4}, 4);
  const Tensor past_v = floats({1, 2, 6, 5}, 5);
  compare({q, k, v, Tensor(), past_k, past_v}, {{"is_causal", int64_t{1}}}, 3);
  compare({q, k, v, floats({3, 9}, 6), past_k, past_v}, {}, 1);
  const auto y = run_op("Attention", {q, k, v, Tensor(), past_k, past_v}, {}, 3);
  EXPECT_EQ(y[1].shape(), (Shape{1, 2, 9, 4}));
  EXPECT_EQ(to_doubles(y[1])[24 + 0], to_doubles(k)[0]);
  EXPECT_THROW(run_op("Attention", {q, k, v, Tensor(), past_k}), Error);
}

TEST(Attention, LengthsOfACache) {
  const Tensor q = floats({2, 2, 3, 4}, 1);
  const Tensor k = floats({2, 2, 8, 4}, 2);
  const Tensor v = floats({2, 2, 8, 4}, 3);
  const Tensor lengths = Tensor::from<int64_t>({5, 2}, {2});
  compare({q, k, v, Tensor(), Tensor(), Tensor(), lengths}, {});
  compare({q, k, v, Tensor(), Tensor(), Tensor(), lengths}, {{"is_causal", int64_t{1}}});
}

TEST(Attention, ScoresAsAnOutput) {
  const Tensor q = floats({1, 1, 2, 4}, 1);
  const Tensor k = floats({1, 1, 3, 4}, 2);
  const auto y = run_op("Attention", {q, k, k}, {{"qk_matmul_output_mode", int64_t{3}}}, 4);
  const auto weights = to_doubles(y[3]);
  EXPECT_NEAR(weights[0] + weights[1] + weights[2], 1, 1e-6);
}

TEST(Attention, PaddingAndBatchDoNotChangeARow) {
  const Tensor q = floats({3, 11, 32}, 1);
  const Tensor k = floats({3, 11, 32}, 2);
  const Tensor v = floats({3, 11, 32}, 3);
  const Attrs heads{{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{4}}};
  std::vector<float> bias(33, 0.0F);
  for (std::size_t i = 11 + 6; i < 22; ++i) bias[i] = std::numeric_limits<float>::lowest();
  const Tensor mask = Tensor::from(bias, {3, 1, 1, 11});
  const Tensor all = run_op("Attention", {q, k, v, mask}, heads)[0];
  const auto item = [](const Tensor& t, int64_t b, int64_t rows) {
    return t.slice(b, b + 1).reshape({11, 32}).slice(0, rows).reshape({1, rows, 32});
  };
  for (const auto& [b, rows] : {std::pair<int64_t, int64_t>{0, 11}, {1, 6}, {2, 11}}) {
    const Tensor alone =
        run_op("Attention", {item(q, b, rows), item(k, b, rows), item(v, b, rows)}, heads)[0];
    EXPECT_TRUE(same_bits(alone, item(all, b, rows))) << b;
  }
}

TEST(Attention, HalfTypesThroughTheNaiveKernel) {
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16}) {
    const Tensor q = random_tensor(dtype, {1, 2, 3, 8}, 1);
    const OpRun run = run_op_with({}, "Attention", {q, q, q});
    const Tensor exact = run_op("Attention", {in_f64(q), in_f64(q), in_f64(q)})[0];
    EXPECT_LE(distance(run.outputs[0], to_doubles(exact)), 1e-2);
  }
}

TEST(Attention, StampsTheVersionThatANodeNeeds) {
  const auto lowest = [&](const Attrs& attributes) {
    ir::Model one;
    ir::Builder b(one.graph);
    ir::Value* in = one.graph.add_input("x", ir::Type::tensor(Dtype::f32, {1, 1, 2, 4}));
    b.op("Attention", {in, in, in}, attributes);
    return lowest_opset(one);
  };
  EXPECT_EQ(lowest({}), 23);
  EXPECT_EQ(lowest({{"left_window_size", int64_t{1}}}), 25);
}

}  // namespace
}  // namespace tercel::ops

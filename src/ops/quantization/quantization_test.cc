#include <cmath>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Attrs = std::vector<ir::Builder::Attr>;

int64_t code(Dtype dtype) { return static_cast<int64_t>(dtype); }

Tensor bytes(std::initializer_list<uint8_t> values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

TEST(Quantize, Literals) {
  const Tensor x = Tensor::from({0.0F, 1.0F, 3.0F, -5.0F, 1000.0F, NAN}, {6});
  const Tensor scale = Tensor::scalar(2.0F);
  // Half of one is rounded to even, then the zero point is added.
  EXPECT_EQ(to_doubles(run_op("QuantizeLinear", {x, scale, Tensor::scalar(uint8_t{3})})[0]),
            (std::vector<double>{3, 3, 5, 1, 255, 3}));
  EXPECT_EQ(run_op("QuantizeLinear", {x, scale})[0].dtype(), Dtype::u8);
  const Tensor back =
      run_op("DequantizeLinear", {bytes({3, 4, 255}), scale, Tensor::scalar(uint8_t{3})})[0];
  EXPECT_EQ(to_doubles(back), (std::vector<double>{0, 2, 504}));
}

TEST(Quantize, AxesAndBlocks) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {2, 3});
  const Tensor by_row = Tensor::from({1.0F, 0.5F}, {2});
  EXPECT_EQ(to_doubles(run_op("QuantizeLinear", {x, by_row}, {{"axis", int64_t{0}}})[0]),
            (std::vector<double>{1, 2, 3, 8, 10, 12}));
  const Tensor blocks = Tensor::from({1.0F, 0.5F, 0.25F, 1.0F}, {2, 2});
  const Attrs attributes{{"axis", int64_t{1}}, {"block_size", int64_t{2}}};
  EXPECT_EQ(to_doubles(run_op("QuantizeLinear", {x, blocks}, attributes)[0]),
            (std::vector<double>{1, 2, 6, 16, 20, 6}));
  EXPECT_THROW(run_op("QuantizeLinear", {x, by_row}, {{"axis", int64_t{1}}}), Error);
  EXPECT_THROW(run_op("QuantizeLinear", {x, by_row}, attributes), Error);
  EXPECT_THROW(run_op("QuantizeLinear", {x, by_row}, {{"axis", int64_t{2}}}), Error);
  EXPECT_THROW(run_op("QuantizeLinear", {x, blocks}, {{"block_size", int64_t{-1}}}), Error);
}

TEST(Quantize, EveryTypeGoesThereAndBack) {
  for (const Dtype dtype : {Dtype::u8, Dtype::i8, Dtype::u16, Dtype::i16, Dtype::u4, Dtype::i4,
                            Dtype::u2, Dtype::i2, Dtype::f8e4m3fn, Dtype::f8e5m2, Dtype::f4e2m1}) {
    // An odd number of elements of packed types; each value is held exactly.
    const Tensor x = Tensor::from({0.0F, 0.5F, 0.5F, 0.0F, 0.5F, 0.0F, 0.5F}, {7});
    for (const Dtype real : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
      const Tensor scale = from_doubles({0.5}, real, {});
      const Tensor quantized =
          run_op("QuantizeLinear", {from_doubles(to_doubles(x), real, {7}), scale},
                 {{"output_dtype", code(dtype)}})[0];
      EXPECT_EQ(quantized.dtype(), dtype);
      const Tensor back = run_op("DequantizeLinear", {quantized, scale})[0];
      EXPECT_EQ(back.dtype(), real);
      EXPECT_EQ(to_doubles(back), to_doubles(x)) << to_string(dtype) << " " << to_string(real);
    }
  }
}

// What is done to bytes a vector at a time is what is done one by one: a scale for each of one row.
TEST(Quantize, BytesByOneScaleAreThoseByMany) {
  Tensor x = random_tensor(Dtype::f32, {1, 20007}, 1);
  const std::vector<float> odd{INFINITY, -INFINITY, NAN, 1e30F, -1e30F, 0.5F, 1.5F, -2.5F, 127.5F};
  std::copy(odd.begin(), odd.end(), x.values<float>().begin());
  const Tensor scale = Tensor::scalar(0.01F);
  const Tensor scales = Tensor::from(std::vector<float>(20007, 0.01F), {20007});
  for (const Dtype dtype : {Dtype::u8, Dtype::i8}) {
    const Tensor zero = from_doubles({9}, dtype, {});
    const Tensor zeros = from_doubles(std::vector<double>(20007, 9), dtype, {20007});
    const auto one = run_op_with({}, "QuantizeLinear", {x, scale, zero});
    const auto many = run_op_with({}, "QuantizeLinear", {x, scales, zeros});
    EXPECT_EQ(one.implementation, "quantize_bytes");
    EXPECT_EQ(many.implementation, "quantize");
    EXPECT_TRUE(same_bits(one.outputs[0], many.outputs[0]));
    const auto back = run_op_with({}, "DequantizeLinear", {one.outputs[0], scale, zero});
    EXPECT_EQ(back.implementation, "dequantize_bytes");
    EXPECT_TRUE(
        same_bits(back.outputs[0], run_op("DequantizeLinear", {one.outputs[0], scales, zeros})[0]));
  }
}

TEST(Quantize, ChoosesItsScale) {
  const auto y = run_op("DynamicQuantizeLinear", {Tensor::from({0.0F, 2.0F, -3.0F}, {3})}, {}, 3);
  EXPECT_EQ(to_doubles(y[0]), (std::vector<double>{153, 255, 0}));
  EXPECT_NEAR(to_doubles(y[1])[0], 5.0 / 255, 1e-7);
  EXPECT_EQ(to_doubles(y[2]), std::vector<double>{153});
  const auto zeros = run_op("DynamicQuantizeLinear", {Tensor::from({0.0F}, {1})}, {}, 3);
  EXPECT_EQ(to_doubles(zeros[0]), std::vector<double>{0});
  EXPECT_EQ(run_op("DynamicQuantizeLinear", {Tensor(Dtype::f32, {0})}, {}, 3)[0].size(), 0);
}

TEST(Products, OfIntegersAgreeWithThoseOfNumbers) {
  const Tensor a = random_tensor(Dtype::u8, {3, 5, 7}, 1);
  const Tensor b = random_tensor(Dtype::i8, {7, 4}, 2);
  const Tensor zero_b = Tensor::from<int8_t>({1, -2, 0, 3}, {4});
  auto x = to_doubles(a);
  for (double& value : x) value -= 4;
  auto w = to_doubles(b);
  const auto shift = to_doubles(zero_b);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] -= shift[i % 4];
  const auto expected = to_doubles(run_op(
      "MatMul", {from_doubles(x, Dtype::f64, {3, 5, 7}), from_doubles(w, Dtype::f64, {7, 4})})[0]);
  EXPECT_EQ(to_doubles(run_op("MatMulInteger", {a, b, Tensor::scalar(uint8_t{4}), zero_b})[0]),
            expected);
  const auto linear =
      run_op("QLinearMatMul", {a, Tensor::scalar(0.5F), Tensor::scalar(uint8_t{4}), b,
                               Tensor::from({2.0F, 2.0F, 2.0F, 4.0F}, {4}), zero_b,
                               Tensor::scalar(3.0F), Tensor::scalar(int8_t{7})})[0];
  const auto got = to_doubles(linear);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double scale = i % 4 == 3 ? 2.0 / 3 : 1.0 / 3;
    EXPECT_NEAR(got[i], std::clamp(expected[i] * scale + 7, -128.0, 127.0), 0.51);
  }
  EXPECT_THROW(run_op("MatMulInteger",
                      {a, b, Tensor::scalar(uint8_t{4}), Tensor::from<int8_t>({1, 2}, {2})}),
               Error);
  EXPECT_THROW(run_op("MatMulInteger", {a, random_tensor(Dtype::i8, {6, 4}, 2)}), Error);
}

// Right factors that are constants are packed, on every instruction set.
TEST(Products, ByPackedFactorsAreThePlainOnes) {
  for (const CpuIsa isa : cpu_isas()) {
    for (const Dtype x : {Dtype::u8, Dtype::i8}) {
      for (const Dtype y : {Dtype::u8, Dtype::i8}) {
        const Tensor a = random_tensor(x, {3, 5, 70}, 1);
        const Tensor b = random_tensor(y, {70, 41}, 2);
        const Tensor zero_a = random_tensor(x, {15}, 3);
        const Tensor zero_b = random_tensor(y, {41}, 4);
        RunOptions options{.constant = {1, 3}, .isa = isa};
        const auto packed = run_op_with(options, "MatMulInteger", {a, b, zero_a, zero_b});
        EXPECT_EQ(packed.implementation, "gemm_int8");
        EXPECT_TRUE(
            same_bits(packed.outputs[0], run_op("MatMulInteger", {a, b, zero_a, zero_b})[0]));
        options.constant = {3, 4, 5, 6, 7};
        const std::vector<Tensor> inputs{
            a,      Tensor::scalar(0.5F), from_doubles({3}, x, {}), b, Tensor::scalar(0.25F),
            zero_b, Tensor::scalar(3.0F), from_doubles({7}, y, {})};
        const auto scaled = run_op_with(options, "QLinearMatMul", inputs);
        EXPECT_EQ(scaled.implementation, "gemm_int8");
        EXPECT_TRUE(same_bits(scaled.outputs[0], run_op("QLinearMatMul", inputs)[0]));
      }
    }
  }
}

TEST(Products, ConvolutionsOfIntegers) {
  const Tensor x = random_tensor(Dtype::u8, {2, 4, 6, 7}, 1);
  const Tensor w = random_tensor(Dtype::u8, {6, 2, 3, 2}, 2);
  const Attrs attributes{{"group", int64_t{2}}, {"pads", std::vector<int64_t>{1, 0, 1, 1}}};
  auto shifted = to_doubles(x);
  for (double& value : shifted) value -= 3;
  const auto expected = to_doubles(run_op("Conv",
                                          {from_doubles(shifted, Dtype::f64, x.shape()),
                                           from_doubles(to_doubles(w), Dtype::f64, w.shape())},
                                          attributes)[0]);
  const Tensor zero = Tensor::scalar(uint8_t{3});
  EXPECT_EQ(to_doubles(run_op("ConvInteger", {x, w, zero}, attributes)[0]), expected);
  const Tensor one = Tensor::scalar(1.0F);
  const Tensor none = Tensor::scalar(uint8_t{0});
  const Tensor bias = Tensor::from<int32_t>({1, 2, 3, 4, 5, 6}, {6});
  const auto linear = to_doubles(
      run_op("QLinearConv", {x, one, zero, w, one, none, one, none, bias}, attributes)[0]);
  for (std::size_t i = 0; i < linear.size(); ++i) {
    const double channel = static_cast<double>(i / 42 % 6 + 1);
    EXPECT_EQ(linear[i], std::clamp(expected[i] + channel, 0.0, 255.0));
  }
}

// Of one node of the domain tercel.
ir::Type infer_own(const std::string& op_type, const std::vector<std::pair<Dtype, Shape>>& inputs) {
  ir::Model model;
  model.opsets[""] = ir::kOpset;
  model.opsets["tercel"] = 1;
  ir::Builder b(model.graph);
  std::vector<ir::Value*> values;
  for (const auto& [dtype, shape] : inputs) {
    values.push_back(model.graph.add_input("i" + std::to_string(values.size()),
                                           ir::Type::tensor(dtype, ir::to_dims(shape))));
  }
  ir::Value* output = b.op(op_type, values, {}, "tercel");
  model.graph.add_output(output);
  infer_types(model);
  return output->type;
}

TEST(Products, RowsRoundedInBlocksNeedWholeBlocks) {
  const ir::Type type =
      infer_own("BlockQuantizedMatMul", {{Dtype::f32, {2, 3, 64}}, {Dtype::f32, {64, 5}}});
  EXPECT_EQ(type.shape(), (Shape{2, 3, 5}));
  EXPECT_THROW(infer_own("BlockQuantizedMatMul", {{Dtype::f32, {3, 48}}, {Dtype::f32, {48, 5}}}),
               Error);
  EXPECT_THROW(infer_own("BlockQuantizedMatMul", {{Dtype::f32, {3, 32}}, {Dtype::i4, {32, 5}}}),
               Error);
}

TEST(Products, RoundedConvolutionsRefuseWhatDoesNotFit) {
  const auto refused = [](Dtype weight, Shape w, Shape bias) {
    EXPECT_THROW(
        infer_own("DynamicQuantizedConv",
                  {{Dtype::f32, {1, 3, 5}}, {weight, std::move(w)}, {Dtype::f32, std::move(bias)}}),
        Error);
  };
  refused(Dtype::i8, {2, 3, 1}, {2});
  refused(Dtype::f32, {2, 3, 1}, {3});
  refused(Dtype::f32, {2, 3, 1}, {2, 1});
  refused(Dtype::f32, {2, 4, 1}, {2});
}

// Weights that are constants are packed, on every instruction set.
void check_packed_conv(int64_t channels, int64_t groups) {
  for (const CpuIsa isa : cpu_isas()) {
    for (const Dtype x : {Dtype::u8, Dtype::i8}) {
      for (const Dtype y : {Dtype::u8, Dtype::i8}) {
        const Tensor image = random_tensor(x, {2, channels, 9, 7}, 1);
        const Tensor w = random_tensor(y, {19, channels / groups, 3, 2}, 2);
        const Tensor zero_x = from_doubles({3}, x, {});
        const Tensor zero_w = random_tensor(y, {19}, 4);
        const Tensor scale_w = Tensor::from(std::vector<float>(19, 0.25F), {19});
        const Attrs attributes{{"pads", std::vector<int64_t>{1, 0, 2, 1}},
                               {"strides", std::vector<int64_t>{2, 1}},
                               {"dilations", std::vector<int64_t>{1, 2}},
                               {"group", groups}};
        RunOptions options{.constant = {1, 3}, .isa = isa};
        const std::vector<Tensor> integers{image, w, zero_x, zero_w};
        const auto packed = run_op_with(options, "ConvInteger", integers, attributes);
        EXPECT_EQ(packed.implementation, "conv_int8");
        EXPECT_TRUE(same_bits(packed.outputs[0], run_op("ConvInteger", integers, attributes)[0]));
        options.constant = {3, 5};
        std::vector<Tensor> inputs{image,
                                   Tensor::scalar(0.5F),
                                   zero_x,
                                   w,
                                   scale_w,
                                   zero_w,
                                   Tensor::scalar(3.0F),
                                   from_doubles({7}, y, {})};
        for (const bool biased : {false, true}) {
          if (biased) inputs.push_back(random_tensor(Dtype::i32, {19}, 5));
          const auto scaled = run_op_with(options, "QLinearConv", inputs, attributes);
          EXPECT_EQ(scaled.implementation, "conv_int8");
          EXPECT_TRUE(same_bits(scaled.outputs[0], run_op("QLinearConv", inputs, attributes)[0]));
        }
      }
    }
  }
}

TEST(Products, ConvolutionsByPackedWeightsAreThePlainOnes) {
  check_packed_conv(5, 1);
  check_packed_conv(19, 19);
  const Tensor grouped = random_tensor(Dtype::i8, {4, 1, 3}, 2);
  EXPECT_EQ(run_op_with({.constant = {1}}, "ConvInteger",
                        {random_tensor(Dtype::u8, {1, 2, 8}, 1), grouped}, {{"group", int64_t{2}}})
                .implementation,
            "conv_integer");
}

}  // namespace
}  // namespace tercel::ops

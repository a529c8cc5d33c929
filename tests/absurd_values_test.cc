// Attributes and small integer inputs with values that no exporter writes: each operator gives an
// answer or an Error, within the limits, whether the value is a constant of the file or an input of
// the run.

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "tercel/session.h"
#include "tests/hostile.h"

namespace tercel {
namespace {

constexpr const char* kValues[] = {"0",
                                   "-1",
                                   "3",
                                   "-3",
                                   "64",
                                   "2147483648",
                                   "-2147483649",
                                   "1099511627776",
                                   "4611686018427387904",
                                   "9223372036854775807",
                                   "-9223372036854775808"};

// "@" stands for the value.
constexpr const char* kAttributes[] = {
    "Softmax <axis = @> (x)",
    "LogSoftmax <axis = @> (x)",
    "Hardmax <axis = @> (x)",
    "Concat <axis = @> (x, x)",
    "Flatten <axis = @> (x)",
    "Gather <axis = @> (x, i)",
    "GatherElements <axis = @> (x, j)",
    "GatherND <batch_dims = @> (x, j)",
    "ArgMax <axis = @> (x)",
    "ArgMin <axis = @, keepdims = 0> (x)",
    "Compress <axis = @> (x, b)",
    "OneHot <axis = @> (i, d, v)",
    "TopK <axis = @> (x, one)",
    "Split <axis = @, num_outputs = 2> (x)",
    "Split <axis = 0, num_outputs = @> (x)",
    "Transpose <perm = [@, 1, 0]> (x)",
    "Shape <start = @> (x)",
    "Shape <end = @> (x)",
    "Cast <to = @> (x)",
    "EyeLike <k = @> (m)",
    "EyeLike <dtype = @> (m)",
    "Trilu <upper = @> (m, one)",
    "DepthToSpace <blocksize = @> (t)",
    "SpaceToDepth <blocksize = @> (t)",
    "LpNormalization <axis = @> (x)",
    "LpNormalization <p = @> (x)",
    "LayerNormalization <axis = @> (x, s)",
    "LayerNormalization <stash_type = @> (x, s)",
    "RMSNormalization <axis = @> (x, s)",
    "GroupNormalization <num_groups = @> (t, c, c)",
    "ScatterElements <axis = @> (x, j, x)",
    "Attention <q_num_heads = @, kv_num_heads = @> (x, x, x)",
    "Attention <q_num_heads = 2, kv_num_heads = @> (x, x, x)",
    "Attention <is_causal = 1, left_window_size = @> (t, t, t)",
    "Attention <softmax_precision = @> (t, t, t)",
    "Attention <qk_matmul_output_mode = @> (t, t, t)",
    "RotaryEmbedding <num_heads = @> (x, m, m)",
    "RotaryEmbedding <rotary_embedding_dim = @, num_heads = 2> (x, m, m)",
    "BitShift <direction = \"LEFT\"> (u, u)",
    "Mod <fmod = @> (x, x)",
    "ReduceSum <keepdims = @> (x)",
    "ConstantOfShape <value = int64[1] {@}> (one)",
    "Range <stash_type = @> (one, one, one)",
    "Squeeze (x, q)",
    "Dropout <seed = @> (x)",
    "MaxPool <kernel_shape = [@, 2]> (t)",
    "MaxPool <kernel_shape = [2, 2], strides = [@, 1]> (t)",
    "MaxPool <kernel_shape = [2, 2], dilations = [@, 1]> (t)",
    "MaxPool <kernel_shape = [2, 2], pads = [@, 0, @, 0]> (t)",
    "MaxPool <kernel_shape = [2, 2], storage_order = @> (t)",
    "AveragePool <kernel_shape = [@, @]> (t)",
    "AveragePool <kernel_shape = [2, 2], pads = [0, @, 0, 0], count_include_pad = 1> (t)",
    "LpPool <kernel_shape = [2, 2], p = @> (t)",
    "Conv <group = @> (t, w)",
    "Conv <dilations = [@, 1]> (t, w)",
    "Conv <strides = [1, @]> (t, w)",
    "Conv <pads = [@, 0, 0, @]> (t, w)",
    "Conv <kernel_shape = [@, 1]> (t, w)",
    "ConvTranspose <group = @> (t, w)",
    "ConvTranspose <strides = [@, 1]> (t, w)",
    "ConvTranspose <dilations = [@, 1]> (t, w)",
    "ConvTranspose <output_padding = [@, 0]> (t, w)",
    "ConvTranspose <output_shape = [@, 2]> (t, w)",
    "ConvTranspose <pads = [@, 0, 0, 0]> (t, w)",
    "LRN <size = @> (t)",
    "LSTM <hidden_size = @> (x, r, r)",
    "GRU <hidden_size = @> (x, r, r)",
    "RNN <hidden_size = @> (x, r, r)",
    "LSTM <layout = @> (x, r, r)",
    "DFT <inverse = @> (x)",
    "STFT <onesided = @> (x, one)",
    "HannWindow <output_datatype = @> (one)",
    "HannWindow <periodic = @> (one)",
    "DequantizeLinear <axis = @> (u, c)",
    "DequantizeLinear <block_size = @> (u, c)",
    "QuantizeLinear <axis = @> (x, c)",
    "QuantizeLinear <output_dtype = @> (x, c)",
    "Upsample <mode = \"nearest\"> (t, c)",
    "Unique <axis = @> (x)",
    "ReverseSequence <batch_axis = @> (x, i)",
    "ReverseSequence <time_axis = @> (x, i)",
    "Einsum <equation = \"ijk,ijk->\"> (x, x)",
    "RandomNormal <shape = [@, 2]> ()",
    "RandomUniform <shape = [@], dtype = @> ()",
    "NonMaxSuppression <center_point_box = @> (x, x)",
    "SplitToSequence <axis = @> (x)",
};

// "n" is a vector of one such value, "k" the value itself.
constexpr const char* kInputs[] = {
    "Reshape (x, n)",
    "Expand (x, n)",
    "Tile (m, n2)",
    "Tile (e, n)",
    "ConstantOfShape (n)",
    "ConstantOfShape (n2)",
    "Squeeze (x, n)",
    "Unsqueeze (x, n)",
    "Unsqueeze (x, n2)",
    "Slice (x, n, n)",
    "Slice (x, zero, n)",
    "Slice (x, n, zero)",
    "Slice (x, zero, n, zero, n)",
    "Slice (x, n, n, zero, n)",
    "Slice (x, zero, one, n)",
    "Gather (x, n)",
    "GatherElements (e, n)",
    "GatherND (x, n)",
    "ScatterElements (e, n, s1)",
    "ScatterND (x, n, x)",
    "Pad (e, n2)",
    "Pad <mode = \"reflect\"> (e, n2)",
    "Pad <mode = \"wrap\"> (e, n2)",
    "Pad <mode = \"edge\"> (e, n2)",
    "Pad (x, n2, , n)",
    "Range (k, one0, one0)",
    "Range (one0, k, one0)",
    "Range (zero0, one0, k)",
    "Range (k, k2, one0)",
    "OneHot (i, k, v)",
    "OneHot (n, d, v)",
    "TopK (x, n)",
    "Trilu (m, k)",
    "CumSum (x, k)",
    "CumSum (x, n2)",
    "Trilu (m, n2)",
    "ReduceSum (x, n)",
    "ReduceMax (x, n2)",
    "Split (x, n2)",
    "Split (x, n)",
    "Compress (n, b)",
    "Resize (t, , , n4)",
    "Upsample (t, c)",
    "CenterCropPad (x, n)",
    "HannWindow (k)",
    "MelWeightMatrix (k, k, k, f0, f0)",
    "DFT (x, k)",
    "DFT (x, , k)",
    "STFT (x, k)",
    "STFT (x, one0, , k)",
    "ReverseSequence (x, n)",
    "MaxUnpool <kernel_shape = [2, 2]> (t, j, n4)",
    "Col2Im (x, n, n)",
    "SplitToSequence (x, n)",
    "SequenceAt (q, k)",
    "NonMaxSuppression (x, x, n)",
    "BitShift <direction = \"RIGHT\"> (n, n)",
    "Mod (one, n)",
    "Div (n, n2)",
    "Pow (n, n)",
    "LSTM (x, r, r, , n)",
    "ArgMax (n)",
    "Clip (n, k, k)",
    "Loop <body = l (int64 a, bool b) => (bool c, int64 d) {c = Not (b) d = Neg (a)}> (k, yes)",
};

class AbsurdValues : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("tercel-absurd-" + std::to_string(::getpid()) + ".onnx");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static std::string replaced(std::string text, const std::string& value) {
    for (std::size_t at = text.find('@'); at != std::string::npos; at = text.find('@', at))
      text.replace(at, 1, value);
    return text;
  }

  // `numbers` are inputs of the run, or constants.
  void try_node(const std::string& node, const std::string& value, bool constant) {
    SCOPED_TRACE(node + " with " + value);
    const std::string numbers =
        constant ? replaced(
                       "int64 k = {@}, int64 k2 = {@}, int64[1] n = {@}, int64[2] n2 = {@, @}, "
                       "int64[4] n4 = {1, 1, @, @}, ",
                       value)
                 : "";
    const std::string inputs =
        constant ? "" : "int64 k, int64 k2, int64[1] n, int64[2] n2, int64[4] n4, ";
    const std::string text =
        "<ir_version: 10, opset_import: [\"\" : 21]> g (" + inputs +
        "float[2,4,6] x, float[6,6] m, float[1,4,4,4] t) => (y) <" + numbers +
        "float[1] e = {1}, float[1] s1 = {1}, float[6] s = {1, 1, 1, 1, 1, 1}, float[4] c = {1, 1, "
        "1, 1}, float[4,4,1,1] w = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "
        "float[1,4,6] r = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}, "
        "int64[2] i = {0, 1}, int64[1,1,1] j = {0}, bool[2] b = {1, 0}, int64 d = {3}, "
        "float[2] v = {0, 1}, int64[1] one = {1}, int64[1] zero = {0}, int64 one0 = {1}, "
        "int64 zero0 = {0}, float f0 = {1}, uint8[4] u = {1, 2, 3, 4}, int64[1] q = {0}, "
        "bool yes = {1}> { y = " +
        node + " }";
    ir::write_onnx(*ir::parse_text(text), path_);
    const int64_t number = std::stoll(value);
    NamedTensors tensors{
        {"x", filled({2, 4, 6})}, {"m", filled({6, 6})}, {"t", filled({1, 4, 4, 4})}};
    if (!constant) {
      tensors.insert({{"k", Tensor::scalar(number)},
                      {"k2", Tensor::scalar(number)},
                      {"n", Tensor::from<int64_t>({number}, {1})},
                      {"n2", Tensor::from<int64_t>({number, number}, {2})},
                      {"n4", Tensor::from<int64_t>({1, 1, number, number}, {4})}});
    }
    for (const bool optimize : {true, false}) {
      watch_.file([&] {
        try {
          const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
          Session::load(path_,
                        {.threads = 1, .memory_limit = std::size_t{64} << 20, .optimize = optimize})
              .run(tensors, {}, {.deadline = deadline});
        } catch (const Error& error) {
          EXPECT_NE(error.code(), Errc::internal) << error.what();
          EXPECT_STRNE(error.what(), "");
        } catch (const std::exception& error) {
          ADD_FAILURE() << "not a tercel::Error: " << error.what();
        }
      });
    }
  }

  static Tensor filled(const Shape& shape) {
    Tensor tensor(Dtype::f32, shape);
    std::fill_n(tensor.values<float>().begin(), tensor.size(), 0.5F);
    return tensor;
  }

  std::filesystem::path path_;
  hostile::Watch watch_;
};

TEST_F(AbsurdValues, Attributes) {
  for (const char* node : kAttributes) {
    for (const char* value : kValues) try_node(replaced(node, value), value, true);
  }
}

TEST_F(AbsurdValues, Constants) {
  for (const char* node : kInputs) {
    for (const char* value : kValues) try_node(node, value, true);
  }
}

TEST_F(AbsurdValues, Inputs) {
  for (const char* node : kInputs) {
    for (const char* value : kValues) try_node(node, value, false);
  }
}

}  // namespace
}  // namespace tercel

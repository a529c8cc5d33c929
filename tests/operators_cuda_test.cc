// Operators on cuda:0 against the CPU, from one table, for every type that f32 may be kept as.

#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "src/device/cuda_library.h"
#include "src/ir/text.h"
#include "src/runtime/executor.h"
#include "tests/host_device.h"
#include "tests/random_weights.h"

namespace tercel::runtime {
namespace {

// Numbers are between -1 and 1, integers 0 or 1, unless the graph scales them. Capitals are
// weights.
struct Row {
  const char* name;
  const char* graph;
  bool f32_alone = false;  // what rounding of the inputs would turn into something else
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr Row kRows[] = {
    {"Add", "(float[3,1,33] x, float[4,33] y) => (float[3,4,33] z) { z = Add(x, y) }"},
    {"Sub", "(float[3,33] x, float[1] y) => (float[3,33] z) { z = Sub(x, y) }"},
    {"Mul", "(float[3,33] x, float[3,1] y) => (float[3,33] z) { z = Mul(x, y) }"},
    {"Div", "(float[70] x) => (float[70] z) <float[1] c = {3}> { z = Div(x, c) }"},
    {"Pow", "(float[70] x) => (float[70] z) <float[1] c = {2}> { z = Pow(x, c) }"},
    {"Max", "(float[70] x, float[70] y) => (float[70] z) { z = Max(x, y) }"},
    {"Sqrt", "(float[70] x) => (float[70] z) { a = Abs(x) z = Sqrt(a) }"},
    {"Erf", "(float[70] x) => (float[70] z) { z = Erf(x) }"},
    {"Exp", "(float[70] x) => (float[70] z) { z = Exp(x) }"},
    {"Tanh", "(float[70] x) => (float[70] z) { z = Tanh(x) }"},
    {"Sigmoid", "(float[70] x) => (float[70] z) { z = Sigmoid(x) }"},
    {"Relu", "(float[70] x) => (float[70] z) { z = Relu(x) }"},
    {"Gelu", "(float[5,70] x) => (float[5,70] z) { z = Gelu(x) }"},
    {"GeluTanh", R"((float[70] x) => (float[70] z) { z = Gelu<approximate = "tanh">(x) })"},
    {"Clip",
     "(float[70] x) => (float[70] z) <float l = {-0.5}, float h = {0.25}>"
     "{ z = Clip(x, l, h) }"},
    {"Where",
     "(bool[3,1] c, float[3,33] x, float[33] y) => (float[3,33] z) { z = Where(c, x, y) }"},
    {"Equal", "(int64[70] x, int64[70] y) => (bool[70] z) { z = Equal(x, y) }"},
    {"Less", "(float[70] x, float[70] y) => (bool[70] z) { z = Less(x, y) }", true},
    {"CastToInteger",
     "(float[70] x) => (int64[70] z) <float[1] c = {100}>"
     "{ a = Mul(x, c) z = Cast<to = 7>(a) }",
     true},
    {"CastFromInteger", "(int64[70] x) => (float[70] z) { z = Cast<to = 1>(x) }"},
    {"Softmax", "(float[5,128] x) => (float[5,128] z) { z = Softmax(x) }"},
    {"SoftmaxAxis", "(float[5,9,7] x) => (float[5,9,7] z) { z = Softmax<axis = 1>(x) }"},
    {"LayerNormalization",
     "(float[5,64] x, float[64] s, float[64] b) => (float[5,64] z)"
     "{ z = LayerNormalization(x, s, b) }"},
    {"RMSNormalization",
     "(float[5,33] x, float[33] s) => (float[5,33] z) { z = RMSNormalization(x, s) }"},
    {"MatMul", "(float[2,9,24] x, float[2,24,17] y) => (float[2,9,17] z) { z = MatMul(x, y) }"},
    {"MatMulBroadcast",
     "(float[3,9,24] x, float[24,16] y) => (float[3,9,16] z)"
     "{ z = MatMul(x, y) }"},
    {"MatMulVector", "(float[9,24] x, float[24] y) => (float[9] z) { z = MatMul(x, y) }"},
    {"ReduceMean", "(float[5,70] x) => (float[5,1] z) <int64[1] a = {1}> { z = ReduceMean(x, a) }"},
    {"ReduceSumMiddle",
     "(float[3,40,50] x) => (float[3,50] z) <int64[1] a = {1}>"
     "{ z = ReduceSum<keepdims = 0>(x, a) }"},
    {"ReduceMax", "(float[5,70] x) => (float[5,1] z) <int64[1] a = {1}> { z = ReduceMax(x, a) }"},
    {"ReduceL2", "(float[5,70] x) => (float[5,1] z) <int64[1] a = {1}> { z = ReduceL2(x, a) }"},
    {"ArgMax", "(float[5,70] x) => (int64[5,1] z) { z = ArgMax<axis = 1>(x) }", true},
    {"Gather", "(float[7,9] x, int64[4,2] i) => (float[4,2,9] z) { z = Gather(x, i) }"},
    {"GatherAxis", "(float[7,9] x, int64[5] i) => (float[7,5] z) { z = Gather<axis = 1>(x, i) }"},
    {"GatherElements",
     "(float[4,9] x, int64[4,3] i) => (float[4,3] z)"
     "{ z = GatherElements<axis = 1>(x, i) }"},
    {"Transpose",
     "(float[3,5,7,4] x) => (float[3,7,5,4] z)"
     "{ z = Transpose<perm = [0,2,1,3]>(x) }"},
    {"Slice",
     "(float[9,33] x) => (float[4,33] z) <int64[1] s = {1}, int64[1] e = {9},"
     " int64[1] a = {0}, int64[1] t = {2}> { z = Slice(x, s, e, a, t) }"},
    {"Split",
     "(float[6,33] x) => (float[2,33] y, float[4,33] z) <int64[2] s = {2,4}>"
     "{ y, z = Split(x, s) }"},
    {"Concat", "(float[3,5] x, float[3,7] y) => (float[3,12] z) { z = Concat<axis = 1>(x, y) }"},
    {"Expand", "(float[3,1] x) => (float[2,3,5] z) <int64[3] s = {2,3,5}> { z = Expand(x, s) }"},
    {"Tile", "(float[3,5] x) => (float[6,5] z) <int64[2] s = {2,1}> { z = Tile(x, s) }"},
    {"Pad", "(float[3,5] x) => (float[4,8] z) <int64[4] p = {1,0,0,3}> { z = Pad(x, p) }"},
    {"CumSum", "(float[3,50] x) => (float[3,50] z) <int64 a = {1}> { z = CumSum(x, a) }"},
    {"Trilu", "(float[9,9] x) => (float[9,9] z) { z = Trilu<upper = 0>(x) }"},
    {"Attention",
     "(float[2,9,24] q, float[2,13,24] k, float[2,13,24] v, float[2,1,9,13] m)"
     " => (float[2,9,24] z)"
     "{ z = Attention<q_num_heads = 3, kv_num_heads = 3>(q, k, v, m) }"},
    {"AttentionBool",
     "(float[2,70,24] q, float[2,70,24] k, float[2,70,24] v, bool[2,1,1,70] m)"
     " => (float[2,70,24] z)"
     "{ z = Attention<q_num_heads = 3, kv_num_heads = 3>(q, k, v, m) }"},
    {"Conv",
     "(float[2,8,13,11] x, float[24,8,3,3] W, float[24] B) => (float[2,24,7,6] z)"
     "{ z = Conv<pads = [1,1,1,1], strides = [2,2]>(x, W, B) }"},
    {"ConvOddChannels",
     "(float[2,3,13,11] x, float[5,3,3,3] W) => (float[2,5,11,9] z)"
     "{ z = Conv(x, W) }"},
    {"ConvOneSided",
     "(float[1,8,14,14] x, float[8,8,3,3] W) => (float[1,8,7,7] z)"
     "{ z = Conv<pads = [0,0,1,1], strides = [2,2]>(x, W) }"},
    {"ConvGroups",
     "(float[1,16,9,9] x, float[32,8,3,3] W) => (float[1,32,5,5] z)"
     "{ z = Conv<group = 2, dilations = [2,2]>(x, W) }"},
    {"ConvDepthwise",
     "(float[2,24,9,10] x, float[24,1,3,3] W, float[24] B) => (float[2,24,9,10] z)"
     "{ z = Conv<group = 24, pads = [1,1,1,1]>(x, W, B) }"},
    {"ConvOne",
     "(float[2,16,9,10] x, float[24,16,1,1] W, float[24] B) => (float[2,24,9,10] z)"
     "{ y = Conv(x, W, B) z = Relu(y) }"},
    {"ConvBlock",
     "(float[2,8,9,10] x, float[8,8,3,3] U, float[8] A, float[8,8,3,3] V, float[8] B) => "
     "(float[2,8,9,10] z)"
     "{ p = Conv<pads = [1,1,1,1]>(x, U, A) q = Relu(p) r = Conv<pads = [1,1,1,1]>(q, V, B) "
     "s = Add(r, x) z = Relu(s) }"},
    {"Conv1d",
     "(float[2,8,30] x, float[6,8,3] W, float[6] B) => (float[2,6,28] z)"
     "{ z = Conv(x, W, B) }"},
    {"Conv3d",
     "(float[1,8,5,6,7] x, float[8,8,3,3,3] W) => (float[1,8,3,4,5] z)"
     "{ z = Conv(x, W) }"},
    {"ConvTranspose",
     "(float[2,8,5,6] x, float[8,16,2,2] W, float[16] B) => (float[2,16,10,12] z)"
     "{ z = ConvTranspose<strides = [2,2]>(x, W, B) }"},
    {"ConvTransposePadded",
     "(float[1,8,5,6] x, float[8,5,3,3] W) => (float[1,5,10,12] z)"
     "{ z = ConvTranspose<strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]>(x, W) }"},
    {"MaxPool",
     "(float[2,5,13,11] x) => (float[2,5,7,6] z)"
     "{ z = MaxPool<kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]>(x) }"},
    {"AveragePool",
     "(float[2,5,13,11] x) => (float[2,5,7,6] z)"
     "{ z = AveragePool<kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]>(x) }"},
    {"AveragePoolCeil",
     "(float[1,8,8,7] x) => (float[1,8,4,4] z)"
     "{ z = AveragePool<kernel_shape = [3,3], strides = [2,2], ceil_mode = 1, pads = "
     "[0,1,0,1], count_include_pad = 1>(x) }"},
    {"GlobalAveragePool",
     "(float[2,24,9,10] x) => (float[2,24,1,1] z)"
     "{ z = GlobalAveragePool(x) }"},
    {"GlobalMaxPool",
     "(float[2,5,9,10] x) => (float[2,5,1,1] z)"
     "{ z = GlobalMaxPool(x) }"},
    {"PoolsBetweenConvolutions",
     "(float[2,8,12,12] x, float[16,8,3,3] U, float[8,16,1,1] V) => (float[2,8] z)"
     "{ p = Conv<pads = [1,1,1,1]>(x, U) q = MaxPool<kernel_shape = [2,2], strides = "
     "[2,2]>(p) r = Conv(q, V) s = GlobalAveragePool(r) z = Flatten(s) }"},
    {"ConcatBetweenConvolutions",
     "(float[2,8,9,9] x, float[8,8,3,3] U, float[16,8,1,1] V, float[5,24,3,3] W)"
     " => (float[2,5,7,7] z)"
     "{ p = Conv<pads = [1,1,1,1]>(x, U) q = Conv(p, V) r = Concat<axis = 1>(p, q)"
     "  z = Conv(r, W) }"},
    {"BatchNormalization",
     "(float[2,8,5,7] x, float[8,8,1,1] W, float[8] S, float[8] B, float[8] M)"
     " => (float[2,8,5,7] z) <float[8] v = {1,2,3,4,5,6,7,8}>"
     "{ p = BatchNormalization(x, S, B, M, v) q = Relu(p) r = Conv(q, W) s = Abs(r)"
     "  t = BatchNormalization(s, S, B, M, v) z = Conv(t, W) }"},
    {"ResizeNearest",
     "(float[1,5,6,7] x) => (float[1,5,12,14] z) <float[4] s = {1,1,2,2}>"
     R"({ z = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric",)"
     R"(             nearest_mode = "floor">(x, , s) })"},
    {"ResizeLinear",
     "(float[1,5,6,7] x) => (float[1,5,9,20] z) <int64[4] s = {1,5,9,20}>"
     R"({ z = Resize<mode = "linear">(x, , , s) })"},
    {"ResizeCorners",
     "(float[1,5,6,7] x) => (float[1,5,4,20] z) <int64[4] s = {1,5,4,20}>"
     R"({ z = Resize<mode = "linear", coordinate_transformation_mode = "align_corners">)"
     "(x, , , s) }"},
    {"ResizeBetweenConvolutions",
     "(float[1,8,6,7] x, float[8,8,1,1] V, float[5,8,3,3] W) => (float[1,5,10,12] z)"
     "<float[4] s = {1,1,2,2}>"
     R"({ p = Conv(x, V) q = Resize<mode = "linear">(p, , s) z = Conv(q, W) })"},
};

class OperatorsCuda : public testing::TestWithParam<Row> {
 protected:
  Tensor random(const ir::Value& value) {
    Shape shape;
    for (const ir::Dim& dim : *value.type.dims) shape.push_back(dim.value());
    Tensor tensor(value.type.dtype, shape);
    std::uniform_real_distribution<float> uniform(-1, 1);
    if (tensor.dtype() == Dtype::f32)
      for (float& element : tensor.values<float>()) element = uniform(random_);
    else if (tensor.dtype() == Dtype::i64)
      for (int64_t& element : tensor.values<int64_t>()) element = random_() % 2;
    else
      for (bool& element : tensor.values<bool>()) element = random_() % 2 != 0;
    return tensor;
  }

  std::unique_ptr<ir::Model> model() const {
    auto model = ir::parse_text(std::string("g ") + GetParam().graph);
    make_weights(model->graph, seed_);
    return model;
  }

  Program program(Accelerator* accelerator) {
    return {model(), {.isa = best_cpu_isa(), .accelerator = accelerator}, pool_, *memory_};
  }

  std::vector<Tensor> run(const std::vector<Tensor>& inputs, Accelerator* accelerator) {
    const Program program = this->program(accelerator);
    Executor executor(program, pool_, memory_);
    std::vector<Tensor> outputs(program.outputs().size());
    for (int i = 0; i < (accelerator != nullptr ? 4 : 1); ++i) {  // the last is a replay
      for (Tensor& output : outputs) output = Tensor();
      executor.run(inputs, outputs, std::vector<bool>(outputs.size(), true), {});
    }
    return outputs;
  }

  std::mt19937 random_{std::random_device{}()};
  unsigned seed_ = static_cast<unsigned>(random_());
  ThreadPool pool_{1};
  std::shared_ptr<Allocator> memory_ = make_cpu_allocator();
};

// The greatest difference over the greatest element; of integers, whether they are equal.
double distance(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return INFINITY;
  if (a.dtype() != Dtype::f32)
    return std::memcmp(a.data(), b.data(), a.bytes()) == 0 ? 0.0 : INFINITY;
  double most = 0, size = 1e-6;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.size()); ++i) {
    const double x = a.values<float>()[i], y = b.values<float>()[i];
    if (std::isnan(x) != std::isnan(y)) return INFINITY;
    if (std::isnan(x)) continue;
    most = std::max(most, std::fabs(x - y));
    size = std::max(size, std::fabs(y));
  }
  return most / size;
}

TEST_P(OperatorsCuda, HaveKernels) {
  if (cuda_devices().api == nullptr) GTEST_SKIP() << cuda_devices().missing;
  Accelerator accelerator(host_device(), *cuda_devices().api, Dtype::f32);
  const Program made = program(&accelerator);
  for (const Step& step : made.steps())
    EXPECT_TRUE(step.is_queued() || step.is_view()) << made.explain();
}

TEST_P(OperatorsCuda, GiveWhatTheCpuGives) {
  if (cuda_devices().devices.empty()) GTEST_SKIP() << cuda_devices().missing;
  const auto model = this->model();
  std::vector<Tensor> inputs;
  for (const ir::Value* input : model->graph.inputs()) inputs.push_back(random(*input));
  const auto expected = run(inputs, nullptr);
  for (const auto& [dtype, tolerance] :
       {std::pair{Dtype::f32, 1e-5}, {Dtype::f16, 4e-3}, {Dtype::bf16, 3e-2}}) {
    if (GetParam().f32_alone && dtype != Dtype::f32) continue;
    Accelerator accelerator("cuda:0", 0, dtype);
    const auto outputs = run(inputs, &accelerator);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      EXPECT_LE(distance(outputs[i], expected[i]), tolerance)
          << to_string(dtype) << " output " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(, OperatorsCuda, testing::ValuesIn(kRows),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tercel::runtime

// Which steps a program for a CUDA device has. Nothing runs, so no GPU is needed: the device is
// made of the host's memory, and the kernels are those of libtercel_cuda.so.

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/runtime/plan.h"
#include "src/session/compile_model.h"
#include "tests/host_device.h"
#include "tests/random_weights.h"
#include "tests/source_folder.h"

namespace tercel::runtime {
namespace {

class DevicePlan : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_devices().api == nullptr) GTEST_SKIP() << cuda_devices().missing;
    accelerator_ = std::make_unique<Accelerator>(host_device(), *cuda_devices().api, Dtype::f32);
  }

  // "MatMul Add: gemm_weight" for each step on the device, "host MatMul Add: …" for others.
  std::vector<std::string> steps(std::unique_ptr<ir::Model> model) {
    const Program program(std::move(model),
                          {.isa = best_cpu_isa(), .accelerator = accelerator_.get()}, pool_,
                          *memory_);
    explained_ = program.explain();
    std::vector<std::string> found;
    for (const Step& step : program.steps()) {
      if (step.is_view()) continue;
      std::string text = step.is_queued() ? "" : "host ";
      if (step.transfer == Transfer::none) {
        for (const ir::Node* node : step.nodes) text += node->op_type() + " ";
        text.back() = ':';
        text += ' ';
      }
      found.push_back(text + step.implementation);
    }
    return found;
  }
  std::vector<std::string> steps_of_text(const std::string& graph) {
    auto model = ir::parse_text("g " + graph);
    make_weights(model->graph, 1);
    return steps(std::move(model));
  }
  std::vector<std::string> steps_of_checkpoint(const std::string& name) {
    const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints" / name;
    auto model = read_model(path, "");
    prepare_model(*model, {best_cpu_isa(), pool_, *memory_}, true);
    return steps(std::move(model));
  }

  ThreadPool pool_{1};
  std::shared_ptr<Allocator> memory_ = make_cpu_allocator();
  std::unique_ptr<Accelerator> accelerator_;
  std::string explained_;
};

using Steps = std::vector<std::string>;

TEST_F(DevicePlan, ProductsOfOneSizeAreOne) {
  const std::string weights =
      "<float[2,3] a = {1,2,3,4,5,6}, float[2,3] b = {1,2,3,4,5,6}, float[3] c = {1,2,3}>";
  EXPECT_EQ(steps_of_text("(float[B,2] x) => (float[B,3] p, float[B,3] q)" + weights +
                          "{ pp = MatMul(x, a) p = Add(pp, c) q = MatMul(x, b) }"),
            (Steps{"to_device", "MatMul Add MatMul: gemm_weight", "to_host", "to_host"}))
      << explained_;
}

TEST_F(DevicePlan, ProductsOfDifferentSizesStayApart) {
  EXPECT_EQ(
      steps_of_text("(float[B,2] x) => (float[B,3] p, float[B,1] q)"
                    "<float[2,3] a = {1,2,3,4,5,6}, float[2,1] b = {1,2}>"
                    "{ p = MatMul(x, a) q = MatMul(x, b) }"),
      (Steps{"to_device", "MatMul: gemm_weight", "MatMul: gemm_weight", "to_host", "to_host"}))
      << explained_;
}

TEST_F(DevicePlan, AProductIsNormalisedWhereNoActivationComesBetween) {
  const std::string constants =
      "<float[2,2] a = {1,2,3,4}, float[2] s = {1,2}, float[2] t = {1,2}>";
  EXPECT_EQ(
      steps_of_text("(float[B,2] x, float[B,2] r) => (float[B,2] y)" + constants +
                    "{ p = MatMul(x, a) u = Add(p, r) y = LayerNormalization(u, s, t) }"),
      (Steps{"to_device", "to_device", "MatMul Add LayerNormalization: gemm_weight", "to_host"}))
      << explained_;
  EXPECT_EQ(steps_of_text("(float[B,2] x) => (float[B,2] y)" + constants +
                          "{ p = MatMul(x, a) u = Relu(p) y = LayerNormalization(u, s, t) }"),
            (Steps{"to_device", "MatMul Relu: gemm_weight", "LayerNormalization: norm", "to_host"}))
      << explained_;
}

TEST_F(DevicePlan, WhatIsLookedUpIsNormalisedAtOnce) {
  const std::string tables =
      "<float[3,2] w = {1,2,3,4,5,6}, float[2,2] p = {1,2,3,4}, float[2] s = {1,2}>";
  EXPECT_EQ(steps_of_text("(int64[B,S] i, int64[1,S] j) => (float[B,S,2] y)" + tables +
                          "{ a = Gather(w, i) b = Gather(p, j) c = Add(a, b)"
                          "  y = LayerNormalization<axis = -1>(c, s) }"),
            (Steps{"to_device", "to_device", "Gather Gather Add LayerNormalization: embedding_norm",
                   "to_host"}))
      << explained_;
  EXPECT_EQ(steps_of_text("(int64[B,S] i) => (float[B,S,2] y)" + tables +
                          "{ a = Gather(w, i) c = Add(s, a)"
                          "  y = LayerNormalization<axis = -1>(c, s) }"),
            (Steps{"to_device", "Gather Add LayerNormalization: embedding_norm", "to_host"}))
      << explained_;
  // One row for all places of a sequence is none of those that start again.
  EXPECT_EQ(steps_of_text("(int64[B,S] i, int64[B,1] j) => (float[B,S,2] y)" + tables +
                          "{ a = Gather(w, i) b = Gather(p, j) c = Add(a, b)"
                          "  y = LayerNormalization<axis = -1>(c, s) }"),
            (Steps{"to_device", "to_device", "Gather: gather", "Gather: gather", "Add: binary",
                   "LayerNormalization: norm", "to_host"}))
      << explained_;
}

// What one call writes lies at even distances, and what one call copies lies alike on both sides.
TEST_F(DevicePlan, OutputsOfOneProductAndInputsOfOneCopyLieSideBySide) {
  const Program program(
      ir::parse_text("g (float[B,2] x, float[B,2] r) => (float[B,3] p, float[B,3] q, float[B,3] o)"
                     "<float[2,3] a = {1,2,3,4,5,6}, float[2,3] b = {1,2,3,4,5,6}>"
                     "{ s = Add(x, r) p = MatMul(s, a) q = MatMul(s, b) o = MatMul(s, b) }"),
      {.isa = best_cpu_isa(), .accelerator = accelerator_.get()}, pool_, *memory_);
  const Plan plan = make_plan(program, {{5, 2}, {5, 2}}, {true, true, true}, pool_);
  ASSERT_EQ(plan.steps.size(), 7U) << program.explain();  // 2 to the device, 2, 3 to the host
  const auto offset = [&](int slot) { return plan.slots[static_cast<std::size_t>(slot)].offset; };
  const PlannedStep& first = plan.steps[0];
  const PlannedStep& second = plan.steps[1];
  EXPECT_TRUE(first.joined && second.joined);
  EXPECT_EQ(first.joined_bytes, 128U);  // of 40, and 40, at multiples of 64
  EXPECT_EQ(second.joined_bytes, 0U);
  EXPECT_EQ(second.staging - first.staging, 64U);
  EXPECT_EQ(offset(second.step->outputs[0]) - offset(first.step->outputs[0]), 64U);
  const std::vector<int>& products = plan.steps[3].step->outputs;
  ASSERT_EQ(products.size(), 3U);
  EXPECT_EQ(offset(products[1]) - offset(products[0]), 64U);  // of 60
  EXPECT_EQ(offset(products[2]) - offset(products[1]), 64U);
}

// A residual block and the head of a ResNet: a step a convolution, and only the first turns images.
TEST_F(DevicePlan, ABlockOfResNet) {
  EXPECT_EQ(steps_of_text("(float[B,3,32,32] x, float[8,3,7,7] S, float[8,8,1,1] P,"
                          " float[8,8,3,3] Q, float[16,8,1,1] R, float[16,8,1,1] D, float[16] E,"
                          " float[16,10] F) => (float[B,10] y)"
                          "{ s = Conv<pads = [3,3,3,3], strides = [2,2]>(x, S) t = Relu(s)"
                          "  m = MaxPool<kernel_shape = [3,3], strides = [2,2],"
                          "              pads = [1,1,1,1]>(t)"
                          "  a = Conv(m, P) b = Relu(a) c = Conv<pads = [1,1,1,1]>(b, Q)"
                          "  d = Relu(c) e = Conv(d, R, E) f = Conv(m, D, E) g = Add(e, f)"
                          "  h = Relu(g) i = GlobalAveragePool(h) j = Flatten(i)"
                          "  y = MatMul(j, F) }"),
            (Steps{"to_device", "Conv Relu: conv", "MaxPool: pool_channels_last",
                   "Conv Relu: conv_channels_last", "Conv Relu: conv_channels_last",
                   "Conv: conv_channels_last", "Conv Add Relu: conv_channels_last",
                   "GlobalAveragePool: pool_channels_last", "MatMul: gemm_weight", "to_host"}))
      << explained_;
}

// What stands between convolutions joins, normalises and resizes images as they lie.
TEST_F(DevicePlan, ImagesStayChannelsLast) {
  EXPECT_EQ(steps_of_text("(float[1,8,8,8] x, float[8,8,1,1] P, float[8,8,3,3] Q, float[8] S,"
                          " float[8,16,1,1] R) => (float[1,8,16,16] y)"
                          "<float[4] s = {1,1,2,2}, float[8] v = {1,2,3,4,5,6,7,8}>"
                          "{ a = Conv(x, P) b = Conv<pads = [1,1,1,1]>(a, Q) e = Abs(b)"
                          "  f = BatchNormalization(e, S, S, S, v)"
                          "  c = Concat<axis = 1>(a, f) d = Resize(c, , s) y = Conv(d, R) }"),
            (Steps{"to_device", "Conv: conv", "Conv: conv_channels_last", "Abs: unary",
                   "BatchNormalization: scale_shift", "Concat: concat_channels_last",
                   "Resize: resize_channels_last", "Conv: conv", "to_host"}))
      << explained_;
}

// The layers of BERT in as few steps as the kernels' bench takes.
TEST_F(DevicePlan, Bert) {
  const Steps layer{
      "MatMul Add MatMul Add MatMul Add: gemm_weight", "PackedAttention: packed_attention",
      "MatMul Add Add LayerNormalization: gemm_weight", "MatMul Add Gelu: gemm_weight",
      "MatMul Add Add LayerNormalization: gemm_weight"};
  Steps expected;
  for (int i = 0; i < 6; ++i) expected.emplace_back("to_device");
  expected.emplace_back("host Shape: shape");
  expected.emplace_back(
      "Gather Gather Gather Gather Add Slice Gather Add LayerNormalization: embedding_norm");
  for (int i = 0; i < 2; ++i) expected.insert(expected.end(), layer.begin(), layer.end());
  const Steps head{"MatMul Add: gemm_weight",     "Split: split", "UnpackedRows: unpacked_rows",
                   "UnpackedRows: unpacked_rows", "to_host",      "to_host"};
  expected.insert(expected.end(), head.begin(), head.end());
  EXPECT_EQ(steps_of_checkpoint("bert_qa"), expected) << explained_;
}

// Batches of about as many tokens have one plan.
TEST_F(DevicePlan, NumbersOfRowsAreRoundedUp) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints/bert_qa";
  auto model = read_model(path, "");
  prepare_model(*model, {best_cpu_isa(), pool_, *memory_}, true);
  const Program program(std::move(model),
                        {.isa = best_cpu_isa(), .accelerator = accelerator_.get()}, pool_,
                        *memory_);
  ASSERT_EQ(program.sizing_steps().size(), 1U);
  // In a batch of two sequences, the second of one token.
  const auto rows = [&](int64_t real, int64_t length) {
    Tensor mask(Dtype::i64, {2, length});
    for (int64_t i = 0; i < mask.size(); ++i)
      mask.values<int64_t>()[static_cast<std::size_t>(i)] = i < real || i == length ? 1 : 0;
    const std::vector<Tensor> inputs{mask};
    std::vector<Tensor> outputs(5);
    program.sizing_steps()[0].kernel->run({inputs, outputs, nullptr, pool_, *memory_, {}});
    return outputs;
  };
  const auto some = rows(3, 100);
  ASSERT_EQ(some[0].size(), 64);
  const auto places = some[0].values<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(places.begin(), places.begin() + 5),
            (std::vector<int64_t>{0, 1, 2, 100, 100}));
  EXPECT_EQ(places[63], 100);
  EXPECT_EQ(some[2].values<int64_t>()[63], 0);  // its position
  EXPECT_EQ(some[1].values<int64_t>()[2], 4);   // where the sequences end
  const auto number = [&](int64_t real, int64_t length) { return rows(real, length)[0].size(); };
  EXPECT_EQ(number(63, 100), 64);
  EXPECT_EQ(number(64, 100), 128);
  EXPECT_EQ(number(2000, 4000), 2048);
  EXPECT_EQ(number(2048, 4000), 2176);  // in steps of 128
  EXPECT_EQ(number(4096, 8000), 4352);  // of 256
  EXPECT_EQ(number(20, 20), 39);        // all places are left to a batch that is full
  EXPECT_EQ(number(1, 1), 2);
}

// No operator of an encoder is left to the CPU but what says shapes, and its embedding is one step.
TEST_F(DevicePlan, EncodersRunOnTheDevice) {
  const std::regex shapes("Shape|Squeeze|Concat|Range");
  for (const char* name : {"albert_qa", "distilbert_mlm", "distilbert_qa", "electra_discriminator",
                           "modernbert_classify", "mpnet_qa", "nomic_bert_base", "roberta_classify",
                           "sentence_mean", "sentence_mpnet"}) {
    int embeddings = 0;
    for (const std::string& step : steps_of_checkpoint(name)) {
      EXPECT_TRUE(!step.starts_with("host ") || std::regex_search(step, shapes))
          << name << ": " << step << "\n"
          << explained_;
      embeddings += step.ends_with("embedding_norm") ? 1 : 0;
    }
    EXPECT_EQ(embeddings, 1) << name << "\n" << explained_;
  }
}

// The leading layers on the devices and the rest on the host; strict or not.
TEST_F(DevicePlan, LayersWithoutRoomAreTheHosts) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints/bert_qa";
  Accelerator second(host_device(), *cuda_devices().api, Dtype::f32);
  std::set<std::vector<std::ptrdiff_t>> counts;
  for (std::size_t room = 1; room < (std::size_t{64} << 20); room += room / 8 + 1) {
    const CompiledModel model = compile_model({path,
                                               "",
                                               true,
                                               best_cpu_isa(),
                                               pool_,
                                               memory_,
                                               {{accelerator_.get(), room}, {&second, room}},
                                               true},
                                              {});
    std::vector<std::ptrdiff_t> count;
    for (const Stage& stage : model.program->stages()) {
      const auto& steps = stage.program->steps();
      const auto is = [&](bool there) {
        return std::count_if(steps.begin(), steps.end(), [&](const Step& step) {
          return there ? step.on_device
                       : !step.is_queued() && !step.is_view() && step.implementation != "shape";
        });
      };
      const bool on_host = stage.program->accelerator() == nullptr;
      EXPECT_EQ(is(on_host), 0) << stage.program->explain();
      count.push_back(on_host ? 0 : is(true));
    }
    counts.insert(count);
  }
  // Nothing, the embeddings, a layer, and all; and the rest on the second device or on none.
  for (const std::vector<std::ptrdiff_t>& count :
       {std::vector<std::ptrdiff_t>{0}, {1, 0}, {1, 5, 0}, {6, 9}, {15}})
    EXPECT_TRUE(counts.contains(count)) << testing::PrintToString(counts);
}

}  // namespace
}  // namespace tercel::runtime

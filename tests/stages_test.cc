// A model in stages, all of them on the CPU: the bits of the model as it is, whatever the cut and
// the parts of a batch, and errors from any stage.

#include <array>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "tests/stages_test_util.h"

namespace tercel {
namespace {

using testing::HasSubstr;

class StagesOf : public testing::TestWithParam<const char*> {};

TEST_P(StagesOf, GiveTheBitsOfTheWhole) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints" / GetParam();
  const Compiled whole(path);
  std::set<std::size_t> counts;
  for (std::size_t room = 1 << 10; room < (std::size_t{1} << 20); room += room / 8) {
    const Compiled staged(path, 5, room);
    if (!counts.insert(staged.stages()).second || staged.stages() == 1) continue;
    expect_bits_of_whole(staged, whole, {1, 7, 8, 9, 16, 37, 100});
  }
  EXPECT_GE(counts.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(, StagesOf, kStagedCheckpoints,
                         [](const auto& info) { return std::string(info.param); });

// A value of the first stage is read by the second and by the third, and an output by another
// stage.
TEST_F(Stages, HandOnWhatIsReadLater) {
  make(kLookup);
  ASSERT_EQ(staged_->stages(), 3U) << staged_->model.placement;
  EXPECT_EQ(staged_->model.program->rows()->reason(), "");
  EXPECT_THAT(staged_->model.program->explain(), HasSubstr("stage 2 of 3, on cpu:"));
  for (const int64_t rows : {0, 1, 8, 9, 100}) {
    const auto inputs = lookup_inputs(rows);
    expect_same_bits(staged_->run(inputs), whole_->run(inputs));
    EXPECT_FALSE(staged_->run(inputs, {}, {false, true})[0].defined());
    expect_same_bits({staged_->run(inputs, {}, {false, true})[1]}, {whole_->run(inputs)[1]});
  }
}

// The number of elements that are not 0 is known when a request comes, or later: a size of values
// that cross, and of outputs.
TEST_F(Stages, HandOnSizesThatTheDataDecide) {
  make(
      "g (int64[batch] id, float[batch,64] x, float[64,64] A, float[64,64] B, float[64,64] C)"
      " => (float[k,64] y, int64[1,k] i, int64[1,j] p) <int64[1] first = {0}> {"
      "  i = NonZero(id) [\"net/layer/0/MatMul\"] a = MatMul(x, A)"
      "  [\"net/layer/1/MatMul\"] b = MatMul(a, B) r = Squeeze(i, first) c = Gather(b, r)"
      "  d = Relu(c) p = NonZero(d) [\"net/layer/2/MatMul\"] e = MatMul(d, C) y = Add(e, c) }");
  ASSERT_EQ(staged_->stages(), 2U) << staged_->model.placement;
  EXPECT_THAT(staged_->model.program->rows()->reason(), HasSubstr("output \"y\""));
  for (const CompiledModel* model : {&whole_->model, &staged_->model}) {
    const auto outputs = model->program->outputs();
    EXPECT_EQ(outputs[0]->name(), "y");
    EXPECT_EQ(outputs[1]->name(), "i");
    EXPECT_EQ(outputs[2]->name(), "p");
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_EQ(outputs[i]->type.dtype, i == 0 ? Dtype::f32 : Dtype::i64);
  }
  for (const int64_t rows : {1, 5, 70}) {
    const auto given = lookup_inputs(rows);
    const std::vector<Tensor> inputs{given[1], given[0]};
    const auto expected = whole_->run(inputs);
    EXPECT_EQ(expected[0].shape()[0], expected[1].shape()[1]);
    expect_same_bits(staged_->run(inputs), expected);
    expect_same_bits({staged_->run(inputs, {}, {false, true, false})[1]}, {expected[1]});
  }
}

TEST_F(Stages, WriteIntoTheCallersTensors) {
  make(kLookup);
  for (const int64_t rows : {3, 50}) {
    const auto inputs = lookup_inputs(rows);
    const std::vector<Tensor> bound{Tensor(Dtype::f32, {rows, 64}), Tensor()};
    std::vector<Tensor> outputs = bound;
    staged_->model.executor->run(inputs, outputs, {true, true}, {});
    EXPECT_EQ(outputs[0].data(), bound[0].data());
    expect_same_bits(outputs, whole_->run(inputs));
    outputs = {Tensor(Dtype::f32, {rows, 63}), Tensor()};
    EXPECT_THROW(staged_->model.executor->run(inputs, outputs, {true, true}, {}), Error);
  }
}

TEST_F(Stages, AnErrorStopsAllAndIsTheOneReported) {
  make(kLookup);
  const auto inputs = lookup_inputs(100);
  const auto expected = whole_->run(inputs);
  std::size_t held = 0;
  for (int round = 0; round < 5; ++round) {
    for (const std::size_t wrong : {0U, 31U, 99U}) {
      auto others = lookup_inputs(100);
      others[1].values<int64_t>()[wrong] = 8;
      try {
        staged_->run(others);
        FAIL() << "no error";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("net/layer/1/Gather"));
      }
      expect_same_bits(staged_->run(inputs), expected);
    }
    if (round == 0) held = staged_->memory->in_use();
    EXPECT_EQ(staged_->memory->in_use(), held);
  }
}

TEST_F(Stages, AreCancelledAndHaveADeadline) {
  make(kLookup);
  const auto inputs = lookup_inputs(4000);
  const auto code_of = [&](const runtime::RunLimits& limits) {
    try {
      staged_->run(inputs, limits);
    } catch (const Error& error) {
      return error.code();
    }
    return Errc::internal;
  };
  CancelFlag cancel = true;
  EXPECT_EQ(code_of({&cancel, {}}), Errc::cancelled);
  EXPECT_EQ(code_of({nullptr, std::chrono::steady_clock::now()}), Errc::deadline_exceeded);
  cancel = false;
  std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancel = true;
  });
  const auto again = [&] {
    for (;;) staged_->run(inputs, {&cancel, {}});
  };
  EXPECT_THROW(again(), Error);
  expect_same_bits(staged_->run(inputs), whole_->run(inputs));
}

TEST_F(Stages, ServeManyCallers) {
  make(kLookup);
  std::vector<std::jthread> callers;
  for (int64_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int64_t run = 0; run < 20; ++run) {
        const auto inputs = lookup_inputs(1 + (caller * 37 + run * 11) % 90);
        expect_same_bits(staged_->run(inputs), whole_->run(inputs));
      }
    });
  }
}

TEST_F(Stages, AllocateWhatTheyReturnAlone) {
  make(kLookup);
  const auto inputs = lookup_inputs(64);
  for (int run = 0; run < 3; ++run) staged_->run(inputs);
  const std::size_t held = staged_->memory->in_use();
  for (int run = 0; run < 3; ++run) staged_->run(inputs);
  EXPECT_EQ(staged_->memory->in_use(), held);
}

TEST_F(Stages, OfADecoder) {
  make(
      "g (float[batch,4,seq,16] x, float[16,256] A, float[256,16] B, float[16,256] C,"
      " float[256,16] D) => (float[batch,4,seq,16] y) {"
      "  [\"h/0/attn\"] a = Attention<is_causal = 1>(x, x, x) [\"h/0/up\"] b = MatMul(a, A)"
      "  [\"h/0/act\"] c = Relu(b) [\"h/0/down\"] d = MatMul(c, B) [\"h/0/add\"] e = Add(d, x)"
      "  [\"h/1/attn\"] f = Attention<is_causal = 1>(e, e, e) [\"h/1/up\"] i = MatMul(f, C)"
      "  [\"h/1/act\"] j = Relu(i) [\"h/1/down\"] k = MatMul(j, D) [\"h/1/add\"] y = Add(k, e) }",
      1130000);
  ASSERT_EQ(staged_->stages(), 2U) << staged_->model.placement;
  EXPECT_EQ(staged_->model.program->rows()->reason(), "");
  for (const int64_t batch : {1, 21}) {
    const auto inputs = random_inputs(whole_->model, batch, 5, 9);
    expect_same_bits(staged_->run(inputs), whole_->run(inputs));
  }
}

TEST(Parts, AreFourAStageOfEightRowsAtLeast) {
  EXPECT_EQ(rows_of_part(256, 1), 256);
  EXPECT_EQ(rows_of_part(256, 2), 32);
  EXPECT_EQ(rows_of_part(20, 2), 8);
}

std::string reason_of(const std::string& text) {
  const auto model = ir::parse_text(text);
  return BatchRows(*model, ops::infer(model->graph, {}, model.get())).reason();
}

TEST(BatchRows, AreCutWhereNothingMixesThem) {
  EXPECT_EQ(reason_of("g (float[n,4] x) => (float[n,4] y) { y = Softmax(x) }"), "");
  EXPECT_EQ(reason_of("g (float[n,s,4] x) => (float[n,s,4] y) <int64[2] t = {-1, 4}> {"
                      "  a = Reshape(x, t) b = Relu(a) c = Shape(x) y = Reshape(b, c) }"),
            "");
  EXPECT_EQ(reason_of("g (float[n,4] x, float[4] w) => (float[n,4] y) { y = Mul(x, w) }"), "");
  EXPECT_EQ(reason_of("g (int64[n] i) => (float[n,2] y) <float[3,2] t = {0, 1, 2, 3, 4, 5}> {"
                      "  y = Gather(t, i) }"),
            "");
}

TEST(BatchRows, StayTogetherWhereSomethingMixesThem) {
  EXPECT_THAT(reason_of("g (float[n,4] x) => (float[n,4] y) { [\"s\"] y = Softmax<axis = 0>(x) }"),
              HasSubstr("\"s\""));
  EXPECT_THAT(reason_of("g (float[n,4] x) => (float[n,4] y) <int64[1] a = {0}> {"
                        "  m = ReduceMean(x, a) y = Sub(x, m) }"),
              HasSubstr("may mix rows"));
  EXPECT_THAT(reason_of("g (float[n] x) => (float[n] y) { y = Softmax(x) }"),
              HasSubstr("may mix rows"));
  EXPECT_THAT(reason_of("g (float[n,4] x, int64[n] i) => (float[n,4] y) { y = Gather(x, i) }"),
              HasSubstr("may mix rows"));
  EXPECT_THAT(reason_of("g (float[n,4] x) => (float[n,4] y) <int64 a = {0}> { y = CumSum(x, a) }"),
              HasSubstr("may mix rows"));
  EXPECT_THAT(reason_of("g (float[n,n] x) => (float[n,n] y) { y = Relu(x) }"),
              HasSubstr("behind another dimension"));
  EXPECT_THAT(reason_of("g (float[n,4] x) => (float[4] y) <int64[1] a = {0}> {"
                        "  y = ReduceSum<keepdims = 0>(x, a) }"),
              HasSubstr("output \"y\""));
  EXPECT_THAT(reason_of("g (float[3,4] x) => (float[3,4] y) { y = Relu(x) }"),
              HasSubstr("has a name"));
}

TEST(CutModel, ValuesTravelAsTheirStageHoldsThem) {
  const auto model = ir::parse_text(
      "g (float[n,4] x) => (float[n,4] y, float[n,4] a) { a = Relu(x) b = Exp(a) y = Add(a, b) }");
  const auto facts = ops::infer(model->graph, {}, model.get());
  StageOfNode stages;
  for (const auto& node : model->graph.nodes()) stages.emplace(node.get(), stages.empty() ? 0 : 1);
  const auto parts = cut_model(*model, facts, stages, std::array{Dtype::f16, Dtype::f32});
  ASSERT_EQ(parts.size(), 2U);
  // a, for the caller and for the next stage.
  const auto given = std::as_const(parts[0].model->graph).outputs();
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(given[0]->type.dtype, Dtype::f32);
  EXPECT_EQ(given[1]->type.dtype, Dtype::f16);
  EXPECT_TRUE(given[1]->producer()->is("Cast"));
  const auto taken = std::as_const(parts[1].model->graph).inputs();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0]->type.dtype, Dtype::f16);
  ASSERT_EQ(taken[0]->uses().size(), 1U);
  const ir::Node& cast = *taken[0]->uses()[0].node;
  EXPECT_TRUE(cast.is("Cast"));
  EXPECT_EQ(cast.output()->type.dtype, Dtype::f32);
  EXPECT_EQ(cast.output()->uses().size(), 2U);
}

}  // namespace
}  // namespace tercel

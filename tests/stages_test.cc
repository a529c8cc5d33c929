// A model in stages, on the CPU and on accelerators that are made of it: the bits of the model as
// it is, whatever the cut and the parts of a batch, and errors from any stage.

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/session/compile_model.h"
#include "tests/host_accelerator.h"
#include "tests/random_weights.h"
#include "tests/source_folder.h"
#include "tests/staged_models.h"

namespace tercel {
namespace {

using testing::HasSubstr;

struct Compiled {
  explicit Compiled(const std::filesystem::path& path, std::size_t stages = 1, std::size_t room = 0)
      : Compiled(path, std::vector<StageDevice>(stages - 1, StageDevice{nullptr, room})) {}
  Compiled(const std::filesystem::path& path, std::vector<StageDevice> devices)
      : model(compile_model({path, "", true, best_cpu_isa(), pool, memory, std::move(devices)},
                            {})) {}

  std::size_t stages() const { return model.program->stages().size(); }

  std::vector<Tensor> run(const std::vector<Tensor>& inputs, const runtime::RunLimits& limits = {},
                          std::vector<bool> wanted = {}) const {
    std::vector<Tensor> outputs(model.outputs.size());
    if (wanted.empty()) wanted.assign(outputs.size(), true);
    model.executor->run(inputs, outputs, wanted, limits);
    return outputs;
  }

  ThreadPool pool{2};
  std::shared_ptr<Allocator> memory = make_cpu_allocator();
  CompiledModel model;
};

// Rows of tokens with padding on the right, or of numbers.
std::vector<Tensor> random_inputs(const CompiledModel& model, int64_t batch, int64_t length,
                                  unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int64_t> lengths;
  for (int64_t row = 0; row < batch; ++row)
    lengths.push_back(1 + static_cast<int64_t>(random()) % length);
  std::vector<Tensor> inputs;
  for (const TensorInfo& info : model.inputs) {
    Shape shape;
    for (const std::string& size : *info.shape) {
      const bool known = size.find_first_not_of("0123456789") == std::string::npos;
      shape.push_back(known ? std::stoll(size) : shape.empty() ? batch : length);
    }
    Tensor tensor(info.dtype, shape);
    const bool mask = info.name.find("mask") != std::string::npos;
    const bool types = info.name.find("type") != std::string::npos;
    for (int64_t i = 0; i < tensor.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (info.dtype == Dtype::f32)
        tensor.values<float>()[at] = std::normal_distribution<float>()(random);
      else
        tensor.values<int64_t>()[at] =
            mask    ? i % length < lengths[at / static_cast<std::size_t>(length)]
            : types ? 0
                    : 2 + static_cast<int64_t>(random() % 20);
    }
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

void expect_same_bits(const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].shape(), expected[i].shape());
    ASSERT_EQ(got[i].dtype(), expected[i].dtype());
    if (got[i].bytes() > 0) {
      EXPECT_EQ(std::memcmp(got[i].data(), expected[i].data(), got[i].bytes()), 0)
          << "output " << i;
    }
  }
}

class StagesOf : public testing::TestWithParam<const char*> {};

TEST_P(StagesOf, GiveTheBitsOfTheWhole) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints" / GetParam();
  const Compiled whole(path);
  std::set<std::size_t> counts;
  for (std::size_t room = 1 << 10; room < (std::size_t{1} << 20); room += room / 8) {
    const Compiled staged(path, 5, room);
    if (!counts.insert(staged.stages()).second || staged.stages() == 1) continue;
    for (const int64_t batch : {1, 7, 8, 9, 16, 37, 100}) {
      const auto inputs = random_inputs(whole.model, batch, 1 + batch % 13, 7);
      SCOPED_TRACE(testing::Message() << batch << " rows, " << staged.model.placement);
      for (int run = 0; run < 2; ++run) expect_same_bits(staged.run(inputs), whole.run(inputs));
    }
  }
  EXPECT_GE(counts.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(, StagesOf,
                         testing::Values("albert_qa", "bert_qa", "clip_text", "deberta_v3_qa",
                                         "modernbert_base", "modernbert_mlm", "mpnet_qa",
                                         "sentence_mean", "vit_classify"),
                         [](const auto& info) { return std::string(info.param); });

class Stages : public testing::Test {
 protected:
  ~Stages() override { std::filesystem::remove(path_); }

  // `room`: bytes of each stage but the last.
  void make(const std::string& text, std::size_t room = 30000) {
    auto model = ir::parse_text(text);
    make_weights(model->graph, 3);
    ir::write_onnx(*model, path_);
    whole_.emplace(path_);
    staged_.emplace(path_, 4, room);
  }

  std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("stages_") + testing::UnitTest::GetInstance()->current_test_info()->name() +
       ".onnx");
  std::optional<Compiled> whole_, staged_;
};

constexpr const char* kLookup =
    "g (float[batch,64] x, int64[batch] id, float[64,64] A, float[64,64] B, float[64,64] C,"
    " float[8,64] T) => (float[batch,64] y, float[batch,64] z) {"
    "  [\"net/layer/0/MatMul\"] a = MatMul(x, A)"
    "  [\"net/layer/1/MatMul\"] b = MatMul(a, B) [\"net/layer/1/Gather\"] t = Gather(T, id)"
    "  [\"net/layer/1/Add\"] z = Add(b, t)"
    "  [\"net/layer/2/MatMul\"] c = MatMul(z, C) [\"net/layer/2/Add\"] y = Add(c, a) }";

std::vector<Tensor> lookup_inputs(int64_t rows) {
  Tensor x(Dtype::f32, {rows, 64});
  Tensor id(Dtype::i64, {rows});
  std::mt19937 random(5);
  for (float& element : x.values<float>()) element = std::normal_distribution<float>()(random);
  for (int64_t& element : id.values<int64_t>()) element = static_cast<int64_t>(random() % 8);
  return {x, id};
}

// A value of the first stage is read by the second and by the third, and an output by another
// stage.
TEST_F(Stages, HandOnWhatIsReadLater) {
  make(kLookup);
  ASSERT_EQ(staged_->stages(), 3U) << staged_->model.placement;
  EXPECT_EQ(staged_->model.program->rows().reason(), "");
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
  EXPECT_THAT(staged_->model.program->rows().reason(), HasSubstr("output \"y\""));
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
  EXPECT_EQ(staged_->model.program->rows().reason(), "");
  for (const int64_t batch : {1, 21}) {
    const auto inputs = random_inputs(whole_->model, batch, 5, 9);
    expect_same_bits(staged_->run(inputs), whole_->run(inputs));
  }
}

// On two accelerators, and the CPU where they have no room for the whole.
class StagesOnAccelerators : public Stages {
 protected:
  ~StagesOnAccelerators() override { staged_.reset(); }

  void make(const std::string& text, std::vector<std::size_t> rooms) {
    Stages::make(text);
    std::vector<StageDevice> devices;
    for (std::size_t i = 0; i < rooms.size(); ++i)
      devices.push_back({&own_[i].accelerator, rooms[i]});
    staged_.emplace(path_, std::move(devices));
  }
  const WorkDevice& device(std::size_t index) const { return own_[index].device; }

  // The third run finds all as the second left it.
  void expect_bits(const std::vector<Tensor>& inputs) {
    for (int run = 0; run < 4; ++run) expect_same_bits(staged_->run(inputs), whole_->run(inputs));
  }

  std::array<HostAccelerator, 2> own_;
};

// Into a product of the other accelerator, and the fourth of it to the host as an output.
constexpr const char* kHalves =
    "g (float[batch,64] x, float[64,64] A, float[64,64] B, float[64,16] C) => (float[batch,16] y) {"
    "  [\"net/layer/0/MatMul\"] a = MatMul(x, A) [\"net/layer/0/Relu\"] b = Relu(a)"
    "  [\"net/layer/1/MatMul\"] c = MatMul(b, B) [\"net/layer/1/Relu\"] d = Relu(c)"
    "  [\"net/layer/2/MatMul\"] y = MatMul(d, C) }";

TEST_F(StagesOnAccelerators, WhatTheyAloneReadStaysWithThem) {
  make(kHalves, {20000, 30000});
  ASSERT_EQ(staged_->stages(), 2U) << staged_->model.placement;
  EXPECT_EQ(device(1).connected, &own_[0].device);
  for (const int64_t rows : {5, 3000}) {
    const std::vector<Tensor> inputs{lookup_inputs(rows)[0]};
    expect_bits(inputs);
    const std::size_t given = device(0).direct, taken = device(1).direct;
    const std::size_t host[] = {device(0).from_host, device(0).to_host, device(1).from_host,
                                device(1).to_host};
    staged_->run(inputs);
    const std::size_t bytes = inputs[0].bytes();
    EXPECT_EQ(device(0).from_host - host[0], bytes);
    EXPECT_EQ(device(0).direct - given, bytes);
    EXPECT_EQ(device(0).to_host, host[1]);
    EXPECT_EQ(device(1).direct - taken, bytes);
    EXPECT_EQ(device(1).from_host, host[2]);
    EXPECT_EQ(device(1).to_host - host[3], bytes / 4);
  }
}

// The next part is queued before the one at work has ended, and both in the memory of one.
TEST_F(StagesOnAccelerators, DoNotWaitForTheirDevice) {
  make(kHalves, {20000, 30000});
  const std::vector<Tensor> inputs{lookup_inputs(8192)[0]};  // eight parts of one size
  for (int run = 0; run < 1000 && device(0).ahead.most < 2; ++run) staged_->run(inputs);
  EXPECT_EQ(device(0).ahead.most, 2);
  expect_bits(inputs);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_GE(device(i).recordings, 1U);
  for (int run = 0; run < 10; ++run) staged_->run(inputs);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_LE(device(i).recordings, 2U);
}

// Neither input nor output passes through the host, in recordings too, until they lie elsewhere.
TEST_F(StagesOnAccelerators, WhatIsBoundOnTheDeviceIsReadAndWrittenThere) {
  make(kHalves, {StageDevice::kAll});
  ASSERT_EQ(staged_->stages(), 1U);
  const auto at_once = [](FunctionRef<void()> work) { work(); };
  runtime::DeviceBinding binding{{runtime::Home::device}, {runtime::Home::device}};
  const Tensor given[] = {lookup_inputs(7)[0], lookup_inputs(7)[0]};
  const Tensor taken[] = {Tensor(Dtype::f32, {7, 16}), Tensor(Dtype::f32, {7, 16})};
  for (const unsigned place : {0U, 1U}) {
    const std::vector<Tensor> inputs{given[place]};
    const Tensor& bound = taken[place];
    for (int run = 0; run < 5; ++run) {
      std::vector<Tensor> outputs{bound};
      std::fill(outputs[0].values<float>().begin(), outputs[0].values<float>().end(), 0.0F);
      staged_->model.executor->run(inputs, outputs, {true}, {}, binding, at_once);
      EXPECT_EQ(outputs[0].data(), bound.data());
      expect_same_bits(outputs, whole_->run(inputs));
    }
    EXPECT_EQ(device(0).recordings, place + 1);
  }
  EXPECT_EQ(device(0).to_host, 0U);
  EXPECT_EQ(device(0).direct, 10U * (7 * 64 + 7 * 16) * 4);
}

TEST_F(StagesOnAccelerators, TheCpuReadsWhatTheyCopiedToTheHost) {
  make(kHalves, {20000});
  ASSERT_EQ(staged_->stages(), 2U) << staged_->model.placement;
  for (const int64_t rows : {5, 3000}) {
    const std::vector<Tensor> inputs{lookup_inputs(rows)[0]};
    expect_bits(inputs);
    const std::size_t given = device(0).direct, to_host = device(0).to_host;
    staged_->run(inputs);
    EXPECT_EQ(device(0).direct - given, inputs[0].bytes());
    EXPECT_EQ(device(0).to_host, to_host);
  }
}

// A value of the first is read by both others, an output is read further on, integers travel, and
// what is held stays as much.
TEST_F(StagesOnAccelerators, HandOnWhatIsReadLater) {
  make(kLookup, {20000, 20000});
  ASSERT_EQ(staged_->stages(), 3U) << staged_->model.placement;
  std::size_t held[2] = {};
  for (int round = 0; round < 3; ++round) {
    for (const int64_t rows : {0, 1, 9, 3000}) {
      const auto inputs = lookup_inputs(rows);
      expect_bits(inputs);
      EXPECT_FALSE(staged_->run(inputs, {}, {false, true})[0].defined());
      expect_same_bits({staged_->run(inputs, {}, {false, true})[1]}, {whole_->run(inputs)[1]});
    }
    for (std::size_t i = 0; i < 2; ++i) {
      const std::size_t bytes = own_[i].accelerator.memory().in_use();
      if (round == 1) held[i] = bytes;
      if (round == 2) {
        EXPECT_EQ(bytes, held[i]);
      }
    }
  }
}

TEST_F(StagesOnAccelerators, HandOnEveryType) {
  make(kEveryType, {25000, 25000});
  ASSERT_EQ(staged_->stages(), 2U) << staged_->model.placement;
  for (const int64_t rows : {3, 3000}) {
    std::vector<Tensor> inputs{lookup_inputs(rows)[0]};
    for (float& element : inputs[0].values<float>()) element = std::round(element);
    expect_bits(inputs);
  }
}

TEST_F(StagesOnAccelerators, HandOnSizesThatTheDataDecide) {
  make(
      "g (int64[batch] id, float[batch,64] x, float[64,64] A, float[64,64] B, float[64,64] C)"
      " => (float[k,64] y, int64[1,k] i, int64[1,j] p) <int64[1] first = {0}> {"
      "  i = NonZero(id) [\"net/layer/0/MatMul\"] a = MatMul(x, A)"
      "  [\"net/layer/1/MatMul\"] b = MatMul(a, B) r = Squeeze(i, first) c = Gather(b, r)"
      "  d = Relu(c) p = NonZero(d) [\"net/layer/2/MatMul\"] e = MatMul(d, C) y = Add(e, c) }",
      {20000, 200000});
  ASSERT_EQ(staged_->stages(), 2U) << staged_->model.placement;
  for (const int64_t rows : {1, 5, 70}) {
    const auto given = lookup_inputs(rows);
    expect_bits({given[1], given[0]});
  }
}

TEST_F(StagesOnAccelerators, AnErrorStopsAllAndTheNextRunIsRight) {
  make(kLookup, {20000, 20000});
  const auto inputs = lookup_inputs(5000);
  for (const std::size_t wrong : {0U, 2000U, 4999U}) {
    auto others = lookup_inputs(5000);
    others[1].values<int64_t>()[wrong] = 8;
    EXPECT_THROW(staged_->run(others), Error);
    expect_bits(inputs);
  }
}

TEST_F(StagesOnAccelerators, ServeManyCallers) {
  make(kLookup, {20000, 20000});
  std::vector<std::jthread> callers;
  for (int64_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int64_t run = 0; run < 10; ++run) {
        const auto inputs = lookup_inputs(1 + (caller * 370 + run * 1100) % 9000);
        expect_same_bits(staged_->run(inputs), whole_->run(inputs));
      }
    });
  }
}

TEST_P(StagesOf, GiveTheBitsOfTheWholeOnAccelerators) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints" / GetParam();
  const Compiled whole(path);
  std::set<std::size_t> counts;
  for (std::size_t room = 1 << 10; room < (std::size_t{1} << 20); room += room / 3) {
    std::array<HostAccelerator, 2> own;
    const Compiled staged(path, {{&own[0].accelerator, room}, {&own[1].accelerator, room}});
    if (staged.stages() == 1) continue;
    counts.insert(staged.stages());
    for (const int64_t batch : {1, 9, 400}) {
      const auto inputs = random_inputs(whole.model, batch, 1 + batch % 13, 7);
      SCOPED_TRACE(testing::Message() << batch << " rows, " << staged.model.placement);
      for (int run = 0; run < 2; ++run) expect_same_bits(staged.run(inputs), whole.run(inputs));
    }
  }
  EXPECT_GE(counts.size(), 1U);
}

TEST(Parts, AreFourAStageWhereThatIsEnoughForEach) {
  constexpr double kAny = std::numeric_limits<double>::infinity();
  EXPECT_EQ(rows_of_part(256, 1, kAny), 256);
  EXPECT_EQ(rows_of_part(256, 2, kAny), 32);
  EXPECT_EQ(rows_of_part(20, 2, kAny), 8);
  EXPECT_EQ(rows_of_part(256, 2, 128), 32);  // BERT of 128 tokens a row
  EXPECT_EQ(rows_of_part(64, 2, 32), 32);
  EXPECT_EQ(rows_of_part(64, 2, 1), 64);
  EXPECT_EQ(rows_of_part(5, 2, 0), 8);
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

// A model in stages on accelerators that are made of the CPU, and on the CPU behind them: the bits
// of the model as it is, what travels by which way, and errors from any stage.

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <thread>

#include "tests/host_accelerator.h"
#include "tests/staged_models.h"
#include "tests/stages_test_util.h"

namespace tercel {
namespace {

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
  for (const int64_t rows : {5, 100}) {
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
  const std::vector<Tensor> inputs{lookup_inputs(208)[0]};  // eight parts of one size
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
  for (const int64_t rows : {5, 100}) {
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
    for (const int64_t rows : {0, 1, 8, 9, 100}) {
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
  for (const int64_t rows : {3, 100}) {
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

class StagesOnAcceleratorsOf : public testing::TestWithParam<const char*> {};

TEST_P(StagesOnAcceleratorsOf, GiveTheBitsOfTheWhole) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints" / GetParam();
  const Compiled whole(path);
  std::set<std::size_t> counts;
  for (std::size_t room = 1 << 10; room < (std::size_t{1} << 20); room += room / 3) {
    std::array<HostAccelerator, 2> own;
    const Compiled staged(path, {{&own[0].accelerator, room}, {&own[1].accelerator, room}});
    if (staged.stages() == 1) continue;
    counts.insert(staged.stages());
    expect_bits_of_whole(staged, whole, {1, 9, 100});
  }
  EXPECT_GE(counts.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(, StagesOnAcceleratorsOf, kStagedCheckpoints,
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tercel

// Sessions on cuda:0 whose rows' bits do not depend on the batch, and those that are spread over
// devices.

#include <algorithm>
#include <cstring>
#include <set>
#include <thread>

#include <fmt/core.h>

#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/session/compile_model.h"
#include "tercel/plan.h"
#include "tests/bert_checkpoint.h"
#include "tests/random_weights.h"
#include "tests/session_cuda_test_util.h"
#include "tests/staged_models.h"

namespace tercel {
namespace {

class CudaDeterministic : public CudaSession, public testing::WithParamInterface<const char*> {};

TEST_P(CudaDeterministic, EveryRowHasTheBitsOfTheRowAlone) {
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16}) {
    SessionOptions options;
    options.dtype = dtype;
    options.devices = "cuda:0";
    options.deterministic = true;
    const Session session = Session::load(kCheckpoints / GetParam(), options);
    for (const int64_t batch : {2, 67}) {
      const NamedTensors given = inputs(session.inputs(), batch, 16, true);
      NamedTensors together;
      for (int run = 0; run < 4; ++run) together = session.run(given);  // as it is, tuned, recorded
      for (int64_t row = 0; row < batch; row += 11) {
        const auto of_row = [&](const Tensor& all) {
          Shape shape = all.shape();
          shape[0] = 1;
          const auto bytes = all.bytes() / static_cast<std::size_t>(batch);
          return Tensor::view_of(
              static_cast<const std::byte*>(all.data()) + static_cast<std::size_t>(row) * bytes,
              all.dtype(), shape);
        };
        NamedTensors one;
        for (const auto& [name, tensor] : given) one.emplace(name, of_row(tensor));
        for (const auto& [name, alone] : session.run(one)) {
          const Tensor expected = of_row(together.at(name));
          ASSERT_EQ(alone.bytes(), expected.bytes());
          EXPECT_EQ(std::memcmp(alone.data(), expected.data(), alone.bytes()), 0)
              << name << " row " << row << " of " << batch << " in " << to_string(dtype);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, CudaDeterministic,
                         testing::Values("bert_classify", "bert_qa", "deberta_v3_qa",
                                         "modernbert_base", "mpnet_qa", "roberta_classify",
                                         "sentence_mean"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(CudaSession, DeterministicIsForHalfPrecision) {
  SessionOptions options;
  options.devices = "cuda:0";
  options.deterministic = true;
  try {
    Session::load(kCheckpoints / "bert_qa", options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::unsupported);
    EXPECT_NE(std::string(error.what()).find("f16"), std::string::npos) << error.what();
  }
}

class CudaSpread : public CudaSession, public testing::WithParamInterface<const char*> {
 protected:
  // The more room there is, the more layers are the GPUs'. The numbers of stages that there were.
  std::set<std::size_t> compare(const std::vector<std::string>& gpus, Dtype dtype,
                                double tolerance) {
    const auto path = kCheckpoints / GetParam();
    const Session cpu = Session::load(path, {.threads = 1});
    std::map<int64_t, std::pair<NamedTensors, NamedTensors>> cases;
    for (const int64_t batch : {3, 61}) {  // in one piece, and in parts
      NamedTensors given = inputs(cpu.inputs(), batch, 16, false);
      NamedTensors expected = cpu.run(given);
      cases.emplace(batch, std::pair(std::move(given), std::move(expected)));
    }
    std::set<std::size_t> stages;
    for (std::size_t room = 1 << 14; room < (std::size_t{2} << 20); room += room / 8) {
      std::vector<std::unique_ptr<runtime::Accelerator>> accelerators;
      std::vector<StageDevice> devices;
      for (const std::string& gpu : gpus) {
        accelerators.push_back(std::make_unique<runtime::Accelerator>(gpu, 0, dtype));
        devices.push_back({accelerators.back().get(), room});
      }
      ThreadPool pool(1);
      const CompiledModel model = compile_model(
          {path, "", true, best_cpu_isa(), pool, make_cpu_allocator(), devices}, {.dtype = dtype});
      stages.insert(model.program->stages().size());
      for (const auto& [batch, both] : cases)
        expect_close(model, both.first, both.second, tolerance);
    }
    return stages;
  }

 private:
  void expect_close(const CompiledModel& model, const NamedTensors& given,
                    const NamedTensors& expected, double tolerance) {
    std::vector<Tensor> from;
    for (const TensorInfo& info : model.inputs) from.push_back(given.at(info.name));
    const std::vector<bool> wanted(model.outputs.size(), true);
    for (int run = 0; run < 4; ++run) {  // queued, measured, recorded, replayed
      std::vector<Tensor> to(model.outputs.size());
      model.executor->run(from, to, wanted, {});
      for (std::size_t i = 0; i < to.size(); ++i)
        EXPECT_LE(distance(to[i], expected.at(model.outputs[i].name)), tolerance)
            << model.outputs[i].name << " run " << run << "\n"
            << model.placement;
    }
  }
};

TEST_P(CudaSpread, AnswersAreTheCpus) {
  EXPECT_TRUE(compare({"cuda:0"}, Dtype::f32, 2e-4).contains(2));
  EXPECT_TRUE(compare({"cuda:0"}, Dtype::f16, 2e-2).contains(2));
}

TEST_P(CudaSpread, AnswersOfTwoGpusAreTheCpus) {
  if (cuda_devices().devices.size() < 2) GTEST_SKIP() << "there are no two GPUs";
  EXPECT_TRUE(compare({"cuda:0", "cuda:1"}, Dtype::f32, 2e-4).contains(2));
  EXPECT_TRUE(compare({"cuda:0", "cuda:1"}, Dtype::f16, 2e-2).contains(2));
}

// Values of every type cross, what is held and what is free stay the same, and the answers are
// those of one device.
TEST_F(CudaSession, SpreadStagesHandOnEveryType) {
  const auto path = std::filesystem::path(testing::TempDir()) / "spread_every_type.onnx";
  const auto text = ir::parse_text(kEveryType);
  make_weights(text->graph, 3);
  ir::write_onnx(*text, path);
  std::vector<std::string> gpus{"cuda:0"};
  if (cuda_devices().devices.size() > 1) gpus.emplace_back("cuda:1");
  ThreadPool pool(1);
  const auto load = [&](const std::vector<StageDevice>& devices, Dtype dtype) {
    return compile_model({path, "", true, best_cpu_isa(), pool, make_cpu_allocator(), devices},
                         {.dtype = dtype});
  };
  const CompiledModel cpu = load({}, Dtype::f32);
  for (const Dtype dtype : {Dtype::f32, Dtype::f16}) {
    std::vector<std::unique_ptr<runtime::Accelerator>> own;
    std::vector<StageDevice> devices;
    for (const std::string& gpu : gpus) {
      own.push_back(std::make_unique<runtime::Accelerator>(gpu, 0, dtype));
      devices.push_back({own.back().get(), dtype == Dtype::f32 ? 25000U : 12500U});
    }
    const CompiledModel spread = load(devices, dtype);
    ASSERT_EQ(spread.program->stages().size(), 2U) << spread.placement;
    std::vector<std::size_t> held(own.size()), left(own.size());
    for (int round = 0; round < 4; ++round) {
      for (const int64_t rows : {3, 100}) {
        Tensor x(Dtype::f32, {rows, 64});
        for (float& element : x.values<float>()) element = static_cast<float>(random_() % 5) - 2;
        std::vector<Tensor> expected(2), given(2);
        cpu.executor->run({x}, expected, {true, true}, {});
        for (int run = 0; run < 5; ++run) {  // queued, measured, recorded, replayed
          given.assign(2, Tensor());
          spread.executor->run({x}, given, {true, true}, {});
          EXPECT_LE(distance(given[0], expected[0]), 1e-3) << to_string(dtype) << " run " << run;
          EXPECT_EQ(std::memcmp(given[1].data(), expected[1].data(), given[1].bytes()), 0);
        }
      }
      for (std::size_t i = 0; i < own.size(); ++i) {
        const std::size_t in_use = own[i]->memory().in_use();
        const std::size_t free = own[i]->device().properties().free_memory;
        if (round == 3) {
          EXPECT_EQ(in_use, held[i]);
          EXPECT_GE(free, left[i]);
        }
        held[i] = in_use;
        left[i] = free;
      }
    }
  }
  std::filesystem::remove(path);
}

// The rate at which a plan expects what crosses.
TEST_F(CudaSession, TransfersAreMeasured) {
  Device& first = find_device("cuda:0");
  EXPECT_GT(first.measure_transfer(find_device("cpu")), 1e9);
  if (cuda_devices().devices.size() < 2) return;
  EXPECT_GT(first.measure_transfer(find_device("cuda:1")), 1e9);
}

// A session over all GPUs that there are: parts of batches, callers that meet, errors.
TEST_F(CudaSession, IsSpreadOverDevices) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "spread_session";
  const BertCheckpoint model(folder, 512, 12, 1000, Dtype::f32);  // 150 MB of layers
  SessionOptions options;
  options.placement = "auto";
  options.devices = cuda_devices().devices.size() < 2 ? "cuda:0,cpu" : "cuda:0,cuda:1,cpu";
  options.memory_limit = std::size_t{120} << 20;
  const Session session = Session::load(folder, options);
  std::filesystem::remove_all(folder);
  const std::string explained = session.explain();
  EXPECT_NE(explained.find("placement: cuda:0 has"), std::string::npos) << explained;
  EXPECT_NE(explained.find("stage 2 of 2, on "), std::string::npos) << explained;
  const NamedTensors given = inputs(session.inputs(), 40, 16, false);
  const NamedTensors expected = session.run(given);
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([&] {
      for (int run = 0; run < 5; ++run) {
        for (const auto& [name, tensor] : session.run(given))
          EXPECT_LE(distance(tensor, expected.at(name)), 1e-4) << name;
      }
    });
  }
  callers.clear();
  const CancelFlag cancel = true;
  EXPECT_THROW(session.run(given, {}, {&cancel, {}}), Error);
  IoBinding binding = session.bind();
  for (const auto& [name, tensor] : given) binding.bind_input(name, tensor);
  for (const TensorInfo& info : session.outputs()) binding.bind_output(info.name);
  session.run(binding);
  for (const auto& [name, tensor] : expected)
    EXPECT_LE(distance(binding.output(name), tensor), 1e-4) << name;
  EXPECT_THROW(binding.bind_input(given.begin()->first, given.begin()->second, Memory::device),
               Error);
  EXPECT_EQ(session.replica(1).run(given).size(), expected.size());
}

TEST_F(CudaSession, IsSpreadAsThePlanSays) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "planned_session";
  const BertCheckpoint model(folder, 512, 12, 1000, Dtype::f32);
  constexpr std::size_t kRoom = std::size_t{100} << 20;
  const ModelPlan plan =
      plan_model(folder, {.devices = {"cuda:0", "cpu"}, .memory = {{"cuda:0", kRoom}}});
  const auto count = std::count_if(plan.layers.begin(), plan.layers.end(),
                                   [](const auto& layer) { return layer.device == "cuda:0"; });
  SessionOptions options;
  options.placement = "auto";
  options.devices = "cuda:0,cpu";
  options.memory_limit = kRoom;
  const std::string explained = Session::load(folder, options).explain();
  std::filesystem::remove_all(folder);
  const std::string expected = fmt::format("cuda:0 has {} of {} layers", count, plan.layers.size());
  EXPECT_NE(explained.find(expected), std::string::npos) << expected << "\n" << explained;
}

TEST_F(CudaSession, IsSpreadOverListsThatMakeSense) {
  for (const char* devices : {"cpu,cuda:0", "cuda:0,cuda:0", "cuda:0,cpu,cpu", "cuda,cuda:0"}) {
    EXPECT_THROW(Session::load(kCheckpoints / "bert_qa", {.devices = devices, .placement = "auto"}),
                 Error)
        << devices;
  }
  EXPECT_NO_THROW(
      Session::load(kCheckpoints / "bert_qa", {.devices = "cuda:0,cpu", .placement = "auto"}));
}

INSTANTIATE_TEST_SUITE_P(, CudaSpread,
                         testing::Values("bert_qa", "deberta_v3_qa", "modernbert_base",
                                         "sentence_mean"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tercel

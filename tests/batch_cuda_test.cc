// Sessions on cuda:0 whose rows' bits do not depend on the batch, and that share a model with the
// CPU.

#include <cstring>

#include "src/session/compile_model.h"
#include "tests/session_cuda_test_util.h"

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

class CudaSpread : public CudaSession, public testing::WithParamInterface<const char*> {};

// The more room there is, the more layers are the GPU's.
TEST_P(CudaSpread, AnswersAreTheCpus) {
  const auto path = kCheckpoints / GetParam();
  const Session cpu = Session::load(path, {.threads = 1});
  const NamedTensors given = inputs(cpu.inputs(), 3, 16, false);
  const NamedTensors expected = cpu.run(given);
  ThreadPool pool(1);
  const auto memory = make_cpu_allocator();
  for (std::size_t room = 1; room < (std::size_t{16} << 20); room *= 2) {
    runtime::Accelerator accelerator("cuda:0", 0, Dtype::f32);
    const CompiledModel model = compile_model(
        {path, "", true, best_cpu_isa(), pool, memory, &accelerator, false, room}, {});
    std::vector<Tensor> from;
    for (const TensorInfo& info : model.inputs) from.push_back(given.at(info.name));
    const std::vector<bool> wanted(model.outputs.size(), true);
    for (int run = 0; run < 4; ++run) {  // queued, measured, recorded, replayed
      std::vector<Tensor> to(model.outputs.size());
      model.executor->run(from, to, wanted, {});
      for (std::size_t i = 0; i < to.size(); ++i)
        EXPECT_LE(distance(to[i], expected.at(model.outputs[i].name)), 2e-4)
            << model.outputs[i].name << " " << room << " run " << run << "\n"
            << model.placement;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, CudaSpread,
                         testing::Values("bert_qa", "deberta_v3_qa", "modernbert_base",
                                         "sentence_mean"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tercel

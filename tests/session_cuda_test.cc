// Sessions on cuda:0 against sessions on the CPU: answers, what a steady state allocates, errors.

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "src/device/cuda_library.h"
#include "src/session/compile_model.h"
#include "tercel/session.h"
#include "tests/session_cuda_test_util.h"

namespace tercel {
namespace {

struct Precision {
  Dtype dtype;
  double tolerance;  // rounding of the stored type through the layers
};

class CudaAnswers : public CudaSession, public testing::WithParamInterface<const char*> {};

TEST_P(CudaAnswers, AreTheCpus) {
  const auto path = kCheckpoints / GetParam();
  const Session cpu = Session::load(path, {.threads = 1});
  for (const auto& [dtype, tolerance] :
       {Precision{Dtype::f32, 2e-4}, {Dtype::f16, 2e-2}, {Dtype::bf16, 1e-1}}) {
    const Session gpu = Session::load(path, {.devices = "cuda:0", .threads = 1, .dtype = dtype});
    for (const bool full : {false, true}) {
      const NamedTensors padded = inputs(cpu.inputs(), 3, 16, false);
      for (int run = 0; run < 5; ++run) {  // queued, measured, recorded, replayed
        // Other lengths would have a plan of their own.
        const NamedTensors given = full ? inputs(cpu.inputs(), 3, 16, true) : padded;
        const NamedTensors expected = cpu.run(given);
        for (const auto& [name, tensor] : gpu.run(given))
          EXPECT_LE(distance(tensor, expected.at(name)), tolerance)
              << name << " " << to_string(dtype) << (full ? " full" : " padded") << " run " << run;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, CudaAnswers,
                         testing::Values("albert_qa", "bert_classify", "bert_qa", "deberta_v2_mlm",
                                         "deberta_v2_tokens", "deberta_v3_qa", "distilbert_tokens",
                                         "electra_mlm", "modernbert_base", "mpnet_qa",
                                         "nomic_bert_base", "roberta_classify", "sentence_mean"),
                         [](const auto& info) { return std::string(info.param); });

class CudaSteadyState : public CudaSession, public testing::WithParamInterface<const char*> {};

TEST_P(CudaSteadyState, AllocatesNothingOnTheDevice) {
  ThreadPool pool(1);
  const auto memory = make_cpu_allocator();
  runtime::Accelerator accelerator("cuda:0", 0, Dtype::f16);
  const CompiledModel model = compile_model(
      {kCheckpoints / GetParam(), "", true, best_cpu_isa(), pool, memory, {{&accelerator}}, false},
      {.dtype = Dtype::f16});
  const NamedTensors given = inputs(model.inputs, 2, 16, false);
  std::vector<Tensor> from;
  for (const TensorInfo& info : model.inputs) from.push_back(given.at(info.name));
  std::vector<Tensor> to(model.outputs.size());
  const std::vector<bool> wanted(to.size(), true);
  for (int run = 0; run < 4; ++run) model.executor->run(from, to, wanted, {});
  const std::size_t device = accelerator.memory().allocations();
  const std::size_t host = accelerator.host_memory().allocations();
  const std::size_t own = memory->allocations();
  for (int run = 0; run < 10; ++run) model.executor->run(from, to, wanted, {});
  EXPECT_EQ(accelerator.memory().allocations(), device);
  EXPECT_EQ(accelerator.host_memory().allocations(), host);
  // The index of packed rows, which a run makes to know their number.
  std::size_t sizing = 0;
  for (const auto& step : model.program->stages()[0].program->sizing_steps())
    sizing += step.outputs.size();
  EXPECT_LE(memory->allocations() - own, 10 * sizing);
}

// Memory of cuda:0 that holds a copy of a tensor.
class OnDevice {
 public:
  explicit OnDevice(const Tensor& from)
      : buffer_(allocator_->allocate(from.bytes(), "a test")),
        tensor_(Tensor::view_of(buffer_->data(), from.dtype(), from.shape())) {
    fill(from);
  }
  void fill(const Tensor& from) {
    device_.copy_from_host(buffer_->data(), from.data(), from.bytes(), *stream_);
    stream_->synchronize();
  }
  Tensor read() const {
    Tensor result(tensor_.dtype(), tensor_.shape());
    device_.copy_to_host(result.data(), buffer_->data(), result.bytes(), *stream_);
    stream_->synchronize();
    return result;
  }
  const Tensor& tensor() const { return tensor_; }

 private:
  Device& device_ = find_device("cuda:0");
  std::shared_ptr<Allocator> allocator_ = device_.make_allocator(0);
  std::unique_ptr<Stream> stream_ = device_.make_stream();
  std::shared_ptr<Buffer> buffer_;
  Tensor tensor_;
};

// Every second run finds other numbers, and from the sixth on other addresses.
TEST_F(CudaSession, RunsBoundOnTheDeviceGiveWhatRunsOnTheHostGive) {
  for (const char* name : {"bert_qa", "deberta_v3_qa", "sentence_mean"}) {
    for (const Dtype dtype : {Dtype::f32, Dtype::f16}) {
      const Session session =
          Session::load(kCheckpoints / name, {.devices = "cuda:0", .threads = 1, .dtype = dtype});
      IoBinding binding = session.bind();
      std::map<std::string, std::vector<OnDevice>> places;
      for (int run = 0; run < 12; ++run) {
        const NamedTensors given = inputs(session.inputs(), 3, 16, true);
        const NamedTensors expected = session.run(given);
        const bool anew = run == 0 || run == 6;
        for (const auto& [input, tensor] : given) {
          if (input == "attention_mask" && run >= 6) {
            binding.bind_input(input, tensor);
            continue;
          }
          auto& place = places[input];
          if (anew) place.emplace_back(tensor);
          place.back().fill(tensor);
          binding.bind_input(input, place.back().tensor(), Memory::device);
        }
        for (const auto& [output, tensor] : expected) {
          auto& place = places["to " + output];
          if (anew)
            place.emplace_back(Tensor::from(std::vector<float>(tensor.size()), tensor.shape()));
          binding.bind_output(output, place.back().tensor(), Memory::device);
        }
        session.run(binding);
        for (const auto& [output, tensor] : expected)
          EXPECT_LT(distance(places["to " + output].back().read(), tensor), 1e-2) << name << run;
      }
      const std::string output = session.outputs()[0].name;
      const void* place = places.at("to " + output).back().tensor().data();
      binding.bind_output(output, Tensor::view_of(place, Dtype::f32, {1, 1}), Memory::device);
      EXPECT_THROW(session.run(binding), Error);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, CudaSteadyState,
                         testing::Values("bert_qa", "deberta_v3_qa", "sentence_mean"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(CudaSession, AnIndexOutOfRangeNamesTheNodeAndTheNextRunIsRight) {
  const auto path = kCheckpoints / "bert_qa";
  const Session cpu = Session::load(path, {.threads = 1});
  const Session gpu = Session::load(path, {.devices = "cuda:0", .threads = 1});
  for (int round = 0; round < 3; ++round) {  // from the second one on in a replay
    const NamedTensors given = inputs(cpu.inputs(), 2, 8, true);
    const NamedTensors expected = cpu.run(given);
    Tensor ids = given.at("input_ids").clone();
    ids.values<int64_t>()[3] = 1 << 20;
    NamedTensors wrong = given;
    wrong["input_ids"] = ids;
    try {
      gpu.run(wrong);
      ADD_FAILURE() << "no error in round " << round;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::invalid_argument) << error.what();
      EXPECT_NE(std::string(error.what()).find("[Gather"), std::string::npos) << error.what();
    }
    for (int run = 0; run < 4; ++run)
      for (const auto& [name, tensor] : gpu.run(given))
        EXPECT_LE(distance(tensor, expected.at(name)), 2e-4) << name << " run " << run;
  }
}

TEST_F(CudaSession, ThreadsShareASession) {
  const auto path = kCheckpoints / "bert_qa";
  const Session cpu = Session::load(path, {.threads = 1});
  const Session gpu = Session::load(path, {.devices = "cuda:0", .threads = 1});
  constexpr int kThreads = 4;
  std::vector<NamedTensors> given, expected;
  for (int t = 0; t < kThreads; ++t) {
    given.push_back(inputs(cpu.inputs(), 1 + t % 2, 12, t < 2));
    expected.push_back(cpu.run(given.back()));
  }
  std::vector<double> worst(kThreads, 0);
  std::vector<std::string> errors(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, at = static_cast<std::size_t>(t)] {
      try {
        for (int run = 0; run < 20; ++run)
          for (const auto& [name, tensor] : gpu.run(given[at]))
            worst[at] = std::max(worst[at], distance(tensor, expected[at].at(name)));
      } catch (const std::exception& error) {
        errors[at] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < kThreads; ++t) {
    EXPECT_EQ(errors[t], "");
    EXPECT_LE(worst[t], 2e-4) << "thread " << t;
  }
}

// The rows that fill up a plan are seen by nobody.
TEST_F(CudaSession, BatchesOfAboutAsManyTokensShareAPlan) {
  const auto path = kCheckpoints / "bert_qa";
  const Session cpu = Session::load(path, {.threads = 1});
  const Session gpu = Session::load(path, {.devices = "cuda:0", .threads = 1});
  const NamedTensors first = inputs(cpu.inputs(), 4, 16, false);
  const NamedTensors alone = gpu.run(first);
  for (int run = 0; run < 8; ++run) {
    const NamedTensors given = inputs(cpu.inputs(), 4, 16, false);
    const NamedTensors expected = cpu.run(given);
    for (const auto& [name, tensor] : gpu.run(given))
      EXPECT_LE(distance(tensor, expected.at(name)), 2e-4) << name << " run " << run;
  }
  EXPECT_LE(gpu.stats().plans, 2U);  // of 63 rows; and of 64, should no token be padding
  for (const auto& [name, tensor] : gpu.run(first))
    EXPECT_LE(distance(tensor, alone.at(name)), 1e-4);
}

TEST_F(CudaSession, WhatWasMeasuredIsKept) {
  const auto path = kCheckpoints / "bert_qa";
  std::filesystem::remove_all(kCache);
  const auto lines = [&] {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(kCache)) {
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) all.push_back(line);
    }
    return all;
  };
  const SessionOptions options{.devices = "cuda:0", .threads = 1, .dtype = Dtype::f16};
  const Session session = Session::load(path, options);
  EXPECT_TRUE(session.warnings().empty());
  // A length of no other test: choices are the process's.
  const NamedTensors given = inputs(session.inputs(), 7, 23, true);
  const std::size_t before = lines().size();
  ASSERT_GE(before, 1U);
  EXPECT_NE(lines()[0].find("cuBLASLt"), std::string::npos) << lines()[0];
  for (int run = 0; run < 3; ++run) session.run(given);
  EXPECT_GT(lines().size(), before);

  std::filesystem::remove_all(kCache);
  SessionOptions without = options;
  without.tuning_cache = false;
  const Session other = Session::load(path, without);
  for (int run = 0; run < 3; ++run) other.run(given);
  EXPECT_FALSE(std::filesystem::exists(kCache));

  ::setenv("TERCEL_CACHE_DIR", "/dev/null/cache", 1);
  const Session warned = Session::load(path, options);
  ASSERT_EQ(warned.warnings().size(), 1U);
  EXPECT_NE(warned.warnings()[0].find("/dev/null/cache"), std::string::npos);
  EXPECT_NO_THROW(for (int run = 0; run < 3; ++run) warned.run(given));
}

// A rounding to E4M3 is off by up to 1/16, to int8 by 1/254 of the row's largest, and four products
// a layer follow one another.
TEST_F(CudaSession, ProductsOfBytesAreNearF32) {
  const auto path = source_folder(TERCEL_SOURCE_DIR) / "models/minilm-qa";
  const bool hopper = find_device("cuda:0").properties().capability == 90;
  for (const Dtype dtype : {Dtype::f8e4m3fn, Dtype::i8}) {
    const SessionOptions options{.devices = "cuda:0", .threads = 1, .dtype = dtype};
    if (!hopper) {
      try {
        Session::load(path, options);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::unsupported);
        EXPECT_NE(std::string(error.what()).find("9.0"), std::string::npos) << error.what();
      }
      continue;
    }
    const Session cpu = Session::load(path, {.threads = 1});
    const Session gpu = Session::load(path, options);
    const std::string steps = gpu.explain(), name = "cuda:0 gemm_bytes_weight";
    std::size_t products = 0;
    for (auto at = steps.find(name); at != std::string::npos; at = steps.find(name, at + 1))
      ++products;
    EXPECT_EQ(products, 24U) << steps;  // 4 a layer; the head stays f16
    for (const bool full : {false, true}) {
      const NamedTensors given = inputs(cpu.inputs(), 5, 40, full);
      const NamedTensors expected = cpu.run(given);
      for (int run = 0; run < 5; ++run) {  // queued, measured, recorded, replayed
        for (const auto& [output, tensor] : gpu.run(given))
          EXPECT_GE(cosine(tensor, expected.at(output)), 0.98)
              << to_string(dtype) << " " << output << " run " << run;
      }
    }
  }
  if (!hopper) GTEST_SKIP() << "products of bytes need compute capability 9.0";
}

TEST_F(CudaSession, StrictRefusesWhatTheDeviceHasNoKernelFor) {
  EXPECT_NO_THROW(
      Session::load(kCheckpoints / "bert_qa", {.devices = "cuda:0", .strict = true, .threads = 1}));
}

}  // namespace
}  // namespace tercel

#pragma once
// What tests of models in stages share.

#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/session/compile_model.h"
#include "tests/random_weights.h"
#include "tests/source_folder.h"

namespace tercel {

inline const auto kStagedCheckpoints =
    testing::Values("albert_qa", "bert_qa", "clip_text", "deberta_v3_qa", "modernbert_base",
                    "modernbert_mlm", "mpnet_qa", "sentence_mean", "vit_classify");

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
inline std::vector<Tensor> random_inputs(const CompiledModel& model, int64_t batch, int64_t length,
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

inline void expect_same_bits(const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
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

// For batches of so many rows, of several lengths, twice each.
inline void expect_bits_of_whole(const Compiled& staged, const Compiled& whole,
                                 std::initializer_list<int64_t> batches) {
  for (const int64_t batch : batches) {
    const auto inputs = random_inputs(whole.model, batch, 1 + batch % 13, 7);
    SCOPED_TRACE(testing::Message() << batch << " rows, " << staged.model.placement);
    for (int run = 0; run < 2; ++run) expect_same_bits(staged.run(inputs), whole.run(inputs));
  }
}

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

inline constexpr const char* kLookup =
    "g (float[batch,64] x, int64[batch] id, float[64,64] A, float[64,64] B, float[64,64] C,"
    " float[8,64] T) => (float[batch,64] y, float[batch,64] z) {"
    "  [\"net/layer/0/MatMul\"] a = MatMul(x, A)"
    "  [\"net/layer/1/MatMul\"] b = MatMul(a, B) [\"net/layer/1/Gather\"] t = Gather(T, id)"
    "  [\"net/layer/1/Add\"] z = Add(b, t)"
    "  [\"net/layer/2/MatMul\"] c = MatMul(z, C) [\"net/layer/2/Add\"] y = Add(c, a) }";

inline std::vector<Tensor> lookup_inputs(int64_t rows) {
  Tensor x(Dtype::f32, {rows, 64});
  Tensor id(Dtype::i64, {rows});
  std::mt19937 random(5);
  for (float& element : x.values<float>()) element = std::normal_distribution<float>()(random);
  for (int64_t& element : id.values<int64_t>()) element = static_cast<int64_t>(random() % 8);
  return {x, id};
}

}  // namespace tercel

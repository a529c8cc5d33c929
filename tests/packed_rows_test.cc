// Models over packed rows: every row of a batch has the bits of the row run alone, whatever its
// neighbours and their padding, and the numbers of the graph as it is stored.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "tercel/session.h"

namespace tercel {
namespace {

const std::filesystem::path kData = std::filesystem::path(TERCEL_SOURCE_DIR) / "tests/data";
constexpr int64_t kLongest = 18;
constexpr int64_t kPadding = 1;  // RoBERTa's; the others do not look at it

struct Shaped {
  int64_t batch, length;
  std::vector<bool> real;  // [batch, length]

  bool at(int64_t row, int64_t i) const { return real[static_cast<std::size_t>(row * length + i)]; }
  // Right padding alone: the row may be cut behind its last token.
  int64_t cut(int64_t row) const {
    int64_t count = 0;
    while (count < length && at(row, count)) ++count;
    for (int64_t i = count; i < length; ++i) {
      if (at(row, i)) return length;
    }
    return count;
  }
};

enum class Kind { ragged, equal, single_tokens, holes, left };

Shaped random_shape(std::mt19937& random, Kind kind, int64_t batch, int64_t length) {
  Shaped shape{batch, length, {}};
  for (int64_t row = 0; row < shape.batch; ++row) {
    const auto count = 1 + static_cast<int64_t>(random()) % shape.length;
    for (int64_t i = 0; i < shape.length; ++i) {
      const bool odd = row % 2 == 0;
      bool real = kind == Kind::equal || kind == Kind::single_tokens || i < count;
      if (kind == Kind::holes && odd) real = i == 0 || random() % 3 != 0;
      if (kind == Kind::left && odd) real = i + count >= shape.length;
      shape.real.push_back(real);
    }
  }
  return shape;
}

NamedTensors random_inputs(std::mt19937& random, const Session& session, const Shaped& shape) {
  NamedTensors inputs;
  for (const TensorInfo& info : session.inputs()) {
    Tensor tensor(Dtype::i64, {shape.batch, shape.length});
    for (std::size_t i = 0; i < shape.real.size(); ++i) {
      const auto token = static_cast<int64_t>(2 + random() % 22);
      const int64_t real = info.name == "input_ids"        ? token
                           : info.name == "attention_mask" ? 1
                                                           : token % 2;
      const int64_t padding = info.name == "input_ids" ? kPadding : 0;
      tensor.values<int64_t>()[i] = shape.real[i] ? real : padding;
    }
    inputs.emplace(info.name, tensor);
  }
  return inputs;
}

NamedTensors row_of(const NamedTensors& inputs, int64_t row, int64_t length) {
  NamedTensors one;
  for (const auto& [name, tensor] : inputs) {
    const Tensor whole = tensor.slice(row, row + 1).reshape({tensor.shape()[1]});
    one.emplace(name, whole.slice(0, length).reshape({1, length}).clone());
  }
  return one;
}

// Calls `compare(in_batch, alone, count)` for what each has of one token, or of the whole row.
template <class Compare>
void for_each_part(const Tensor& batch, const Tensor& alone, const Shaped& shape, int64_t row,
                   Compare compare) {
  const bool by_token = batch.rank() >= 2 && batch.shape()[1] == shape.length &&
                        alone.shape()[1] == shape.cut(row) && batch.shape()[0] == shape.batch;
  const int64_t tokens = by_token ? shape.length : 1;
  const int64_t size = batch.size() / shape.batch / tokens;
  for (int64_t i = 0; i < (by_token ? shape.cut(row) : 1); ++i) {
    if (by_token && !shape.at(row, i)) continue;
    compare(batch.values<float>().data() + (row * tokens + i) * size,
            alone.values<float>().data() + i * size, static_cast<std::size_t>(size));
  }
}

void expect_bits_of_row(const NamedTensors& batch, const NamedTensors& alone, const Shaped& shape,
                        int64_t row) {
  for (const auto& output : alone) {
    for_each_part(batch.at(output.first), output.second, shape, row,
                  [&](const float* a, const float* b, std::size_t count) {
                    EXPECT_EQ(std::memcmp(a, b, count * sizeof(float)), 0)
                        << output.first << " row " << row << " of " << shape.batch;
                  });
  }
}

class PackedModels : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const unsigned seed = std::random_device()();
    random_.seed(seed);
    note_ = "seed " + std::to_string(seed);
  }
  std::filesystem::path path() const { return kData / GetParam(); }
  Shaped shape_of(Kind kind) {
    const auto batch = 1 + static_cast<int64_t>(random_() % 6);
    const auto length = 1 + static_cast<int64_t>(random_() % kLongest);
    return random_shape(random_, kind, batch, kind == Kind::single_tokens ? 1 : length);
  }

  std::mt19937 random_;
  std::string note_;
};

constexpr Kind kKinds[] = {Kind::ragged, Kind::equal, Kind::single_tokens, Kind::holes, Kind::left};

TEST_P(PackedModels, RowsHaveTheBitsOfTheRowAlone) {
  SCOPED_TRACE(note_);
  const Dtype dtype = random_() % 2 == 0 ? Dtype::f32 : Dtype::bf16;
  const Session alone = Session::load(path(), {.threads = 1, .dtype = dtype});
  ASSERT_EQ(alone.metadata().at("tercel.rows"), "packed");
  for (const int threads : {1, 2, 3}) {
    const Session session = Session::load(path(), {.threads = threads, .dtype = dtype});
    for (const Kind kind : kKinds) {
      SCOPED_TRACE(testing::Message()
                   << "kind " << static_cast<int>(kind) << ", " << threads << " threads");
      const Shaped shape = shape_of(kind);
      const NamedTensors inputs = random_inputs(random_, session, shape);
      const NamedTensors together = session.run(inputs);
      for (int64_t row = 0; row < shape.batch; ++row) {
        expect_bits_of_row(together, alone.run(row_of(inputs, row, shape.cut(row))), shape, row);
      }
    }
  }
}

TEST_P(PackedModels, AreRunInPartsWhereBatchesAreLarge) {
  SCOPED_TRACE(note_);
  const Session session = Session::load(path(), {.threads = 1});
  const Shaped shape = random_shape(random_, Kind::ragged, 9999, kLongest);
  const NamedTensors inputs = random_inputs(random_, session, shape);
  const NamedTensors together = session.run(inputs);
  if (session.stats().plans == 1) GTEST_SKIP() << "this machine's caches hold the whole batch";
  for (const int64_t row : {0, 1, 4999, 5000, 9998}) {
    expect_bits_of_row(together, session.run(row_of(inputs, row, shape.cut(row))), shape, row);
  }
  IoBinding bound = session.bind();
  for (const auto& [name, tensor] : inputs) bound.bind_input(name, tensor);
  const std::string& last = session.outputs().back().name;
  const Tensor own(Dtype::f32, together.at(last).shape());
  bound.bind_output(last, own);
  session.run(bound);
  EXPECT_EQ(std::memcmp(own.data(), together.at(last).data(), own.bytes()), 0);
  bound.bind_output(last, Tensor(Dtype::f32, {3, 3}));
  EXPECT_THROW(session.run(bound), Error);
}

TEST_P(PackedModels, GiveWhatTheStoredGraphGives) {
  SCOPED_TRACE(note_);
  const Session packed = Session::load(path(), {.threads = 2});
  const Session stored = Session::load(path(), {.threads = 2, .optimize = false});
  for (const Kind kind : kKinds) {
    const Shaped shape = shape_of(kind);
    const NamedTensors inputs = random_inputs(random_, packed, shape);
    const NamedTensors expected = stored.run(inputs);
    for (const auto& [name, tensor] : packed.run(inputs)) {
      ASSERT_EQ(tensor.shape(), expected.at(name).shape()) << name;
      const bool by_token = tensor.rank() >= 2 && tensor.shape()[1] == shape.length;
      const int64_t parts = shape.batch * (by_token ? shape.length : 1);
      const int64_t size = tensor.size() / parts;
      for (int64_t i = 0; i < tensor.size(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        const bool padding = by_token && !shape.real[static_cast<std::size_t>(i / size)];
        const float wanted = padding ? 0 : expected.at(name).values<float>()[at];
        const bool ambiguous = by_token && tensor.rank() == 2;  // [batch, labels] perhaps
        if (padding && ambiguous) continue;
        EXPECT_NEAR(tensor.values<float>()[at], wanted, 1e-4 * (1 + std::abs(wanted)))
            << name << " element " << i << ", kind " << static_cast<int>(kind);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, PackedModels,
    testing::Values("checkpoints/albert_classify", "checkpoints/bert_qa",
                    "checkpoints/deberta_v2_base", "checkpoints/distilbert_classify",
                    "checkpoints/electra_tokens", "checkpoints/modernbert_base",
                    "checkpoints/mpnet_qa", "checkpoints/nomic_bert_base",
                    "checkpoints/roberta_classify", "checkpoints/sentence_bge",
                    "checkpoints/sentence_mean", "onnx/bert_qa_dynamo23_sdpa.onnx",
                    "onnx/bert_qa_ts14_eager.onnx", "onnx/minilm_embed_ts14.onnx",
                    "onnx/modernbert_mlm_dynamo20.onnx", "onnx/optimum_bert_qa_11.onnx"),
    [](const auto& info) {
      std::string name = std::filesystem::path(info.param).stem().string();
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

}  // namespace
}  // namespace tercel

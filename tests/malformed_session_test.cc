// Damaged ONNX files through the whole of a session: loading and one run end in an answer or in a
// tercel::Error, in bounded time and memory.

#include <chrono>
#include <fstream>
#include <iterator>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "tercel/session.h"

namespace tercel {
namespace {

const std::filesystem::path kModels = std::filesystem::path(TERCEL_SOURCE_DIR) / "tests/data/onnx";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Damaged : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("tercel-damaged-" + std::to_string(::getpid()) + "-" + GetParam() + ".onnx");
    bytes_ = read(kModels / (std::string(GetParam()) + ".onnx"));
    ASSERT_FALSE(bytes_.empty());
  }
  void TearDown() override { std::filesystem::remove(path_); }

  // True when the model loads and runs.
  bool survives(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    const auto start = std::chrono::steady_clock::now();
    bool ran = false;
    try {
      const Session session =
          Session::load(path_, {.threads = 1, .memory_limit = std::size_t{64} << 20});
      session.run(zeros(session), {}, {.deadline = start + std::chrono::seconds(5)});
      ran = true;
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Errc::internal) << error.what();
      EXPECT_STRNE(error.what(), "");
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    return ran;
  }

  static NamedTensors zeros(const Session& session) {
    NamedTensors inputs;
    for (const TensorInfo& info : session.inputs()) {
      Shape shape;
      for (const std::string& dim : info.shape.value_or(std::vector<std::string>{})) {
        const bool number = !dim.empty() &&
                            dim.find_first_not_of("0123456789") == std::string::npos &&
                            dim.size() < 4;
        shape.push_back(number ? std::stoll(dim) : 2);
      }
      Tensor tensor(info.dtype, shape);
      if (info.dtype != Dtype::string) {
        std::fill_n(static_cast<std::byte*>(tensor.data()), tensor.bytes(), std::byte{0});
      }
      inputs.emplace(info.name, std::move(tensor));
    }
    return inputs;
  }

  std::filesystem::path path_;
  std::string bytes_;
};

TEST_P(Damaged, TruncationsAreErrors) {
  int ran = 0;
  for (std::size_t length = 0; length < bytes_.size(); ++length)
    ran += survives(bytes_.substr(0, length)) ? 1 : 0;
  EXPECT_LE(ran, 8);  // a cut that only loses a trailing optional field leaves a whole model
}

TEST_P(Damaged, ChangedBytesAreHandled) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int trial = 0; trial < 1500; ++trial) {
    std::string changed = bytes_;
    for (unsigned i = 0; i <= random() % 3; ++i)
      changed[random() % changed.size()] = static_cast<char>(random());
    survives(changed);
  }
}

// Between inputs and outputs, and of outputs, a file's shapes are claims: what it computes is what
// counts.
TEST(FalseDeclarations, DoNoHarm) {
  struct Case {
    const char* name;
    const char* text;
    Tensor x;
    Tensor counts;
    Shape expected;
  };
  const std::vector<Case> cases{
      {"tile",
       R"(g (float[2] x, int64[1] n) => (float[2] y) <float[2] t> { t = Tile (x, n)  y = Relu (t) })",
       Tensor::from<float>({1, -2}, {2}),
       Tensor::from<int64_t>({1000}, {1}),
       {2000}},
      {"expand",
       R"(g (float[1] x, int64[1] n) => (float[3] y) <float[3] t> { t = Expand (x, n)  y = Neg (t) })",
       Tensor::from<float>({5}, {1}),
       Tensor::from<int64_t>({4000}, {1}),
       {4000}},
      {"slice",
       R"(g (float[N] x, int64[1] n) => (float[N] y) <float[N] t, int64[1] zero = {0}> { t = Slice (x, zero, n)  y = Neg (t) })",
       Tensor::from<float>({1, 2, 3, 4}, {4}),
       Tensor::from<int64_t>({3}, {1}),
       {3}},
  };
  for (const Case& each : cases) {
    const auto path = std::filesystem::temp_directory_path() /
                      ("tercel-false-" + std::to_string(::getpid()) + "-" + each.name + ".onnx");
    ir::write_onnx(
        *ir::parse_text(std::string("<ir_version: 10, opset_import: [\"\" : 20]>\n") + each.text),
        path);
    for (const bool optimize : {true, false}) {
      const Session session = Session::load(path, {.optimize = optimize});
      const auto outputs = session.run({{"x", each.x}, {"n", each.counts}});
      EXPECT_EQ(outputs.at("y").shape(), each.expected)
          << each.name << (optimize ? " optimized" : "");
    }
    std::filesystem::remove(path);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Damaged, testing::Values("functions", "if_capture", "opset_11"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tercel

// Small models that ask for much: memory, time, or both, when they are loaded or when they run.
// Each is an Error that names the place, or an answer, within a second and 256 MB.

#include <chrono>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "tercel/session.h"
#include "tests/hostile.h"

namespace tercel {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kCap = std::size_t{96} << 20;

class Bombs : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("tercel-bomb-" + std::to_string(::getpid()) + ".onnx");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void write(const std::string& text) {
    ir::write_onnx(
        *ir::parse_text("<ir_version: 10, opset_import: [\"\" : 20, \"f\" : 1]>\n" + text), path_);
  }

  // Loads and runs the model of this text, optimised and not, with and without a cap of its own.
  // Every error must hold `place`; with `refused` there must be one. A cap of 0 is the machine's.
  void expect(const std::string& text, const std::string& place, const NamedTensors& inputs = {},
              bool refused = true, std::initializer_list<std::size_t> caps = {kCap, 0}) {
    SCOPED_TRACE(text.substr(0, 300));
    write(text);
    for (const bool optimize : {true, false}) {
      for (const std::size_t cap : caps) {
        if (cap == 0 && !refused) continue;
        hostile::within_limits([&] {
          run(place, inputs, {.threads = 1, .memory_limit = cap, .optimize = optimize}, refused);
        });
      }
    }
  }

  std::filesystem::path path_;

 private:
  void run(const std::string& place, const NamedTensors& inputs, const SessionOptions& options,
           bool refused) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(150);
    try {
      Session::load(path_, options).run(inputs, {}, {.deadline = deadline});
      EXPECT_FALSE(refused) << "no error; expected one of " << place;
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Errc::internal) << error.what();
      if (error.code() == Errc::deadline_exceeded) return;
      EXPECT_THAT(error.what(), HasSubstr(place));
    }
  }
};

const char* const kTera = "1048576, 1048576";

// What grows by numbers: as constants of the file, and as inputs of a run.
TEST_F(Bombs, ShapesThatAreConstants) {
  const std::string two(kTera);
  expect(
      "g () => (float[A,B] y) <float[1] x = {1}, int64[2] n = {" + two + "}> { y = Expand (x, n) }",
      "Expand");
  expect(
      "g () => (float[A] y) <float[1] x = {1}, int64[1] n = {1099511627776}> { y = Tile (x, n) }",
      "Tile");
  expect("g () => (float[A,B] y) <int64[2] n = {" + two + "}> { y = ConstantOfShape (n) }",
         "ConstantOfShape");
  expect("g () => (string[A,B] y) <int64[2] n = {" + two +
             "}, string[1] v = {\"x\"}> { e = Expand (v, n)  y = Identity (e) }",
         "Expand");
  expect(
      "g () => (int64[A] y) <int64 a = {0}, int64 b = {1099511627776}, int64 c = {1}> "
      "{ y = Range (a, b, c) }",
      "Range");
  expect(
      "g () => (float[A] y) <float a = {0}, float b = {1e12}, float c = {1}> "
      "{ y = Range (a, b, c) }",
      "Range");
  expect(
      "g () => (float[A] y) <float[1] x = {1}, int64[2] p = {1099511627776, 0}> "
      "{ y = Pad (x, p) }",
      "Pad");
  expect(
      "g () => (float[A,B] y) <int64[1] i = {0}, int64 d = {1099511627776}, float[2] v = {0, 1}> "
      "{ y = OneHot (i, d, v) }",
      "OneHot");
  expect("g () => (float[A,B] y) <int64[2] n = {" + two +
             "}> { x = ConstantOfShape (n)  y = EyeLike (x) }",
         "EyeLike");
  expect(
      "g (float[1,1,2,2] x) => (float[1,1,A,B] y) <int64[4] n = {1, 1, 1048576, 1048576}> "
      "{ y = Resize (x, , , n) }",
      "Resize", {{"x", Tensor(Dtype::f32, {1, 1, 2, 2})}});
}

// More bytes than 64 bits count.
TEST_F(Bombs, SizesThatOverflow) {
  expect(
      "g (float[1,1,2,2] x) => (float[1,1,A,B] y) <float[4] s = {1, 1, 1e9, 1e9}> "
      "{ y = Resize (x, , s) }",
      "[Resize \"y\"]", {{"x", Tensor(Dtype::f32, {1, 1, 2, 2})}});
  expect(
      "g () => (float[A,B] y) <int64[2] n = {4611686018427387904, 1}> { y = ConstantOfShape (n) }",
      "[ConstantOfShape \"y\"]");
  expect("g () => (y) { y = RandomNormal <shape = [4611686018427387904, 4]> () }",
         "[RandomNormal \"y\"]");
}

// What is drawn or counted takes memory and time by numbers of the file alone.
TEST_F(Bombs, NumbersInAttributes) {
  for (const char* op : {"RandomUniform", "RandomNormal"}) {
    expect(std::string("g () => (float[A,B] y) { y = ") + op + " <shape = [1048576, 1048576]> () }",
           op);
    expect(std::string("g () => (float[A] y) { y = ") + op + " <shape = [25000000]> () }", op, {},
           false);
  }
  expect("g (float[1,1] x) => (int32[A,B] y) { y = Multinomial <sample_size = 1099511627776> (x) }",
         "Multinomial", {{"x", Tensor(Dtype::f32, {1, 1})}});
  const std::string counts =
      "g (int64[N] x) => (float[M] y) { y = TfIdfVectorizer <mode = \"TF\", min_gram_length = 1, "
      "max_gram_length = 2, max_skip_count = 4611686018427387904, ngram_counts = [0, 1], "
      "pool_int64s = [0, 0, 0], ngram_indexes = ";
  const NamedTensors zeros{{"x", Tensor(Dtype::i64, {1 << 20})}};
  expect(counts + "[0, 1]> (x) }", "TfIdfVectorizer", zeros, false);
  expect(counts + "[0, 1099511627776]> (x) }", "TfIdfVectorizer", zeros);
  expect(counts + "[0, 9223372036854775806]> (x) }", "[TfIdfVectorizer \"y\"]", zeros);
}

// A pattern of which others would try exponentially many ways, or that means a large automaton.
TEST_F(Bombs, Patterns) {
  const NamedTensors x{{"x", Tensor::from_strings({std::string(1 << 20, 'a')}, {1})}};
  for (const char* pattern : {"(a*)*(a|aa)+[bc]d", "(a?){900}a{900}b", "(.*)(.*)(.*)(.*)[^a]"}) {
    expect(std::string("g (string[1] x) => (bool[1] y) { y = RegexFullMatch <pattern = \"") +
               pattern + "\"> (x) }",
           "RegexFullMatch", x, false);
  }
  expect(
      "g (string[1] x) => (bool[1] y) "
      "{ y = RegexFullMatch <pattern = \"((a{1000}){1000}){1000}\"> (x) }",
      "[RegexFullMatch \"y\"]", x);
}

TEST_F(Bombs, ShapesThatAreInputs) {
  const NamedTensors two{{"n", Tensor::from<int64_t>({1 << 20, 1 << 20}, {2})}};
  const NamedTensors one{{"n", Tensor::from<int64_t>({int64_t{1} << 40}, {1})}};
  const NamedTensors scalar{{"n", Tensor::scalar(int64_t{1} << 40)}};
  expect("g (int64[2] n) => (float[A,B] y) <float[1] x = {1}> { y = Expand (x, n) }", "Expand",
         two);
  expect("g (int64[1] n) => (float[A] y) <float[1] x = {1}> { y = Tile (x, n) }", "Tile", one);
  expect("g (int64[2] n) => (float[A,B] y) { y = ConstantOfShape (n) }", "ConstantOfShape", two);
  expect("g (int64 n) => (int64[A] y) <int64 a = {0}, int64 c = {1}> { y = Range (a, n, c) }",
         "Range", scalar);
  expect("g (int64[2] n) => (float[A] y) <float[1] x = {1}> { y = Pad (x, n) }", "Pad",
         {{"n", Tensor::from<int64_t>({int64_t{1} << 40, 0}, {2})}});
  expect(
      "g (int64 n) => (float[A,B] y) <int64[1] i = {0}, float[2] v = {0, 1}> "
      "{ y = OneHot (i, n, v) }",
      "OneHot", scalar);
  // Dimensions that say more than an empty tensor holds.
  const NamedTensors empty{{"n", Tensor::from<int64_t>({int64_t{1} << 60, 0}, {2})}};
  for (const char* op :
       {"Softmax (e)", "Relu (e)", "Concat <axis = 1> (e, e)", "Transpose (e)", "ReduceSum (e)",
        "CumSum (e, z)", "LogSoftmax <axis = 0> (e)", "Flatten (e)"}) {
    expect(std::string(
               "g (int64[2] n) => (float[A,B] y) <int64 z = {0}> { e = ConstantOfShape (n)  y = ") +
               op + " }",
           "[", empty, false);
  }
}

TEST_F(Bombs, Broadcasting) {
  const int64_t long_side = 1 << 20;
  const NamedTensors inputs{{"a", Tensor(Dtype::f32, {long_side, 1})},
                            {"b", Tensor(Dtype::f32, {1, long_side})}};
  for (const char* op : {"Add", "MatMul", "Mul", "Max"}) {
    expect(
        std::string("g (float[N,1] a, float[1,N] b) => (float[N,N] y) { y = ") + op + " (a, b) }",
        "y", inputs);
  }
}

// Constants that double, again and again, out of a handful of bytes.
TEST_F(Bombs, ConstantsThatDouble) {
  std::string text = "g () => (float[N] y) <float[1] c0 = {1}> {\n";
  for (int i = 0; i < 40; ++i) {
    const std::string value = "c" + std::to_string(i);
    text += "c" + std::to_string(i + 1) + " = Concat <axis = 0> (" + value + ", " + value + ")\n";
  }
  expect(text + "y = Identity (c40) }", "[");

  // … and many of a moderate size, which add up.
  text = "g () => (float[N] y) <int64[1] n = {16000}> {\nc0 = ConstantOfShape (n)\n";
  for (int i = 0; i < 4000; ++i)
    text += "c" + std::to_string(i + 1) + " = Neg (c" + std::to_string(i) + ")\n";
  expect(text + "y = Identity (c4000) }", "[", {}, false);

  // Products of constants: more to compute than to hold.
  text = "g () => (float[N,N] y) <int64[2] n = {2000, 2000}> {\nc0 = ConstantOfShape (n)\n";
  for (int i = 0; i < 100; ++i)
    text += "c" + std::to_string(i + 1) + " = MatMul (c" + std::to_string(i) + ", c0)\n";
  expect(text + "y = Identity (c100) }", "[", {}, false);
}

// What grows faster than the file does not load within the limits.
TEST_F(Bombs, LongChains) {
  std::string text = "g (float[4] v0) => (float[4] y) {\n";
  for (int i = 0; i < 40'000; ++i)
    text += "v" + std::to_string(i + 1) + " = Sin (v" + std::to_string(i) + ")\n";
  expect(text + "y = Relu (v40000) }", "[", {{"v0", Tensor(Dtype::f32, {4})}}, false);
}

TEST_F(Bombs, FunctionsThatDouble) {
  std::string text = "g (float[1] x) => (float[1] y) { y = f.f0 (x) }\n";
  for (int i = 0; i < 60; ++i) {
    const std::string next = "f.f" + std::to_string(i + 1);
    text += "<domain: \"f\", opset_import: [\"\" : 20, \"f\" : 1]> f" + std::to_string(i) +
            " (a) => (b) { c = " + next + " (a)  b = " + next + " (c) }\n";
  }
  text += "<domain: \"f\", opset_import: [\"\" : 20]> f60 (a) => (b) { b = Relu (a) }\n";
  expect(text, "has more than 262144 nodes", {{"x", Tensor::scalar(1.0F).reshape({1})}});

  // A short body with a long attribute, called often.
  std::string numbers = "1";
  for (int i = 0; i < 100'000; ++i) numbers += ", 1";
  text = "g (float[1] x) => (float[1] y) { ";
  for (int i = 0; i < 2000; ++i) text += "y" + std::to_string(i) + " = f.long (x)\n";
  text +=
      "y = f.long (x) }\n<domain: \"f\", opset_import: [\"\" : 20]> long (a) => (b) { "
      "c = Constant <value_ints = [" +
      numbers + "]> ()  b = Relu (a) }\n";
  expect(text, "take too much memory", {{"x", Tensor::scalar(1.0F).reshape({1})}});
}

TEST_F(Bombs, BranchesWithinBranches) {
  // 60 deep, each with nodes of its own; the condition is an input.
  std::string text = "g (bool c, float[1] x) => (float[1] y) { y = ";
  std::string close;
  for (int i = 0; i < 60; ++i) {
    text += "If (c) <then_branch = g" + std::to_string(i) + " () => (t" + std::to_string(i) +
            ") { t" + std::to_string(i) + " = ";
    close = " }, else_branch = h" + std::to_string(i) + " () => (e" + std::to_string(i) + ") { e" +
            std::to_string(i) + " = Neg (x) }>" + close;
  }
  expect(text + "Relu (x)" + close + " }", "If",
         {{"c", Tensor::scalar(true)}, {"x", Tensor::from<float>({1}, {1})}}, false);
}

TEST_F(Bombs, LoopsWithoutEnd) {
  const std::string forever =
      "g (float[2] x) => (float[2] y) <int64 n = {9223372036854775807}, bool yes = {1}> { y = Loop "
      "<body = "
      "l (int64 i, bool c, float[2] a) => (bool d, float[2] b) { d = Identity (c)  b = Neg (a) }> "
      "(n, yes, x) }";
  const NamedTensors x{{"x", Tensor::from<float>({1, 2}, {2})}};
  expect(forever, "Loop", x);
  // One more row an iteration, and a value that doubles: without a cap it may take what there is
  // until the deadline.
  expect(
      "g (float[2] x) => (float[N,2] y) <int64 n = {9223372036854775807}, bool yes = {1}> { z, y = "
      "Loop <body = l (int64 i, bool c, float[2] a) => (bool d, float[2] b, float[2] r) "
      "{ d = Identity (c)  b = Neg (a)  r = Abs (a) }> (n, yes, x) }",
      "Loop", x);
  expect(
      "g (float[2] x) => (float[N] y) <int64 n = {9223372036854775807}, bool yes = {1}> { y = Loop "
      "<body = l (int64 i, bool c, float[N] a) => (bool d, float[M] b) { d = Identity (c)  b = "
      "Concat <axis = 0> (a, a) }> (n, yes, x) }",
      "Loop", x, true, {kCap});
}

// Outputs that kernels size themselves count like all others.
TEST_F(Bombs, OutputsThatOnlyTheRunKnows) {
  const int64_t side = 1024;
  Tensor ones(Dtype::boolean, {side, side});
  std::fill_n(ones.values<bool>().begin(), ones.size(), true);
  const NamedTensors inputs{{"m", ones}, {"f", ones.reshape({side * side})}};
  for (const char* node : {"NonZero (m)", "OneHot (z, d, v)", "Compress (w, f)"}) {
    SCOPED_TRACE(node);
    write(std::string("g (bool[N,N] m, bool[M] f) => (y) <int64[1] z = {0}, float d = {1000000}, "
                      "float[2] v = {0, 1}> { w = Cast <to = 11> (f)  y = ") +
          node + " }");
    const auto run = [&](std::size_t cap) {
      return Session::load(path_, {.threads = 1, .memory_limit = cap}).run(inputs);
    };
    EXPECT_GT(run(std::size_t{64} << 20).at("y").bytes(), std::size_t{3} << 20);
    try {
      run(std::size_t{3} << 20);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::out_of_memory) << error.what();
    }
  }
}

// A long string, again and again: what strings say counts, before it is copied.
TEST_F(Bombs, LongStrings) {
  const NamedTensors x{{"x", Tensor::from_strings({std::string(1 << 20, 'x')}, {1})}};
  const std::string forever =
      "<int64 n = {9223372036854775807}, bool yes = {1}, int64[1] z = {0}, int64[1] m = "
      "{1000000}> ";
  for (const char* nodes :
       {"y = Expand (x, m)", "y = Tile (x, m)", "i = Expand (z, m)  y = Gather (x, i)",
        "s = SequenceConstruct (x, x, x)  t = SequenceMap <body = b (a) => (c) { c = Expand (a, m) "
        "}> "
        "(s)  y = SequenceAt (t, z)",
        "w, y = Loop <body = l (int64 i, bool c, string[1] a) => (bool d, string[1] b, string[1] "
        "r) "
        "{ d = Identity (c)  b = Identity (a)  r = Identity (a) }> (n, yes, x)",
        "y = Loop <body = l (int64 i, bool c, string[N] a) => (bool d, string[M] b) "
        "{ d = Identity (c)  b = Concat <axis = 0> (a, a) }> (n, yes, x)"}) {
    expect("g (string[1] x) => (string[N] y) " + forever + "{ " + nodes + " }", "", x, true,
           {kCap});
  }
}

TEST_F(Bombs, NamesThatGrow) {
  const std::string name(1 << 16, 'n');
  std::string text = "g (float[1] x) => (float[1] y) {\n";
  for (int i = 0; i < 2000; ++i) text += "y" + std::to_string(i) + " = f.call (x)\n";
  text += "y = f.call (x) }\n<domain: \"f\", opset_import: [\"\" : 20]> call (a) => (b) { [\"" +
          name + "\"] \"" + name + "\" = Relu (a)  b = Neg (\"" + name + "\") }\n";
  expect(text, "", {{"x", Tensor::scalar(1.0F).reshape({1})}}, false);

  // A dimension's name, in the type of every value.
  text = "g (float[" + std::string(1000, 's') + ",2,3,4] x) => (y) {\nv0 = Relu (x)\n";
  for (int i = 0; i < 3000; ++i)
    text += "v" + std::to_string(i + 1) + " = Neg (v" + std::to_string(i) + ")\n";
  expect(text + "y = Neg (v3000) }", "value", {{"x", Tensor(Dtype::f32, {1, 2, 3, 4})}}, false);
}

}  // namespace
}  // namespace tercel

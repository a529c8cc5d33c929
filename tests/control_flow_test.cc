// Control flow through a session: deadlines, cancellation and the memory cap reach into loops, and
// sequences and optional values go in and out.

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/error_test_util.h"
#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "tercel/session.h"

namespace tercel {
namespace {

using testing::HasSubstr;

class ControlFlow : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  Session load(const std::string& text, const SessionOptions& options = {.threads = 1}) {
    ir::write_onnx(*ir::parse_text("<ir_version: 10, opset_import: [\"\" : 20]>\n" + text, "test"),
                   path_);
    return Session::load(path_, options);
  }

  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      ("tercel-flow-" + std::to_string(::getpid()) + "-" +
       testing::UnitTest::GetInstance()->current_test_info()->name() + ".onnx");
};

constexpr const char* kEndless = R"(g (int64 n, float[N] x) => (float[N] y) {
  y = Loop (n, , x) <body = b (int64 i, bool c, float[N] s) => (bool d, float[N] t) {
    d = Identity (c)
    t = Identity (s)
  }>
})";

TEST_F(ControlFlow, ADeadlineEndsALoop) {
  const Session session = load(kEndless);
  const auto start = std::chrono::steady_clock::now();
  const Error error = error_of([&] {
    session.run({{"n", Tensor::scalar(INT64_MAX)}, {"x", Tensor::from({1.0F}, {1})}}, {},
                {.deadline = start + std::chrono::milliseconds(100)});
  });
  EXPECT_EQ(error.code(), Errc::deadline_exceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(ControlFlow, CancellingEndsALoop) {
  const Session session = load(kEndless);
  CancelFlag cancel = false;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cancel = true;
  });
  const Error error = error_of([&] {
    session.run({{"n", Tensor::scalar(INT64_MAX)}, {"x", Tensor::from({1.0F}, {1})}}, {},
                {.cancel = &cancel});
  });
  other.join();
  EXPECT_EQ(error.code(), Errc::cancelled);
}

TEST_F(ControlFlow, ScanOutputsCountAgainstTheLimit) {
  const Session session = load(R"(g (int64 n, float[N] x) => (float[M,N] y) {
    y = Loop (n, ) <body = b (int64 i, bool c) => (bool d, float[N] t) {
      d = Identity (c)
      t = Neg (x)
    }>
  })",
                               {.threads = 1, .memory_limit = std::size_t{8} << 20});
  const Tensor x(Dtype::f32, {1000});
  const auto small = session.run({{"n", Tensor::scalar(int64_t{3})}, {"x", x}});
  EXPECT_EQ(small.at("y").shape(), (Shape{3, 1000}));
  const Error error = error_of([&] { session.run({{"n", Tensor::scalar(INT64_MAX)}, {"x", x}}); });
  EXPECT_EQ(error.code(), Errc::out_of_memory);
  EXPECT_THAT(error.what(), HasSubstr("Loop"));
}

TEST_F(ControlFlow, SequencesCountAgainstTheLimit) {
  const Session session = load(R"(g (int64 n, float[N] x) => (seq(float[N]) y) {
    empty = SequenceEmpty ()
    y = Loop (n, , empty) <body = b (int64 i, bool c, seq(float[N]) s) => (bool d, seq(float[N]) t) {
      d = Identity (c)
      t = SequenceInsert (s, x)
    }>
  })",
                               {.threads = 1, .memory_limit = std::size_t{8} << 20});
  const Tensor x(Dtype::f32, {100000});
  const auto some = session.run({{"n", Tensor::scalar(int64_t{5})}, {"x", x}});
  EXPECT_EQ(some.at("y").items().size(), 5U);
  const Error error = error_of([&] { session.run({{"n", Tensor::scalar(INT64_MAX)}, {"x", x}}); });
  EXPECT_EQ(error.code(), Errc::out_of_memory);
}

TEST_F(ControlFlow, WhatAKernelAllocatesCounts) {
  const Session session = load("g (float[N] x) => (int64[1,M] y) { y = NonZero (x) }",
                               {.threads = 1, .memory_limit = std::size_t{1} << 20});
  Tensor x(Dtype::f32, {1 << 18});
  for (float& value : x.values<float>()) value = 1;
  EXPECT_EQ(error_of([&] { session.run({{"x", x}}); }).code(), Errc::out_of_memory);
}

// The shape of what is carried grows, and the body uses what lies around it.
TEST_F(ControlFlow, CarriedShapesMayChange) {
  const Session session = load(R"(g (int64 n, float[1] x) => (float[M] y) {
    y = Loop (n, , x) <body = b (int64 i, bool c, float[K] s) => (bool d, float[L] t) {
      d = Identity (c)
      t = Concat <axis = 0> (s, x)
    }>
  })");
  for (const int64_t n : {0, 1, 70}) {
    const auto y = session.run({{"n", Tensor::scalar(n)}, {"x", Tensor::from({2.5F}, {1})}});
    EXPECT_EQ(y.at("y").shape(), Shape{n + 1});
    for (const float value : y.at("y").values<float>()) EXPECT_EQ(value, 2.5F);
  }
}

// A view whose shape the data decide outlives the memory that it was a view of.
TEST_F(ControlFlow, ViewsOfUnknownShapeKeepTheirElements) {
  const Session session = load(R"(g (float[N] x, bool[N] b) => (float[K,M] y) <float[1] one = {1}> {
    a = Add (x, x)
    i = NonZero (b)
    s = Shape (i)
    minus = Constant <value = int64[1] {-1}> ()
    first = Gather <axis = 0> (s, z)
    z = Constant <value = int64[1] {0}> ()
    shape = Concat <axis = 0> (first, minus)
    y = Reshape (a, shape)
    c = Mul (a, a)
    d = Mul (c, c)
  })");
  const auto y = session.run(
      {{"x", Tensor::from({1.0F, 2.0F}, {2})}, {"b", Tensor::from({true, false}, {2})}});
  EXPECT_EQ(y.at("y").values<float>()[1], 4.0F);
}

TEST_F(ControlFlow, OptionalValuesMayBeMissing) {
  const Session session =
      load(R"(g (optional(float[N]) x, float[1] otherwise) => (bool has, float[M] y) {
    has = OptionalHasElement (x)
    y = If (has) <then_branch = t () => (float[N] a) { a = OptionalGetElement (x) },
                  else_branch = e () => (float[1] b) { b = Neg (otherwise) }>
  })");
  const Tensor otherwise = Tensor::from({3.0F}, {1});
  auto outputs = session.run({{"x", Tensor::from({1.0F, 2.0F}, {2})}, {"otherwise", otherwise}});
  EXPECT_TRUE(outputs.at("has").values<bool>()[0]);
  EXPECT_EQ(outputs.at("y").shape(), Shape{2});
  outputs = session.run({{"otherwise", otherwise}});
  EXPECT_FALSE(outputs.at("has").values<bool>()[0]);
  EXPECT_EQ(outputs.at("y").values<float>()[0], -3.0F);
  EXPECT_EQ(error_of([&] {
              session.run({{"x", Tensor::scalar(int64_t{1})}, {"otherwise", otherwise}});
            }).code(),
            Errc::invalid_argument);
}

TEST_F(ControlFlow, SequencesGoInAndOut) {
  const Session session = load(R"(g (seq(float[N]) x) => (seq(float[N]) y, int64 n) {
    n = SequenceLength (x)
    y = SequenceMap (x) <body = b (float[N] a) => (float[N] c) { c = Neg (a) }>
  })");
  const Tensor x = Tensor::sequence({Tensor::from({1.0F, 2.0F}, {2}), Tensor::from({3.0F}, {1})});
  const auto outputs = session.run({{"x", x}});
  EXPECT_EQ(outputs.at("n").values<int64_t>()[0], 2);
  ASSERT_EQ(outputs.at("y").items().size(), 2U);
  EXPECT_EQ(outputs.at("y").items()[0].values<float>()[1], -2.0F);
  EXPECT_EQ(session.inputs()[0].type, "seq(float[N])");
  EXPECT_THAT(error_of([&] {
                session.run({{"x", Tensor::scalar(1.0F)}});
              }).what(),
              HasSubstr("expects a sequence"));
  EXPECT_THAT(error_of([&] {
                session.run({{"x", Tensor::sequence({Tensor::scalar(int64_t{1})})}});
              }).what(),
              HasSubstr("item 0"));
}

}  // namespace
}  // namespace tercel

#include "src/ir/onnx_file.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/mapped_file.h"
#include "src/ir/random_model.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"

namespace tercel::ir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::unique_ptr<Model> parse(const std::string& bytes) {
  return parse_onnx(std::as_bytes(std::span(bytes)), "model");
}

std::string full_text(const Model& model) {
  TextOptions options;
  options.max_elements = INT64_MAX;
  return to_text(model, options);
}

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("tercel-ir-" + std::to_string(::getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

TEST(OnnxFile, RandomModelsComeBack) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const auto model = RandomModel(seed).make();
    verify(*model, Errc::internal);
    const std::string bytes = serialize_onnx(*model);
    const auto read = parse(bytes);
    verify(*read, Errc::internal);
    ASSERT_EQ(full_text(*read), full_text(*model));
    ASSERT_EQ(serialize_onnx(*read), bytes);
  }
}

TEST(OnnxFile, RandomModelsComeBackFromText) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const auto model = RandomModel(seed).make();
    const std::string text = full_text(*model);
    const auto read = parse_text(text);
    verify(*read, Errc::internal);
    ASSERT_EQ(full_text(*read), text);
  }
}

TEST(OnnxFile, EveryElementTypeLiesAlignedInWhatIsWritten) {
  const Folder folder;
  Model model;
  model.opsets = {{"", kOpset}};
  model.graph.name = "g";
  for (int number = 1; number <= static_cast<int>(Dtype::f6e3m2); ++number) {
    for (const int64_t size : {1, 5, 700}) {
      const auto dtype = static_cast<Dtype>(number);
      Tensor tensor(dtype, {size, 3});
      if (dtype != Dtype::string) std::memset(tensor.data(), 1, tensor.bytes());
      model.graph.add_initializer("t" + std::to_string(number) + "_" + std::to_string(size),
                                  tensor);
    }
  }
  write_onnx(model, folder / "m.onnx");
  const auto file = MappedFile::open(folder / "m.onnx");
  const auto read = parse_onnx(file->bytes(), "m.onnx", {}, file);
  EXPECT_EQ(serialize_onnx(*read), serialize_onnx(model));
  for (const Value* value : read->graph.initializers()) {
    const Tensor& tensor = value->initializer();
    if (tensor.dtype() == Dtype::string) continue;
    const auto* data = static_cast<const std::byte*>(tensor.data());
    EXPECT_TRUE(data >= file->bytes().data() && data < file->bytes().data() + file->bytes().size())
        << value->name() << " was copied";
  }
}

TEST(OnnxFile, ExternalDataComesBack) {
  const Folder folder;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto model = RandomModel(seed).make();
    WriteOptions options;
    options.external = true;
    options.external_threshold = 4;
    write_onnx(*model, folder / "m.onnx", options);
    const auto read = read_onnx(folder / "m.onnx");
    EXPECT_EQ(full_text(*read), full_text(*model));
    // Overwriting the file that the model lies in.
    write_onnx(*read, folder / "m.onnx", options);
    EXPECT_EQ(full_text(*read_onnx(folder / "m.onnx")), full_text(*model));
  }
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator((folder / "m.onnx").parent_path())) {
    files += entry.exists() ? 1 : 0;
  }
  EXPECT_LE(files, 2U) << "temporary files are left";
}

TEST(OnnxFile, WhatIsTooLargeForOneFileGoesToExternalData) {
  const Folder folder;
  Model model;
  model.opsets = {{"", kOpset}};
  model.graph.name = "g";
  for (int i = 0; i < 5; ++i) {
    Tensor tensor(Dtype::f32, {i == 0 ? 3 : 1000, 7});
    std::memset(tensor.data(), i + 1, tensor.bytes());
    model.graph.add_initializer("w" + std::to_string(i), tensor);
  }
  const std::size_t whole = serialize_onnx(model).size();
  for (const std::size_t largest : {whole, whole - 1, std::size_t{8192}}) {
    WriteOptions options;
    options.largest = largest;
    write_onnx(model, folder / "m.onnx", options);
    const bool external = largest < whole;
    EXPECT_EQ(fs::exists(folder / "m.onnx.data"), external);
    EXPECT_LE(fs::file_size(folder / "m.onnx"), largest);
    const auto read = read_onnx(folder / "m.onnx");
    EXPECT_EQ(serialize_onnx(*read), serialize_onnx(model));
  }
}

TEST(OnnxFile, AFailedWriteLeavesNothing) {
  const Folder folder;
  const auto model = RandomModel(1).make();
  EXPECT_THROW(write_onnx(*model, folder / "missing" / "m.onnx"), Error);
  EXPECT_FALSE(fs::exists(folder / "missing"));
  fs::create_directory(folder / "m.onnx");
  EXPECT_THROW(write_onnx(*model, folder / "m.onnx"), Error);
  EXPECT_TRUE(fs::is_directory(folder / "m.onnx"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / ""), fs::directory_iterator()), 1);
}

TEST(OnnxFile, NodesAreSortedAndShadowingNamesAreChanged) {
  const auto model = parse_text(R"(
    g (float[2] x, bool c) => (float[2] y) {
      y = Relu (r)
      r = If (c) <then_branch: graph = a () => (x1) { x1 = Neg (t) },
                  else_branch: graph = b () => (r2) { r2 = Loop (,) <body: graph =
                     l (int64 i, x) => (i2) { i2 = Add (i, x) }> }>
      t = Tanh (x)
    })");
  verify(*model);
  EXPECT_EQ(model->graph.nodes().front()->op_type(), "Tanh");
  EXPECT_EQ(model->graph.nodes().back()->op_type(), "Relu");
}

void expect_text_error(const char* text, const char* message) {
  try {
    verify(*parse_text(text));
    FAIL() << "no error; expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::invalid_file);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(OnnxText, MistakesAreFoundWhereTheyAre) {
  expect_text_error("g (x) => (y) {\n  y = Relu <a: int = 1.5> (x) }",
                    "text:2:22: expected an integer");
  expect_text_error("g (x) => (y) {\n  y = Relu (x)", "text:2:15: expected '='");
  expect_text_error("g (x) -> (y) {}", "text:1:7: expected '=>'");
  expect_text_error("g (x) => (x) <float[2] w = {1, 2, 3}> {}", "expected 2 values before this");
  expect_text_error("g (x) => (x) <float[9] w = {1, ...}> {}", "were left out here");
  expect_text_error("g (x) => (x) <uint8[1] w = {256}> {}", "an integer that fits");
  expect_text_error("g (x) => (x) <float[4294967296,4294967296] w = {}> {}", "fits into memory");
  expect_text_error("<ir_version: 10, colour: 3> g () => () {}", "\"colour\" is none");
  expect_text_error("g (x) => (y) { y = Relu (z) }", "[Relu \"y\"]: input \"z\"");
  expect_text_error("g (x) => (y) { y = Relu (z) z = Relu (y) }", "depends on its own output");
  expect_text_error("g (x) => (x) { x = Relu (x) }", "two values are named \"x\"");
  expect_text_error("g (x) => (y) { y = Relu <a = 1, a = 2> (x) }", "two attributes");
}

TEST(Verify, FindsWhatIsBroken) {
  expect_text_error("g (x) => (y) { y = other.Op (x) }", "operator set \"other\"");
  expect_text_error("g (x) => (y) { y = Op <a: int = @b> (x) }", "outside of a function");
  expect_text_error(
      R"(<ir_version: 10, opset_import: ["" : 20, "d" : 1]> g (x) => (y) { y = d.f (x) }
    <domain: "d", opset_import: ["d" : 1]> f (a) => (b) { b = d.g (a) }
    <domain: "d", opset_import: ["d" : 1]> g (a) => (b) { b = d.f (a) })",
      "call each other in a circle");

  const auto model = parse_text("g (x) => (y) { z = Relu (x) y = Neg (z) }");
  Graph& graph = model->graph;
  graph.move_before(graph.nodes().back().get(), graph.nodes().front().get());
  EXPECT_THROW(verify(*model), Error);
  EXPECT_EQ(graph.sort(), nullptr);
  verify(*model);
}

TEST(Verify, DeepAndLargeGraphs) {
  Model model;
  model.opsets = {{"", kOpset}};
  Value* x = model.graph.add_input("x", {});
  Value* weight = model.graph.add_initializer("w", Tensor::scalar(1.0F));
  Value* last = x;
  constexpr int kNodes = 200'000;
  for (int i = 0; i < kNodes; ++i) {
    last = model.graph.add_node("Add", {last, weight})->add_output("v" + std::to_string(i));
  }
  model.graph.add_output(last);
  verify(model);
  EXPECT_EQ(weight->uses().size(), static_cast<std::size_t>(kNodes));
  const auto read = parse(serialize_onnx(model));
  verify(*read);
  Value* other = model.graph.add_initializer("o", Tensor::scalar(2.0F));
  model.graph.replace_uses(weight, other);
  model.graph.erase_leaf(weight);
  verify(model);
  Graph copy;
  model.graph.clone_into(copy);
  EXPECT_EQ(copy.nodes().size(), static_cast<std::size_t>(kNodes));
}

}  // namespace
}  // namespace tercel::ir

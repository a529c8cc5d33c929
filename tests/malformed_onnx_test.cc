// Malformed ONNX files: each a typed error, never a crash, within a second and 256 MB.

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/ir/onnx_file.h"
#include "src/ir/random_model.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "tests/hostile.h"
#include "tests/hostile_models.h"

namespace tercel::ir {
namespace {

namespace fs = std::filesystem;
using hostile::add_info;
using hostile::add_node;
using hostile::external_tensor;
using hostile::model_of;
using hostile::nest_graphs;
using hostile::tensor_of;
using hostile::within_limits;
using protozero::pbf_writer;
using ::testing::HasSubstr;

std::unique_ptr<Model> parse(const std::string& file, const fs::path& folder = {}) {
  const auto bytes = hostile::heap_copy(file);
  auto model = parse_onnx({bytes.get(), file.size()}, "m.onnx", folder, bytes);
  verify(*model);
  return model;
}

void expect_error(const std::string& file, const std::string& message,
                  Errc code = Errc::invalid_file, const fs::path& folder = {}) {
  within_limits([&] {
    try {
      parse(file, folder);
      ADD_FAILURE() << "no error; expected: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  });
}

// Whether it is valid; anything but an Error is a failure.
bool error_or_valid(const std::string& file) {
  try {
    serialize_onnx(*parse(file));
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(MalformedOnnx, EveryTruncation) {
  for (const uint32_t seed : {7U, 21U}) {
    const std::string good = serialize_onnx(*RandomModel(seed).make());
    parse(good);
    int whole = 0;  // metadata come last: without some of them it is a model as well
    hostile::Watch watch;
    for (std::size_t size = 0; size < good.size(); ++size) {
      watch.file([&] { whole += error_or_valid(good.substr(0, size)) ? 1 : 0; });
    }
    EXPECT_LE(whole, 4);
  }
}

TEST(MalformedOnnx, RandomChangesAreErrorsOrValid) {
  const std::string good = serialize_onnx(*RandomModel(3).make());
  std::mt19937 random(20240612);
  for (int round = 0; round < 20'000; ++round) {
    error_or_valid(hostile::damaged(good, random));
  }
}

TEST(MalformedOnnx, NoModelAtAll) {
  expect_error("", "expected an ONNX model");
  expect_error("\x08\x0a", "expected an ONNX model");
  expect_error("This is no model.", "m.onnx: byte");
  expect_error(std::string(1000, '\xff'), "m.onnx: byte");
  expect_error(std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10), "more bytes");
}

TEST(MalformedOnnx, Dimensions) {
  expect_error(tensor_of({-1}, 1, "1234"), "negative dimension");
  expect_error(tensor_of({INT64_MIN, 2}, 1, "1234"), "negative dimension");
  expect_error(tensor_of({int64_t{1} << 40, int64_t{1} << 40}, 1, "1234"), "overflows");
  expect_error(tensor_of({INT64_MAX}, 1, "1234"), "overflows");
  expect_error(tensor_of({int64_t{1} << 33}, 1, "1234"), "expected 34359738368 bytes");
  expect_error(tensor_of({2}, 1, "1234"), "expected 8 bytes for f32 of shape 2, found 4");
  expect_error(tensor_of({1}, 99, "1234"), "element type 99", Errc::unsupported);
  expect_error(tensor_of({1}, 0, "1234"), "expected an element type");
  expect_error(tensor_of({1}, 8, "1234"), "strings cannot be raw");
  expect_error(tensor_of(Shape(65, 1), 1, "1234"), "rank 65");
}

TEST(MalformedOnnx, TypedData) {
  for (const int32_t type : {1, 2, 6, 7, 11, 13, 15, 16, 22}) {
    expect_error(tensor_of([&](pbf_writer& tensor) {
                   encode_dims(tensor, {int64_t{1} << 40});
                   tensor.add_int32(proto::tensor::data_type, type);
                 }),
                 "are missing");
  }
  expect_error(tensor_of([](pbf_writer& tensor) {
                 encode_dims(tensor, {4});
                 tensor.add_int32(proto::tensor::data_type, 1);
                 tensor.add_float(proto::tensor::float_data, 1.0F);
               }),
               "expected 4 numbers for f32 of shape 4, found 1");
  expect_error(tensor_of([](pbf_writer& tensor) {
                 encode_dims(tensor, {int64_t{1} << 40});
                 tensor.add_int32(proto::tensor::data_type, 8);
                 tensor.add_bytes(proto::tensor::string_data, "one");
               }),
               "strings for shape");
}

std::string sparse_of(const Shape& shape, const std::vector<int64_t>& indices) {
  return model_of([&](pbf_writer& graph) {
    pbf_writer sparse(graph, proto::graph::sparse_initializer);
    {
      pbf_writer values(sparse, proto::sparse::values);
      const auto count = static_cast<int64_t>(indices.size());
      encode_tensor(values, Tensor::from(std::vector<float>(indices.size(), 1.0F), {count}), "s");
    }
    {
      pbf_writer part(sparse, proto::sparse::indices);
      encode_tensor(part, Tensor::from(indices, {static_cast<int64_t>(indices.size())}));
    }
    for (const int64_t dim : shape) sparse.add_int64(proto::sparse::dims, dim);
  });
}

TEST(MalformedOnnx, SparseTensors) {
  const auto good = parse(sparse_of({2, 3}, {0, 5}));
  const auto values = good->graph.initializers()[0]->initializer().values<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()),
            (std::vector<float>{1, 0, 0, 0, 0, 1}));
  expect_error(sparse_of({2, 3}, {0, 6}), "index 1 lies outside");
  expect_error(sparse_of({2, 3}, {-1}), "index 0 lies outside");
  expect_error(sparse_of({2, 3}, {5, 1}), "index 1 is not behind the one before it");
  expect_error(sparse_of({2, 3}, {1, 1}), "index 1 is not behind the one before it");
  expect_error(sparse_of({int64_t{1} << 40}, {1}), "too large for the size of the file");
  expect_error(sparse_of({int64_t{1} << 40, int64_t{1} << 40}, {1}), "overflows");
}

TEST(MalformedOnnx, Names) {
  expect_error(model_of([](pbf_writer& graph) {
                 add_info(graph, proto::graph::input, "x");
                 add_node(graph, "x", "x");
               }),
               "two values are named \"x\"");
  expect_error(model_of([](pbf_writer& graph) {
                 add_info(graph, proto::graph::input, "x");
                 add_info(graph, proto::graph::input, "x");
               }),
               "two values are named \"x\"");
  expect_error(model_of([](pbf_writer& graph) { add_node(graph, "missing", "y"); }),
               "node [Relu \"y\"]: input \"missing\"");
  expect_error(model_of([](pbf_writer& graph) { add_info(graph, proto::graph::output, "y"); }),
               "output \"y\" is not computed");
  expect_error(model_of([](pbf_writer& graph) { add_info(graph, proto::graph::input, "\xff"); }),
               "expected a name in UTF-8");
  expect_error(model_of([](pbf_writer& graph) {
                 add_node(graph, "c", "a");
                 add_node(graph, "a", "b");
                 add_node(graph, "b", "c");
                 add_node(graph, "c", "d");
               }),
               "depends on its own output");
}

TEST(MalformedOnnx, Nesting) {
  parse(model_of([](pbf_writer& graph) { nest_graphs(graph, 64); }));
  for (const int depth : {65, 1000}) {
    expect_error(model_of([&](pbf_writer& graph) { nest_graphs(graph, depth); }),
                 "nested more than 64 deep");
  }
  Type type = Type::tensor(Dtype::f32);
  for (int i = 0; i < 1000; ++i) {
    type = {Type::Kind::sequence, {}, {}, std::make_shared<Type>(type)};
  }
  expect_error(model_of([&](pbf_writer& graph) {
                 pbf_writer info(graph, proto::graph::input);
                 info.add_string(proto::value_info::name, "x");
                 pbf_writer part(info, proto::value_info::type);
                 encode_type(part, type);
               }),
               "types are nested");
  std::string text = "g () => () <";
  for (int i = 0; i < 100'000; ++i) text += "seq(";
  EXPECT_THROW(parse_text(text), Error);
}

TEST(MalformedOnnx, ManyOfEverything) {
  const auto repeated = [](int count, const std::function<void(pbf_writer&, int)>& add) {
    return model_of([&](pbf_writer& graph) {
      for (int i = 0; i < count; ++i) add(graph, i);
    });
  };
  within_limits([&] {
    error_or_valid(repeated(50'000, [](pbf_writer& graph, int) { add_node(graph, "", ""); }));
  });
  within_limits([&] {
    error_or_valid(repeated(50'000, [](pbf_writer& graph, int i) {
      add_info(graph, proto::graph::input, std::to_string(i));
    }));
  });
  expect_error(model_of([](pbf_writer& graph) {
                 pbf_writer node(graph, proto::graph::node);
                 node.add_string(proto::node::op_type, "Op");
                 for (int i = 0; i < 50'000; ++i) {
                   pbf_writer attribute(node, proto::node::attribute);
                   attribute.add_string(proto::attribute::name, std::to_string(i));
                 }
               }),
               "50000 attributes");
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::temp_directory_path() / ("tercel-external-" + std::to_string(::getpid()));
    fs::create_directories(base_ / "model" / "sub");
    write(base_ / "outside.bin");
    write(base_ / "model" / "inside.bin");
    write(base_ / "model" / "sub" / "deeper.bin");
    fs::create_symlink("../outside.bin", base_ / "model" / "link.bin");
    fs::create_directory_symlink("..", base_ / "model" / "up");
    fs::create_symlink("inside.bin", base_ / "model" / "good_link.bin");
    fs::create_symlink("loop.bin", base_ / "model" / "loop.bin");
    ASSERT_EQ(::mkfifo((base_ / "model" / "fifo").c_str(), 0600), 0);
  }
  void TearDown() override { fs::remove_all(base_); }

  static void write(const fs::path& path) { std::ofstream(path) << "0123456789abcdef"; }

  void expect(const std::string& location, const std::string& message,
              Errc code = Errc::invalid_file) {
    SCOPED_TRACE(location);
    expect_error(external_tensor(location, "0", "8"), message, code, base_ / "model");
  }

  fs::path base_;
};

TEST_F(ExternalData, InsideTheFolder) {
  for (const char* location : {"inside.bin", "sub/deeper.bin", "./inside.bin", "good_link.bin"}) {
    const auto read = parse(external_tensor(location, "8", "8"), base_ / "model");
    EXPECT_EQ(std::memcmp(read->graph.initializers()[0]->initializer().data(), "89abcdef", 8), 0);
  }
}

TEST_F(ExternalData, OutsideTheFolder) {
  expect("../outside.bin", "inside the model's folder");
  expect("sub/../../outside.bin", "inside the model's folder");
  expect("sub/../inside.bin", "inside the model's folder");
  expect((base_ / "outside.bin").string(), "inside the model's folder");
  expect("/etc/passwd", "inside the model's folder");
  expect("", "inside the model's folder");
  expect(std::string("inside.bin\0x", 12), "external data \"inside.bin");  // cut at the zero
  expect("link.bin", "a link out of the model's folder");
  expect("up/outside.bin", "a link out of the model's folder");
  expect("missing.bin", "is missing", Errc::not_found);
  expect("loop.bin", "loop.bin", Errc::io);
  expect("fifo", "not a regular file");
  expect("sub", "not a regular file");
  expect("/dev/zero", "inside the model's folder");
  expect_error(external_tensor("inside.bin", "0", "8"), "needs a model on disk");
}

TEST_F(ExternalData, Ranges) {
  const auto range = [&](const char* offset, const char* length, const char* message) {
    SCOPED_TRACE(offset);
    expect_error(external_tensor("inside.bin", offset, length), message, Errc::invalid_file,
                 base_ / "model");
  };
  range("9", "8", "pass its end at 16");
  range("17", "8", "pass its end at 16");
  range("18446744073709551608", "8", "pass its end at 16");
  range("18446744073709551616", "8", "expected a number of bytes as offset");
  range("-1", "8", "expected a number of bytes as offset");
  range("0x0", "8", "expected a number of bytes as offset");
  range("", "8", "expected a number of bytes as offset");
  range("0", "4", "expected 8 bytes of external data");
  range("0", "99999999999", "expected 8 bytes of external data");
}

}  // namespace
}  // namespace tercel::ir

// More than a thousand malformed files of every kind that is read, made here: each is a typed error
// that says what is wrong (or, where a cut leaves a whole file, is read), within a second and
// 256 MB, and the process lives. Over 400 lines: one list of what can be wrong, counted as a whole.

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "src/base/json.h"
#include "src/hub/safetensors.h"
#include "src/ir/text.h"
#include "tercel/session.h"
#include "tercel/tokenizer.h"
#include "tests/hostile.h"
#include "tests/hostile_collection.h"
#include "tests/hostile_models.h"

namespace tercel {
namespace {

namespace fs = std::filesystem;
namespace proto = ir::proto;
using hostile::add_info;
using hostile::add_node;
using hostile::Collection;
using hostile::model_of;
using hostile::nest_graphs;
using hostile::tensor_of;
using protozero::pbf_writer;

const fs::path kData = fs::path(TERCEL_SOURCE_DIR) / "tests/data";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string small_safetensors() {
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"U8","shape":[5],)"
      R"("data_offsets":[24,29]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  return file + header + std::string(29, '\1');
}

void parse_safetensors(const std::string& file) {
  const auto bytes = hostile::heap_copy(file);
  hub::parse_safetensors({bytes.get(), file.size()}, "file.safetensors", bytes);
}

// A cut that only loses optional fields at the end leaves a whole file: those are few.
void truncations(Collection& files) {
  int whole = 0;
  const std::string onnx = read(kData / "onnx/if_capture.onnx");
  for (std::size_t size = 0; size < onnx.size(); ++size) {
    whole += files.survived([&] { files.load_onnx(onnx.substr(0, size)); }) ? 1 : 0;
  }
  EXPECT_LE(whole, 8);
  files.section("truncations of an ONNX model");

  const std::string tensors = small_safetensors();
  for (std::size_t size = 0; size < tensors.size(); ++size) {
    files.refused([&] { parse_safetensors(tensors.substr(0, size)); }, "file.safetensors");
  }
  files.section("truncations of a safetensors file");

  const std::string external = read(kData / "onnx/external.onnx");
  const std::string data = read(kData / "onnx/external.data");
  std::ofstream(files.folder() / "external.data", std::ios::binary) << data;
  whole = 0;
  for (std::size_t size = 0; size < external.size(); ++size) {
    whole += files.survived([&] { files.load_onnx(external.substr(0, size)); }) ? 1 : 0;
  }
  EXPECT_LE(whole, 8);
  for (std::size_t size = 0; size < data.size(); size += 16) {
    fs::resize_file(files.folder() / "external.data", size);
    files.refused([&] { files.load_onnx(external); }, "external data \"external.data\"");
    std::ofstream(files.folder() / "external.data", std::ios::binary) << data;
  }
  files.section("truncations of a model with external data, and of the data");

  const std::string tokenizer = read(kData / "checkpoints/bert_qa/tokenizer.json");
  for (std::size_t size = 0; size < tokenizer.rfind('}'); size += 7) {
    files.refused([&] { Tokenizer::parse(tokenizer.substr(0, size)); }, "tokenizer.json");
  }
  files.section("truncations of a tokenizer.json");
}

void dimensions(Collection& files) {
  const std::array<Shape, 6> bad{Shape{-1},
                                 Shape{INT64_MIN, 2},
                                 Shape{INT64_MAX},
                                 Shape{int64_t{1} << 40, int64_t{1} << 40},
                                 Shape{int64_t{1} << 45},
                                 Shape(65, 1)};
  for (int32_t type = -1; type <= 30; ++type) {
    for (const Shape& shape : bad) {
      files.refused_onnx(tensor_of(shape, type, "1234"), "tensor \"w\": ");
      files.refused_onnx(tensor_of([&](pbf_writer& tensor) {
                           ir::encode_dims(tensor, shape);
                           tensor.add_int32(proto::tensor::data_type, type);
                         }),
                         "tensor \"w\": ");
    }
  }
  for (const int64_t size : {int64_t{-2}, INT64_MIN, int64_t{-1000}}) {
    files.refused_onnx(model_of([&](pbf_writer& graph) {
                         pbf_writer info(graph, proto::graph::input);
                         info.add_string(proto::value_info::name, "x");
                         pbf_writer type(info, proto::value_info::type);
                         pbf_writer tensor(type, proto::type::tensor);
                         pbf_writer shape(tensor, proto::type::shape);
                         pbf_writer dim(shape, proto::shape::dim);
                         dim.add_int64(proto::shape::dim_value, size);
                       }),
                       "value \"x\": dimension ");
  }
  const std::string symbol(2000, 'n');
  files.refused_onnx(model_of([&](pbf_writer& graph) {
                       pbf_writer info(graph, proto::graph::input);
                       info.add_string(proto::value_info::name, "x");
                       pbf_writer type(info, proto::value_info::type);
                       ir::encode_type(type, ir::Type::tensor(Dtype::f32, {ir::Dim(symbol)}));
                     }),
                     "the name of a dimension has 2000 bytes");
  files.section("negative, overflowing and unjustified dimensions");
}

void add_constant(pbf_writer& graph, const std::string& name) {
  pbf_writer tensor(graph, proto::graph::initializer);
  ir::encode_tensor(tensor, Tensor::scalar(1.0F), name);
}

void names(Collection& files) {
  // Each pair of things that may not have the same name.
  using Declare = void (*)(pbf_writer&);
  const std::array<std::pair<uint32_t, Declare>, 3> kinds{
      std::pair<uint32_t, Declare>{1, [](pbf_writer& g) { add_info(g, proto::graph::input, "x"); }},
      {2, [](pbf_writer& g) { add_constant(g, "x"); }},
      {3, [](pbf_writer& g) { add_node(g, "", "x"); }}};
  for (const auto& [first, declare] : kinds) {
    for (const auto& [second, again] : kinds) {
      if (first + second == 3) continue;  // an input with a default
      files.refused_onnx(model_of([&, declare = declare, again = again](pbf_writer& graph) {
                           declare(graph);
                           again(graph);
                         }),
                         "\"x\"");
    }
  }
  const auto function = [](pbf_writer& model) {
    pbf_writer part(model, proto::model::functions);
    part.add_string(proto::function::name, "f");
  };
  files.refused_onnx(model_of([](pbf_writer&) {},
                              [&](pbf_writer& model) {
                                function(model);
                                function(model);
                              }),
                     "two functions are named \"f\"");
  files.refused_onnx(model_of([](pbf_writer& graph) {
                       pbf_writer node(graph, proto::graph::node);
                       node.add_string(proto::node::op_type, "Op");
                       for (int i = 0; i < 2; ++i) {
                         pbf_writer attribute(node, proto::node::attribute);
                         attribute.add_string(proto::attribute::name, "a");
                         attribute.add_int64(proto::attribute::i, 1);
                       }
                     }),
                     "two attributes are named \"a\"");
  files.refused_onnx(model_of([](pbf_writer&) {},
                              [](pbf_writer& model) {
                                ir::encode_opsets(model, proto::model::opset_import, {{"", 19}});
                              }),
                     "imported twice");

  for (int length = 1; length <= 64; ++length) {
    files.refused_onnx(model_of([&](pbf_writer& graph) {
                         for (int i = 0; i < length; ++i)
                           add_node(graph, "v" + std::to_string(i),
                                    "v" + std::to_string((i + 1) % length));
                       }),
                       "depends on its own output");
    files.refused_onnx(model_of([&](pbf_writer& graph) {
                         for (int i = 0; i < length; ++i)
                           add_node(graph, i == length / 2 ? "nowhere" : "",
                                    "v" + std::to_string(i));
                       }),
                       "input \"nowhere\" is not a value of the graph");
  }
  files.refused_onnx(
      model_of([](pbf_writer& graph) { add_info(graph, proto::graph::output, "y"); }),
      "output \"y\" is not computed");
  files.section("names given twice, cycles and missing inputs");
}

void nesting(Collection& files) {
  constexpr int kDeep = 100'000;
  // Graphs in attributes of nodes, from the model or from a function; types; unknown messages.
  const auto model_with = [](uint32_t field, const std::string& nested) {
    return model_of([](pbf_writer&) {},
                    [&](pbf_writer& model) { model.add_message(field, nested); });
  };
  for (const int depth : {1000, kDeep}) {
    // node { attribute { g { node … } } }: without names, refused at the first level that is read
    const std::string graphs =
        hostile::nested({proto::node::attribute, proto::attribute::g, proto::graph::node}, depth);
    files.refused_onnx(
        model_of([&](pbf_writer& graph) { graph.add_message(proto::graph::node, graphs); }),
        "has no operator");
    for (const uint32_t container : {static_cast<uint32_t>(proto::type::sequence),
                                     static_cast<uint32_t>(proto::type::optional)}) {
      files.refused_onnx(model_of([&](pbf_writer& graph) {
                           pbf_writer info(graph, proto::graph::input);
                           info.add_string(proto::value_info::name, "x");
                           info.add_message(
                               proto::value_info::type,
                               hostile::nested({container, proto::type::elem_type}, depth));
                         }),
                         "types are nested more than");
    }
    files.survived([&] { files.load_onnx(model_with(99, hostile::nested({7}, depth))); });

    std::string text = "g () => () <";
    for (int i = 0; i < depth; ++i) text += "seq(";
    files.refused([&] { ir::parse_text(text); }, "text:1:");
    text = "g () => () { y = ";
    for (int i = 0; i < depth; ++i) text += "If <then_branch = g () => () { y = ";
    files.refused([&] { ir::parse_text(text); }, "text:1:");

    for (const char* open : {"[", "{\"a\":", "[[{\"x\":"}) {
      std::string json = "{\"model\":";
      for (int i = 0; i < depth; ++i) json += open;
      files.refused([&] { JsonDocument::parse(json, "config.json"); }, "config.json: not valid");
      files.refused([&] { Tokenizer::parse(json); }, "tokenizer.json: not valid");
      files.refused(
          [&] {
            std::string length(8, '\0');
            const uint64_t size = json.size();
            std::memcpy(length.data(), &size, 8);
            parse_safetensors(length + json);
          },
          "file.safetensors");
    }
  }
  files.section("nesting, a hundred thousand deep");
}

void sizes(Collection& files) {
  files.refused_onnx(model_of([](pbf_writer& graph) { nest_graphs(graph, 1000); }),
                     "nested more than 64 deep");
  const auto many = [&](int count, const std::function<void(pbf_writer&, int)>& add) {
    return model_of([&](pbf_writer& graph) {
      for (int i = 0; i < count; ++i) add(graph, i);
    });
  };
  constexpr int kMillion = 1'000'000;
  const auto name = [](int i) { return "v" + std::to_string(i); };
  files.refused_onnx(
      many(kMillion, [&](pbf_writer& g, int i) { add_node(g, name(i), name(i + 1)); }),
      "more than 262144 nodes");
  files.refused_onnx(many(kMillion, [&](pbf_writer& g, int i) { add_node(g, "x", name(i)); }),
                     "more than 262144 nodes");
  files.refused_onnx(many(kMillion, [](pbf_writer& g, int) { add_node(g, "", ""); }),
                     "more than 262144 nodes");
  files.refused_onnx(many(kMillion, [&](pbf_writer& g, int) { add_constant(g, "w"); }),
                     "more than 524288 inputs");
  files.refused_onnx(
      many(20'000, [&](pbf_writer& g, int i) { add_info(g, proto::graph::input, name(i)); }),
      "20000 inputs; at most 16384");
  files.refused_onnx(
      many(20'000, [&](pbf_writer& g, int i) { add_info(g, proto::graph::output, name(i)); }),
      "20000 outputs; at most 16384");
  files.refused_onnx(model_of([](pbf_writer&) {},
                              [&](pbf_writer& model) {
                                for (int i = 0; i < 5000; ++i) {
                                  pbf_writer part(model, proto::model::functions);
                                  part.add_string(proto::function::name, name(i));
                                }
                              }),
                     "5000 functions; at most 4096");
  // A long name around many nodes must not be copied into each one's place.
  files.survived([&] {
    files.load_onnx(model_of([&](pbf_writer& graph) {
      pbf_writer node(graph, proto::graph::node);
      node.add_string(proto::node::op_type, "If");
      node.add_string(proto::node::name, std::string(1 << 20, 'n'));
      pbf_writer attribute(node, proto::node::attribute);
      attribute.add_string(proto::attribute::name, "then_branch");
      attribute.add_int32(proto::attribute::type, static_cast<int32_t>(proto::Kind::graph));
      pbf_writer sub(attribute, proto::attribute::g);
      for (int i = 0; i < 20'000; ++i) {
        pbf_writer inner(sub, proto::graph::node);
        inner.add_string(proto::node::op_type, "Op");
        pbf_writer value(inner, proto::node::attribute);
        value.add_string(proto::attribute::name, "a");
        value.add_int64(proto::attribute::i, 1);
      }
    }));
  });
  files.section("a thousand graphs deep, a million nodes");
}

void offsets(Collection& files) {
  for (int begin = -2; begin <= 10; ++begin) {
    for (int end = -2; end <= 10; ++end) {
      if (begin == 4 && end == 8) continue;
      const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                 R"("b":{"dtype":"U8","shape":[4],"data_offsets":[)" +
                                 std::to_string(begin) + "," + std::to_string(end) + "]}}";
      std::string file(8, '\0');
      file[0] = static_cast<char>(header.size());
      files.refused([&] { parse_safetensors(file + header + std::string(8, '\1')); },
                    "tensor \"b\"");
    }
  }
  files.section("tensors that overlap, and gaps between them");
}

void external(Collection& files) {
  const fs::path& folder = files.folder();
  std::ofstream(folder / "ok.bin") << "0123456789abcdef";
  fs::create_directories(folder / "sub");
  const fs::path outside = folder.string() + ".outside";
  std::ofstream(outside) << "0123456789abcdef";
  fs::create_symlink(outside, folder / "link");
  fs::create_symlink("/dev/zero", folder / "zero");
  fs::create_symlink("loop", folder / "loop");
  fs::create_directory_symlink("..", folder / "up");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const auto at = [&](const std::string& location) {
    return hostile::external_tensor(location, "0", "8");
  };
  files.load_onnx(at("ok.bin"));
  for (const std::string& location : {std::string(),
                                      std::string(".."),
                                      "../" + outside.filename().string(),
                                      std::string("sub/../ok.bin"),
                                      outside.string(),
                                      std::string("/etc/passwd"),
                                      std::string("/dev/zero"),
                                      std::string("/proc/self/mem"),
                                      std::string("link"),
                                      std::string("zero"),
                                      std::string("loop"),
                                      std::string("up/") + outside.filename().string(),
                                      std::string("fifo"),
                                      std::string("sub"),
                                      std::string("."),
                                      std::string("missing"),
                                      std::string("ok.bin/"),
                                      std::string("ok.bin\0", 7),
                                      std::string(5000, 'a'),
                                      std::string(1 << 20, '/'),
                                      std::string("\xff\xfe")}) {
    files.refused_onnx(at(location), "tensor \"w\": external data");
  }
  // A device file can only be made by root.
  if (::mknod((folder / "device").c_str(), S_IFCHR | 0600, ::makedev(1, 5)) == 0)
    files.refused_onnx(at("device"), "not a regular file");
  for (const char* number : {"-1", "9", "17", "18446744073709551608", "18446744073709551616", "0x0",
                             "", " 0", "0 ", "1e3", "99999999999999999999999"}) {
    files.refused_onnx(hostile::external_tensor("ok.bin", number, "8"), "tensor \"w\": external");
    files.refused_onnx(hostile::external_tensor("ok.bin", "0", number), "tensor \"w\": ex");
  }
  fs::remove(outside);

  // The same unaligned bytes, over and over.
  std::ofstream(folder / "large.bin", std::ios::binary) << std::string((8 << 20) + 1, '\1');
  files.refused_onnx(model_of([](pbf_writer& graph) {
                       for (int i = 0; i < 1000; ++i) {
                         pbf_writer tensor(graph, proto::graph::initializer);
                         tensor.add_string(proto::tensor::name, "w" + std::to_string(i));
                         ir::encode_dims(tensor, {2 << 20});
                         tensor.add_int32(proto::tensor::data_type, 1);
                         ir::encode_metadata(tensor, proto::tensor::external_data,
                                             {{"location", "large.bin"}, {"offset", "1"}});
                         tensor.add_int32(proto::tensor::data_location, 1);
                       }
                     }),
                     "lie unaligned");

  // The model's own path.
  for (const char* path : {"fifo", "zero", "sub", "loop", "missing", "missing/model.onnx"})
    files.refused([&] { Session::load(folder / path); }, path);
  files.section("external data out of the folder, links, FIFOs, devices, ranges");
}

TEST(MalformedFiles, EachIsATypedErrorInBoundedTimeAndMemory) {
  Collection files;
  truncations(files);
  dimensions(files);
  names(files);
  nesting(files);
  sizes(files);
  offsets(files);
  external(files);
  std::cout << files.files() << " malformed files, the slowest " << files.slowest() << " s\n";
  EXPECT_GE(files.files(), 1000);
}

}  // namespace
}  // namespace tercel

// Files made to harm in the place of pytorch_model.bin, and indexes of shards: each a typed error
// that names what is wrong, never a crash, and nothing of them is run.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/hub/pickle_test_util.h"
#include "src/hub/pytorch_bin.h"
#include "src/hub/safetensors.h"
#include "tests/hostile_weights.h"

namespace tercel::hub {
namespace {

using hostile::read_all;
using ::testing::HasSubstr;
namespace p = pickled;
namespace fs = std::filesystem;

std::unique_ptr<WeightSource> parse(const std::string& file) {
  const auto bytes = hostile::heap_copy(file);
  return parse_pytorch_bin({bytes.get(), file.size()}, "file.bin", bytes);
}

void expect_error(const std::string& file, const std::string& message,
                  Errc code = Errc::invalid_file) {
  hostile::expect_file_error([&] { parse(file); }, "file.bin", message, code);
}

// Two tensors, one of them transposed.
std::string good_object() {
  const std::string storage = p::storage("FloatStorage", "0", 6);
  return p::dict(
      {{"a", p::tensor(storage, 0, {2, 3}, {3, 1})}, {"b", p::tensor(storage, 0, {3, 2}, {1, 3})}});
}
std::string good_archive() { return archive_of(good_object(), {{"0", std::string(24, '\1')}}); }
std::string good_legacy() { return legacy_of(good_object(), {{"0", 6, std::string(24, '\1')}}); }

std::string with_tensor(int64_t offset, const std::vector<int64_t>& sizes,
                        const std::vector<int64_t>& strides, int64_t elements = 6) {
  const std::string storage = p::storage("FloatStorage", "0", elements);
  return archive_of(p::dict({{"w", p::tensor(storage, offset, sizes, strides)}}),
                    {{"0", std::string(24, '\1')}});
}

TEST(MalformedPickle, TheGoodFilesAreGood) {
  read_all(*parse(good_archive()));
  read_all(*parse(good_legacy()));
}

TEST(MalformedPickle, EveryTruncation) {
  for (const std::string& good : {good_archive(), good_legacy()}) {
    for (std::size_t size = 0; size < good.size(); ++size) {
      EXPECT_THROW(parse(good.substr(0, size)), Error) << size;
    }
  }
}

TEST(MalformedPickle, NothingButTensorsIsReferredTo) {
  const auto refused = [](const std::string& module, const std::string& name) {
    const std::string attack =
        p::global(module, name) + p::tuple({p::text("touch /tmp/tercel_was_here")}) + "R";
    for (const std::string& file :
         {archive_of(attack, {}), legacy_of(attack, {}),
          archive_of(p::dict({{"w", attack}}), {{"0", std::string(24, '\1')}})}) {
      expect_error(file, "refers to \"" + module + "." + name + "\"", Errc::unsupported);
    }
  };
  refused("os", "system");
  refused("posix", "system");
  refused("builtins", "eval");
  refused("__builtin__", "exec");
  refused("subprocess", "Popen");
  refused("torch", "load");
  refused("torch.hub", "load");
  refused("torch._utils", "_rebuild_tensor");
  refused("torch.nn.modules.linear", "Linear");
  refused("torch.storage", "_load_from_bytes");
  refused("collections", "OrderedDict.update");
  const std::string stacked = p::text("os") + p::text("system") + "\x93";
  expect_error(archive_of(stacked, {}), "refers to \"os.system\"", Errc::unsupported);
  expect_error(archive_of("(ios\nsystem\n", {}), "refers to \"os.system\"", Errc::unsupported);
  expect_error(archive_of(p::global("os\xff", "system"), {}), "not UTF-8", Errc::unsupported);
  EXPECT_FALSE(fs::exists("/tmp/tercel_was_here"));
}

TEST(MalformedPickle, CallsOfWhatIsAllowed) {
  const std::string dict = p::global("collections", "OrderedDict");
  expect_error(archive_of(dict + p::tuple({p::text("x")}) + "R", {}), "without arguments");
  expect_error(archive_of(dict + "R", {}), "expected an object before");
  expect_error(archive_of("})R", {}), "the name of what is called");
  expect_error(archive_of(p::global("torch", "float32") + ")R", {}), "calls \"torch.float32\"",
               Errc::unsupported);
  expect_error(archive_of(p::global("torch", "FloatStorage") + ")R", {}),
               "calls \"torch.FloatStorage\"", Errc::unsupported);
  const std::string rebuild = p::global("torch._utils", "_rebuild_tensor_v2");
  expect_error(archive_of(rebuild + ")R", {}), "expected a tensor's storage, offset");
  expect_error(archive_of(rebuild + p::tuple({"N", "N", "N", "N"}) + "R", {}),
               "a tensor's storage");
  expect_error(archive_of(p::global("torch._utils", "_rebuild_parameter") + ")R", {}),
               "a parameter's tensor");
  expect_error(archive_of(p::global("torch", "Size") + ")R", {}), "a torch.Size");
  expect_error(archive_of("]Nb", {}), "a dictionary before its attributes");
  expect_error(archive_of(p::tuple({p::text("module"), "N", "N", "N", "N"}) + "Q", {}),
               "expected (\"storage\"");
  expect_error(archive_of("NQ", {}), "the place of a storage");
  expect_error(archive_of(p::storage("FloatStorage", "0", -1), {}), "a storage's size");
  expect_error(
      archive_of(p::tuple({p::text("storage"), dict, p::text("0"), "N", "K\x01"}) + "Q", {}),
      "a storage's type");
}

TEST(MalformedPickle, OpcodesAndStacks) {
  expect_error(archive_of("", {}), "expected an object before");
  expect_error(archive_of("0", {}), "expected an object before");
  expect_error(archive_of("(0", {}), "expected an object before");
  expect_error(archive_of("t", {}), "expected a mark before");
  expect_error(archive_of("N1", {}), "expected a mark before");
  expect_error(archive_of("\x85", {}), "expected an object before");
  expect_error(archive_of("NNa", {}), "a list before");
  expect_error(archive_of("]NNs", {}), "a dictionary before its items");
  expect_error(archive_of("}(Nu", {}), "as many keys as values");
  expect_error(archive_of("h\x07", {}), "recalls object 7");
  expect_error(archive_of("q\x01", {}), "expected an object before");
  expect_error(archive_of("cos", {}), "a name that ends with its line");
  expect_error(archive_of("X" + little_endian(1, 4) + "\xff", {}), "in UTF-8");
  expect_error(archive_of("\x80\x07", {}), "protocol 7; expected 2 to 5", Errc::unsupported);
  expect_error(archive_of("\x80\x01", {}), "protocol 1", Errc::unsupported);
  expect_error(archive_of("I1\n", {}), "opcode 0x49", Errc::unsupported);      // protocol 0
  expect_error(archive_of("\x82\x01", {}), "opcode 0x82", Errc::unsupported);  // an extension
  expect_error(archive_of("\x97", {}), "opcode 0x97", Errc::unsupported);      // a buffer elsewhere
  expect_error(archive_of("N", {}), "expected a dictionary of tensors");
  expect_error(archive_of("]", {}), "expected a dictionary of tensors");
}

TEST(MalformedPickle, LengthsBeyondTheFile) {
  for (const uint64_t length : {uint64_t{1} << 20, uint64_t{1} << 40, ~uint64_t{0}}) {
    for (const char* opcode : {"\x8d", "\x8e", "\x95"}) {
      EXPECT_THROW(parse(archive_of(opcode + little_endian(length, 8) + "x", {})), Error);
    }
  }
  expect_error(archive_of("\x8d" + little_endian(~uint64_t{0}, 8) + "x", {}),
               "wants 18446744073709551615 bytes");
  expect_error(archive_of("X" + little_endian(0xffffffff, 4) + "x", {}), "wants 4294967295 bytes");
  expect_error(archive_of("\x8b" + little_endian(0xffffffff, 4) + "x", {}),
               "wants 4294967295 bytes");
}

TEST(MalformedPickle, DeepAndManifoldObjects) {
  const std::size_t depth = 200'000;
  const std::string tuples = "N" + std::string(depth, '\x85');
  expect_error(archive_of(tuples, {}), "expected a dictionary of tensors");
  std::string lists(depth, ']');
  lists += std::string(depth - 1, 'a');
  expect_error(archive_of(lists, {}), "expected a dictionary of tensors");
  expect_error(archive_of(std::string(1'100'000, ']'), {}), "more than 1000000 objects");
  expect_error(archive_of("]" + std::string(1'100'000, '2'), {}), "on its stack");
  expect_error(archive_of(std::string(1'100'000, '('), {}), "marks");
  // A list that holds itself, and one of lists of lists of … that all share their parts.
  expect_error(archive_of("]q\x01h\x01"
                          "a",
                          {}),
               "expected a dictionary of tensors");
  std::string laughs = "]q" + std::string(1, '\0');
  for (int i = 0; i < 200; ++i) {
    laughs += "](";
    for (int j = 0; j < 10; ++j) laughs += "h" + std::string(1, static_cast<char>(i));
    laughs += "eq" + std::string(1, static_cast<char>(i + 1));
  }
  expect_error(archive_of(laughs, {}), "expected a dictionary of tensors");
}

TEST(MalformedPickle, TensorsOutsideTheirStorage) {
  read_all(*parse(with_tensor(0, {2, 3}, {3, 1})));
  read_all(*parse(with_tensor(5, {1, 1, 1}, {INT64_MAX, INT64_MAX, 77})));
  read_all(*parse(with_tensor(INT64_MAX, {0, 5}, {INT64_MAX, 1})));
  expect_error(with_tensor(1, {2, 3}, {3, 1}), "does not lie within its 6 elements");
  expect_error(with_tensor(0, {2, 3}, {4, 1}), "does not lie within");
  expect_error(with_tensor(6, {}, {}), "does not lie within");
  expect_error(with_tensor(INT64_MAX, {2}, {1}), "overflows");
  expect_error(with_tensor(0, {2, 2}, {INT64_MAX, INT64_MAX}), "overflows");
  expect_error(with_tensor(0, {3}, {INT64_MAX}), "overflows");
  expect_error(with_tensor(0, {INT64_MAX, 2}, {0, 0}), "overflows");
  expect_error(with_tensor(0, {1'000'000'000'000}, {0}), "does not lie within");
  expect_error(with_tensor(0, {7}, {0}), "does not lie within");
  expect_error(with_tensor(-1, {2}, {1}), "a tensor's offset");
  expect_error(with_tensor(0, {-2}, {1}), "a tensor's sizes, none negative");
  expect_error(with_tensor(5, {2}, {-1}), "a tensor's strides, none negative");
  expect_error(with_tensor(0, {2}, {1, 1}), "1 sizes, but 2 strides");
  expect_error(with_tensor(0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1)),
               "at most 64");
  expect_error(with_tensor(0, {2}, {1}, 7), "has 7 elements of f32, but the file holds 6");
  expect_error(with_tensor(0, {2}, {1}, INT64_MAX), "but the file holds 6");
}

TEST(MalformedPickle, StoragesThatAreMissingOrShared) {
  const std::string storage = p::storage("FloatStorage", "3", 6);
  const std::string object = p::dict({{"w", p::tensor(storage, 0, {6}, {1})}});
  expect_error(archive_of(object, {{"0", std::string(24, '\1')}}),
               "tensor \"w\": its storage \"3\" is not in the file");
  expect_error(legacy_of(object, {}), "its storage \"3\" is not in the file");
  expect_error(legacy_of(object, {{"3", 1'000'000, ""}}), "expected a storage within the file");
  expect_error(legacy_of(object, {{"3", ~uint64_t{0}, ""}}), "expected a storage within the file");
  expect_error(legacy_of(object, {{"4", 1, "abcd"}}), "expected the keys of the storages");
  // Many transposed views of one storage ask for more memory than the file has.
  std::vector<std::pair<std::string, std::string>> views;
  const std::string large = p::storage("FloatStorage", "0", 250'000);
  for (int i = 0; i < 100; ++i) {
    views.emplace_back("v" + std::to_string(i), p::tensor(large, 0, {500, 500}, {1, 500}));
  }
  expect_error(archive_of(p::dict(views), {{"0", std::string(1'000'000, '\1')}}),
               "take more than the file");
  const std::string twice = p::tensor(p::storage("FloatStorage", "0", 6), 0, {6}, {1});
  expect_error(archive_of(p::dict({{"w", twice}, {"w", twice}}), {{"0", std::string(24, '\1')}}),
               "tensor \"w\" is there twice");
}

TEST(MalformedPickle, ZipFiles) {
  const std::string pickle = p::file(p::dict({}));
  expect_error(zip_of({}) + "x", "expected a file of torch.save");
  expect_error(zip_of({{"a", "b"}}), "without data.pkl");
  expect_error(zip_of({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}), "two members data.pkl");
  expect_error(zip_of({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}), "is there twice");
  expect_error(zip_of({{"a/data.pkl", pickle}, {"a/byteorder", "big"}}), "expected little",
               Errc::unsupported);
  std::string compressed = zip_of({{"a/data.pkl", pickle}});
  const std::size_t entry = compressed.find("PK\x01\x02");
  compressed[entry + 10] = 8;
  expect_error(compressed, "compressed or encrypted", Errc::unsupported);
  std::string elsewhere = zip_of({{"a/data.pkl", pickle}});
  elsewhere[entry + 42] = 9;
  expect_error(elsewhere, "expected the header of a member");
  std::string longer = zip_of({{"a/data.pkl", pickle}});
  longer[entry + 20] = longer[entry + 24] = 127;
  expect_error(longer, "does not lie in front of the directory");
  std::string entries = zip_of({{"a/data.pkl", pickle}});
  entries[entries.size() - 12] = 99;
  expect_error(entries, "do not hold 99 entries");
}

TEST(MalformedPickle, OtherFiles) {
  expect_error("", "expected a file of torch.save");
  expect_error("version https://git-lfs.github.com/spec/v1\n", "git lfs pull");
  expect_error(std::string(2000, '\0'), "expected a file of torch.save");
  expect_error(p::file("N"), "expected a file of torch.save");
  expect_error(std::string("\x80\x02\x8a\x0a") + std::string(10, '\1') + ".",
               "expected a file of torch.save");
}

TEST(MalformedPickle, RandomChangesAreErrorsOrReadable) {
  std::mt19937 random(20250301);
  for (const std::string& good : {good_archive(), good_legacy()}) {
    for (int round = 0; round < 20'000; ++round) {
      const std::string bad = hostile::damaged(good, random, "(t}u]eR.Q\x85\x8aqhX");
      try {
        read_all(*parse(bad));
      } catch (const Error&) {
      }
    }
  }
}

// Directories with an index of shards.
class MalformedIndex : public ::testing::Test {
 protected:
  MalformedIndex()
      : folder_(fs::temp_directory_path() / ("tercel_index_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "sub");
    for (const char* file : {"1.safetensors", "sub/1.safetensors", "2.safetensors"}) {
      const std::string name = file[0] == '2' ? "b" : "a";
      const std::vector<std::pair<std::string, Tensor>> tensors = {{name, Tensor::scalar(1.0F)},
                                                                   {name + "2", Tensor::scalar(2)}};
      write_safetensors(folder_ / file, tensors);
    }
  }
  ~MalformedIndex() override { fs::remove_all(folder_); }

  void write(const std::string& index) {
    std::ofstream(folder_ / "model.safetensors.index.json") << index;
  }
  void expect_index_error(const std::string& index, const std::string& message,
                          Errc code = Errc::invalid_file) {
    write(index);
    try {
      open_weights(folder_);
      FAIL() << "no error; expected: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  }

  fs::path folder_;
};

TEST_F(MalformedIndex, AGoodOne) {
  write(R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  const auto weights = open_weights(folder_);
  EXPECT_EQ(weights->names().size(), 4U);
  EXPECT_TRUE(weights->has("a2"));
  EXPECT_EQ(weights->find("b").values<float>()[0], 1.0F);
}

TEST_F(MalformedIndex, FilesElsewhere) {
  for (const char* file : {"../1.safetensors", "sub/1.safetensors", "/etc/passwd", "", ".", "..",
                           "a\\\\b", "\\u0000"}) {
    expect_index_error(std::string(R"({"weight_map": {"a": ")") + file + "\"}}",
                       "\"a\": expected the name of a file beside the index");
  }
  expect_index_error(R"({"weight_map": {"a": 3}})", "\"a\": expected a string");
  expect_index_error(R"({"weight_map": {"a": "3.safetensors"}})",
                     "names 3.safetensors, which is not beside it", Errc::not_found);
  expect_index_error(R"({"weight_map": {"a": "sub"}})", "not a regular file", Errc::invalid_file);
  ::mkfifo((folder_ / "fifo").c_str(), 0600);
  expect_index_error(R"({"weight_map": {"a": "fifo"}})", "not a regular file", Errc::invalid_file);
}

TEST_F(MalformedIndex, MapsThatAreWrong) {
  expect_index_error("{}", "\"weight_map\" is missing");
  expect_index_error(R"({"weight_map": []})", "expected an object");
  expect_index_error("{", "not valid JSON");
  expect_index_error(R"({"weight_map": {"a": "1.safetensors", "b": "1.safetensors"}})",
                     "tensor \"b\" is not in");
  expect_index_error(R"({"weight_map": {"a": "2.safetensors", "b": "1.safetensors"}})",
                     "tensor \"a\" is not in");
  expect_index_error(R"({"weight_map": {"a": "1.safetensors", "a": "1.safetensors"}})",
                     "has \"a\" twice");
  fs::copy(folder_ / "1.safetensors", folder_ / "3.safetensors");
  expect_index_error(R"({"weight_map": {"a": "1.safetensors", "a2": "3.safetensors"}})",
                     "tensor \"a\" is in");
}

}  // namespace
}  // namespace tercel::hub

#include "src/hub/pytorch_bin.h"

#include <cstring>
#include <filesystem>
#include <memory>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/hub/pickle_test_util.h"

namespace tercel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace p = pickled;

const std::filesystem::path kCheckpoints =
    std::filesystem::path(TERCEL_SOURCE_DIR) / "tests/data/checkpoints";

// On the heap, aligned for any type, of exactly the file's size.
std::unique_ptr<WeightSource> parse(const std::string& file) {
  std::shared_ptr<std::byte[]> bytes(new std::byte[file.size()]);
  std::memcpy(bytes.get(), file.data(), file.size());
  return parse_pytorch_bin({bytes.get(), file.size()}, "file.bin", bytes);
}

std::string bytes_of_floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::vector<float> counted(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
  return values;
}

std::string one_tensor(int64_t elements, int64_t offset, const std::vector<int64_t>& sizes,
                       const std::vector<int64_t>& strides) {
  return archive_of(p::dict({{"w", p::tensor(p::storage("FloatStorage", "0", elements), offset,
                                             sizes, strides)}}),
                    {{"0", bytes_of_floats(counted(static_cast<std::size_t>(elements)))}});
}

TEST(PytorchBin, TensorsOfAStateDict) {
  const std::string storage = p::storage("FloatStorage", "0", 6);
  const std::string parameter = p::global("torch._utils", "_rebuild_parameter") +
                                p::tuple({p::tensor(storage, 0, {2, 3}, {3, 1}), "\x88", "N"}) +
                                "R";
  const std::string file = archive_of(
      p::dict({{"whole", parameter},
               {"row", p::tensor(storage, 3, {3}, {1})},
               {"scalar", p::tensor(storage, 5, {}, {})},
               {"empty", p::tensor(storage, 0, {0, 4}, {4, 1})},
               {"half", p::tensor(p::storage("HalfStorage", "1", 2), 0, {2}, {1})},
               {"step", p::integer(7)},
               {"nested", p::dict({{"inside", p::tensor(storage, 0, {1}, {1})}})}}),
      {{"0", bytes_of_floats({0, 1, 2, 3, 4, 5})}, {"1", std::string("\x00\x3c\x00\x40", 4)}});
  const auto source = parse(file);
  EXPECT_THAT(source->names(), ElementsAre("whole", "row", "scalar", "empty", "half"));
  EXPECT_EQ(source->find("whole").shape(), (Shape{2, 3}));
  EXPECT_THAT(source->find("whole").values<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(source->find("row").values<float>(), ElementsAre(3, 4, 5));
  EXPECT_EQ(source->find("scalar").values<float>()[0], 5);
  EXPECT_EQ(source->find("empty").shape(), (Shape{0, 4}));
  EXPECT_EQ(source->find("half").dtype(), Dtype::f16);
  EXPECT_TRUE(source->has("row"));
  EXPECT_FALSE(source->has("step"));
  EXPECT_FALSE(source->find("inside").defined());
}

TEST(PytorchBin, AlignedDenseTensorsAreViewsOfTheFile) {
  // Of the names' lengths one leaves the data aligned.
  int views = 0;
  for (int shift = 0; shift < 4; ++shift) {
    const std::string file = zip_of(
        {{std::string("archive/data.pkl"),
          p::file(p::dict({{"w", p::tensor(p::storage("FloatStorage", "0", 4), 0, {4}, {1})}}))},
         {"archive/x" + std::string(static_cast<std::size_t>(shift), '_'), ""},
         {"archive/data/0", bytes_of_floats({1, 2, 3, 4})}});
    const auto source = parse(file);
    const Tensor first = source->find("w");
    EXPECT_THAT(first.values<float>(), ElementsAre(1, 2, 3, 4));
    if (first.data() == source->find("w").data()) ++views;
  }
  EXPECT_EQ(views, 1);
}

TEST(PytorchBin, AnyStridesBecomeDense) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    // A dense tensor, its axes in another order, a part of it.
    std::vector<int64_t> full(1 + random() % 4);
    int64_t elements = 1;
    std::vector<int64_t> strides(full.size());
    for (std::size_t i = full.size(); i-- > 0;) {
      full[i] = 1 + random() % 4;
      strides[i] = elements;
      elements *= full[i];
    }
    int64_t offset = 0;
    std::vector<int64_t> sizes = full;
    for (std::size_t i = 0; i < full.size(); ++i) {
      const int64_t first = random() % full[i];
      offset += first * strides[i];
      sizes[i] = 1 + random() % (full[i] - first);
    }
    for (std::size_t i = full.size(); i-- > 1;) {
      const std::size_t j = random() % (i + 1);
      std::swap(sizes[i], sizes[j]);
      std::swap(strides[i], strides[j]);
    }
    std::vector<float> expected;
    const int64_t count = element_count(sizes);
    for (int64_t i = 0; i < count; ++i) {
      int64_t at = offset;
      int64_t rest = i;
      for (std::size_t axis = sizes.size(); axis-- > 0;) {
        at += rest % sizes[axis] * strides[axis];
        rest /= sizes[axis];
      }
      expected.push_back(static_cast<float>(at));
    }
    const Tensor found = parse(one_tensor(elements, offset, sizes, strides))->find("w");
    EXPECT_EQ(found.shape(), sizes);
    EXPECT_THAT(found.values<float>(), ::testing::ElementsAreArray(expected)) << round;
  }
}

TEST(PytorchBin, TheOldFormat) {
  const std::string file =
      legacy_of(p::dict({{"a", p::tensor(p::storage("FloatStorage", "17", 3), 1, {2}, {1})},
                         {"b", p::tensor(p::storage("LongStorage", "9", 1), 0, {1}, {1})}}),
                {{"9", 1, little_endian(42, 8)}, {"17", 3, bytes_of_floats({5, 6, 7})}});
  const auto source = parse(file);
  EXPECT_THAT(source->find("a").values<float>(), ElementsAre(6, 7));
  EXPECT_THAT(source->find("b").values<int64_t>(), ElementsAre(42));
}

TEST(PytorchBin, TheOpcodesOfNewerProtocols) {
  const auto brief = [](const std::string& text) {
    return "\x8c" + little_endian(text.size(), 1) + text + "\x94";
  };
  const std::string storage = "(" + brief("storage") + brief("torch") + brief("FloatStorage") +
                              "\x93\x94" + brief("0") + brief("cpu") + "K\x02t\x94Q";
  const std::string tensor = brief("torch._utils") + brief("_rebuild_tensor_v2") + "\x93\x94(" +
                             storage + "K\x01" + "K\x01\x85K\x01\x85\x89Nt\x94R\x94";
  const std::string wide = "\x8d" + little_endian(1, 8) + "w";
  const std::string object = "}\x94(" + wide + tensor + "u";
  for (const char protocol : {'\x04', '\x05'}) {
    const std::string pickle = std::string("\x80") + protocol + "\x95" +
                               little_endian(object.size() + 1, 8) + object + ".";
    const auto source =
        parse(zip_of({{"m/data.pkl", pickle}, {"m/data/0", bytes_of_floats({8, 9})}}));
    EXPECT_THAT(source->find("w").values<float>(), ElementsAre(9));
  }
}

TEST(PytorchBin, ADirectoryOfZip64) {
  // The sizes and the place of the only member stand in its extra field, those of the directory in
  // a record of their own.
  const std::string pickle = p::file(p::dict({}));
  const std::string name = "archive/data.pkl";
  const std::string none = little_endian(0xffffffff, 4);
  const std::string local = "PK\x03\x04" + little_endian(0, 14) + none + none +
                            little_endian(name.size(), 2) + little_endian(0, 2) + name + pickle;
  const std::string extra = little_endian(1, 2) + little_endian(24, 2) +
                            little_endian(pickle.size(), 8) + little_endian(pickle.size(), 8) +
                            little_endian(0, 8);
  const std::string entry = "PK\x01\x02" + little_endian(0, 16) + none + none +
                            little_endian(name.size(), 2) + little_endian(extra.size(), 2) +
                            little_endian(0, 10) + none + name + extra;
  const std::string end64 = "PK\x06\x06" + little_endian(44, 8) + little_endian(0, 12) +
                            little_endian(1, 8) + little_endian(1, 8) +
                            little_endian(entry.size(), 8) + little_endian(local.size(), 8);
  const std::string locator = "PK\x06\x07" + little_endian(0, 4) +
                              little_endian(local.size() + entry.size(), 8) + little_endian(1, 4);
  const std::string end =
      "PK\x05\x06" + little_endian(0, 4) + std::string(12, '\xff') + little_endian(0, 2);
  EXPECT_TRUE(parse(local + entry + end64 + locator + end)->names().empty());
}

TEST(PytorchBin, FilesOfPyTorch) {
  EXPECT_GT(open_pytorch_bin(kCheckpoints / "roberta_qa/pytorch_model.bin")->names().size(), 20U);
  const auto legacy = open_pytorch_bin(kCheckpoints / "albert_classify/pytorch_model.bin");
  EXPECT_EQ(legacy->find("classifier.weight").shape(), (Shape{2, 16}));
  const auto shards = open_weights(kCheckpoints / "deberta_v2_mlm");
  EXPECT_THAT(shards->name(), HasSubstr("pytorch_model.bin.index.json"));
  EXPECT_EQ(shards->find("deberta.encoder.conv.conv.weight").shape(), (Shape{16, 16, 3}));
}

}  // namespace
}  // namespace tercel::hub

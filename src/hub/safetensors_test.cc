#include "src/hub/safetensors.h"

#include <cstring>
#include <filesystem>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tercel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SafetensorsTest : public ::testing::Test {
 protected:
  SafetensorsTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("tercel_safetensors_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~SafetensorsTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

Tensor random_tensor(Dtype dtype, Shape shape, std::mt19937& random) {
  Tensor tensor(dtype, std::move(shape));
  for (std::size_t i = 0; i < tensor.bytes(); ++i) {
    static_cast<unsigned char*>(tensor.data())[i] = static_cast<unsigned char>(random() & 1U);
  }
  return tensor;
}

TEST_F(SafetensorsTest, GivesBackWhatWasWritten) {
  std::mt19937 random(7);
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.emplace_back("odd", random_tensor(Dtype::u8, {3}, random));
  tensors.emplace_back("misaligned", random_tensor(Dtype::f32, {2, 5}, random));
  tensors.emplace_back("scalar", random_tensor(Dtype::i64, {}, random));
  tensors.emplace_back("empty", random_tensor(Dtype::f16, {4, 0, 2}, random));
  tensors.emplace_back("half \"é\"", random_tensor(Dtype::bf16, {7}, random));
  const auto path = folder_ / "a.safetensors";
  write_safetensors(path, tensors, {{"format", "pt"}});

  const auto source = open_safetensors(path);
  EXPECT_EQ(source->name(), path.string());
  EXPECT_THAT(source->names(), ElementsAre("odd", "misaligned", "scalar", "empty", "half \"é\""));
  for (const auto& [name, tensor] : tensors) {
    const Tensor found = source->find(name);
    ASSERT_TRUE(found.defined()) << name;
    EXPECT_EQ(found.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(found.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(found.data(), tensor.data(), tensor.bytes()), 0) << name;
  }
  EXPECT_FALSE(source->find("other").defined());
}

TEST_F(SafetensorsTest, TensorsOutliveTheSourceAndAreViews) {
  const auto path = folder_ / "b.safetensors";
  const std::vector<std::pair<std::string, Tensor>> tensors = {
      {"w", Tensor::from({1.0F, 2.0F, 3.0F}, {3})}};
  write_safetensors(path, tensors);
  auto source = open_safetensors(path);
  const Tensor first = source->find("w");
  const Tensor second = source->find("w");
  EXPECT_EQ(first.data(), second.data());
  source.reset();
  EXPECT_THAT(first.values<float>(), ElementsAre(1.0F, 2.0F, 3.0F));
}

TEST_F(SafetensorsTest, RefusesToWriteWhatTheFormatLacks) {
  const std::vector<std::pair<std::string, Tensor>> strings = {
      {"s", Tensor::from_strings({"a"}, {1})}};
  EXPECT_THROW(write_safetensors(folder_ / "c", strings), Error);
  const Tensor one = Tensor::scalar(1.0F);
  const std::vector<std::pair<std::string, Tensor>> twice = {{"s", one}, {"s", one}};
  EXPECT_THROW(write_safetensors(folder_ / "c", twice), Error);
  const std::vector<std::pair<std::string, Tensor>> broken = {{"\xff", one}};
  EXPECT_THROW(write_safetensors(folder_ / "c", broken), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace tercel::hub

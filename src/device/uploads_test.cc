#include "src/device/uploads.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "src/base/half.h"
#include "src/base/mapped_file.h"
#include "tercel/error.h"
#include "tests/host_device.h"

namespace tercel {
namespace {

void to_half(void* to, Dtype to_type, const void* from, Dtype from_type, int64_t count, Stream&) {
  ASSERT_EQ(to_type, Dtype::f16);
  ASSERT_EQ(from_type, Dtype::f32);
  for (int64_t i = 0; i < count; ++i)
    static_cast<f16*>(to)[i] = to_f16(static_cast<const float*>(from)[i]);
}

std::vector<float> random_floats(int64_t count) {
  std::mt19937 generator(static_cast<unsigned>(count));
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<std::size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return distribution(generator); });
  return values;
}

// Sizes within a piece, of a piece, and of several with a rest.
TEST(Uploads, BringEveryElement) {
  HostDevice device;
  const auto uploads = make_uploads(device, to_half);
  for (const int threads : {1, 3, 20}) {
    ThreadPool pool(threads);
    for (const int64_t count : {0, 1, 1000, 1 << 18, (1 << 18) + 1, 3'000'001}) {
      const auto from = random_floats(count);
      std::vector<float> same(from.size(), 7.0F);
      std::vector<f16> half(from.size(), f16{7});
      uploads->add(same.data(), Dtype::f32, from.data(), Dtype::f32, count, pool);
      uploads->add(half.data(), Dtype::f16, from.data(), Dtype::f32, count, pool);
      uploads->wait();
      EXPECT_EQ(same, from);
      EXPECT_TRUE(std::equal(half.begin(), half.end(), from.begin(),
                             [](f16 a, float b) { return a.bits == to_f16(b).bits; }))
          << count << " elements, " << threads << " threads";
    }
  }
}

TEST(Uploads, OfAMappedFileAreReadFromIt) {
  const auto values = random_floats(1'000'003);
  const auto path = std::filesystem::path(testing::TempDir()) / "uploads_test.bin";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  const auto file = MappedFile::open(path);
  const auto* from = reinterpret_cast<const float*>(file->bytes().data());
  HostDevice device;
  const auto uploads = make_uploads(device, to_half);
  ThreadPool pool(2);
  const auto expect_all_from = [&](std::size_t begin) {
    std::vector<float> to(values.size() - begin);
    uploads->add(to.data(), Dtype::f32, from + begin, Dtype::f32, static_cast<int64_t>(to.size()),
                 pool);
    uploads->wait();
    EXPECT_TRUE(std::equal(to.begin(), to.end(), values.begin() + static_cast<int64_t>(begin)));
  };
  EXPECT_TRUE(PieceReader(file->bytes()).reads_file());
  expect_all_from(0);
  expect_all_from(3);
  // Another file of that name is not read in its place.
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << "another";
  EXPECT_FALSE(PieceReader(file->bytes()).reads_file());
  expect_all_from(3);
  std::filesystem::remove(path);
  EXPECT_FALSE(PieceReader(std::as_bytes(std::span(values))).reads_file());
}

TEST(Uploads, AFileThatHasBecomeShorterIsAnError) {
  const auto path = std::filesystem::path(testing::TempDir()) / "uploads_short.bin";
  std::ofstream(path, std::ios::binary) << std::string(std::size_t{3} << 20, 'x');
  const auto file = MappedFile::open(path);
  std::filesystem::resize_file(path, std::size_t{2} << 20);
  HostDevice device;
  const auto uploads = make_uploads(device, to_half);
  ThreadPool pool(3);
  std::vector<std::byte> to(file->bytes().size());
  EXPECT_THROW(uploads->add(to.data(), Dtype::u8, file->bytes().data(), Dtype::u8,
                            static_cast<int64_t>(to.size()), pool),
               Error);
  const std::string small(5, 'y');  // and what comes after it works
  uploads->add(to.data(), Dtype::u8, small.data(), Dtype::u8, 5, pool);
  uploads->wait();
  EXPECT_EQ(std::memcmp(to.data(), "yyyyy", 5), 0);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tercel

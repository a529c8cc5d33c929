#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/cache_folder.h"
#include "src/base/error_test_util.h"
#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/base/in_file.h"
#include "src/base/json.h"
#include "src/base/mapped_file.h"
#include "src/base/shown.h"
#include "tercel/dtype.h"
#include "tercel/error.h"

namespace tercel {
namespace {

TEST(Dtype, NamesGoBothWays) {
  EXPECT_EQ(to_string(Dtype::bf16), "bf16");
  EXPECT_EQ(parse_dtype("bfloat16"), Dtype::bf16);
  EXPECT_EQ(parse_dtype("f16"), Dtype::f16);
  EXPECT_FALSE(parse_dtype("half"));
}

TEST(Dtype, BytesOfSubByteTypesRoundUp) {
  EXPECT_EQ(bytes_of(Dtype::i4, 3), 2U);
  EXPECT_EQ(bytes_of(Dtype::f32, 3), 12U);
  EXPECT_THROW(bytes_of(Dtype::f32, int64_t{1} << 62), Error);
}

TEST(Half, EveryF16SurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const f16 value{static_cast<uint16_t>(bits)};
    const float wide = to_float(value);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(wide))));
    } else {
      EXPECT_EQ(to_f16(wide).bits, value.bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(to_f16(1.0F + 0x1p-11F).bits, 0x3c00);
  EXPECT_EQ(to_f16(1.0F + 0x3p-11F).bits, 0x3c02);
  EXPECT_EQ(to_f16(65519.0F).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0F).bits, 0x7c00);
  EXPECT_EQ(to_bf16(1.0F + 0x1p-8F).bits, 0x3f80);
  EXPECT_EQ(to_bf16(1.0F + 0x3p-8F).bits, 0x3f82);
}

TEST(CacheFolder, IsTheFirstThatTheEnvironmentNames) {
  for (const char* name : {"TERCEL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"}) ::unsetenv(name);
  EXPECT_EQ(error_of([] { cache_folder(); }).code(), Errc::not_found);
  ::setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(cache_folder(), "/home/someone/.cache/tercel");
  ::setenv("XDG_CACHE_HOME", "relative", 1);  // is to be ignored
  EXPECT_EQ(cache_folder(), "/home/someone/.cache/tercel");
  ::setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(cache_folder(), "/caches/tercel");
  ::setenv("TERCEL_CACHE_DIR", "own", 1);
  EXPECT_EQ(cache_folder(), "own");
}

TEST(Errors, NameTheirFileOnce) {
  const auto error_in_file = [](const char* message) {
    return error_of(
        [&] { in_file("model.onnx", [&] { fail(Errc::unsupported, "{}", message); }); });
  };
  EXPECT_EQ(error_in_file("[Foo] is not known").code(), Errc::unsupported);
  EXPECT_STREQ(error_in_file("[Foo] is not known").what(), "model.onnx: [Foo] is not known");
  EXPECT_STREQ(error_in_file("model.onnx: byte 3").what(), "model.onnx: byte 3");
  EXPECT_STREQ(error_in_file("b of model.onnx").what(), "model.onnx: b of model.onnx");
  EXPECT_EQ(in_file("a", [] { return 3; }), 3);
}

TEST(Errors, NamesAreShownWhole) {
  using std::string_literals::operator""s;
  EXPECT_EQ(shown("w.bin\0x"s), "w.bin\\0x");
  EXPECT_EQ(shown(std::string(119, 'a') + "é"), std::string(119, 'a') + "…");
}

TEST(Json, MessagesNameTheFileAndTheKey) {
  const auto document = JsonDocument::parse(R"({"a": {"b": "text"}})", "config.json");
  EXPECT_EQ(document.root()["a"]["b"].string(), "text");
  try {
    document.root()["a"]["b"].integer();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "config.json: \"b\": expected an integer, found a string");
  }
  EXPECT_THROW(document.root()["c"], Error);
  EXPECT_THROW(JsonDocument::parse("{", "x"), Error);
}

// Pages of the process that are in memory.
std::size_t resident_pages() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident;
}

TEST(MappedFile, WhatIsReleasedLeavesMemoryAndCanBeReadAgain) {
  constexpr std::size_t kBytes = std::size_t{8} << 20;
  const auto path =
      std::filesystem::temp_directory_path() / ("tercel_mapped_" + std::to_string(::getpid()));
  std::ofstream(path, std::ios::binary) << std::string(kBytes, 'x');
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  const auto is_x = [](std::byte byte) { return byte == std::byte{'x'}; };
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), is_x));
  const std::size_t before = resident_pages();
  release_if_mapped(bytes.subspan(1));
  EXPECT_LT(resident_pages() + 1000, before);
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), is_x));
  std::filesystem::remove(path);
}

TEST(MappedFile, OtherMemoryStaysAsItIs) {
  const std::vector<std::byte> own(std::size_t{1} << 20, std::byte{7});
  release_if_mapped(own);
  release_if_mapped({});
  EXPECT_EQ(std::count(own.begin(), own.end(), std::byte{7}), std::ssize(own));
}

}  // namespace
}  // namespace tercel

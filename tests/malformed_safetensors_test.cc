// Malformed safetensors files: each a typed error that names what is wrong, never a crash.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/hub/safetensors.h"
#include "tests/hostile_weights.h"

namespace tercel::hub {
namespace {

using hostile::read_all;

std::string length_of(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((length >> (8 * i)) & 0xffU);
  return bytes;
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  return length_of(header.size()) + header + std::string(data_bytes, '\1');
}

std::unique_ptr<WeightSource> parse(const std::string& file) {
  const auto bytes = hostile::heap_copy(file);
  return parse_safetensors({bytes.get(), file.size()}, "file.safetensors", bytes);
}

void expect_error(const std::string& file, const std::string& message,
                  Errc code = Errc::invalid_file) {
  hostile::expect_file_error([&] { parse(file); }, "file.safetensors", message, code);
}

const char* const kGood =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"U8","shape":[5],"data_offsets":[24,29]}})";

TEST(MalformedSafetensors, TheGoodFileIsGood) {
  const auto source = parse(file_of(kGood, 29));
  EXPECT_EQ(source->names().size(), 2U);
  read_all(*source);
  EXPECT_EQ(parse(file_of("{}", 0))->names().size(), 0U);
  EXPECT_EQ(parse(file_of("{}      ", 0))->names().size(), 0U);
}

TEST(MalformedSafetensors, EveryTruncationAndAnExtension) {
  const std::string good = file_of(kGood, 29);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW(parse(good.substr(0, size)), Error) << size;
  }
  expect_error(good + '\0', "29 bytes, but 30 follow the header");
}

TEST(MalformedSafetensors, HeaderLengths) {
  for (const uint64_t length :
       {uint64_t{3}, uint64_t{100'000'001}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    expect_error(length_of(length) + "{}", "expected the length of a header");
  }
  expect_error(file_of("", 0), "expected a header that begins with '{'");
  expect_error(file_of(" {}", 0), "expected a header that begins with '{'");
}

TEST(MalformedSafetensors, HeadersThatAreNotJson) {
  expect_error(file_of("{", 0), "not valid JSON");
  expect_error(file_of("{} {}", 0), "not valid JSON");
  expect_error(file_of("{\"\xff\":1}", 0), "not valid JSON");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  expect_error(file_of(deep, 0), "not valid JSON");
  for (int i = 0; i < 100'000; ++i) deep += ']';
  expect_error(file_of(deep + "}", 0), "not valid JSON");
}

TEST(MalformedSafetensors, Entries) {
  struct Case {
    const char* entry;  // after "t":
    const char* message;
  };
  const Case cases[] = {
      {R"(1)", "expected an object with dtype"},
      {R"({})", "expected dtype, shape and data_offsets"},
      {R"({"dtype":"F32","shape":[1]})", "expected dtype, shape and data_offsets"},
      {R"({"dtype":4,"shape":[1],"data_offsets":[0,4]})", "expected a string as dtype"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})", "unknown member \"more\""},
      {R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})", "is there twice"},
      {R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", "expected a shape"},
      {R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "expected dimensions"},
      {R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})", "expected dimensions"},
      {R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})", "expected dimensions"},
      {R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})",
       "expected dimensions"},
      {R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})", "overflows"},
      {R"({"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]})", "overflows"},
      {R"({"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,4]})", "overflows"},
      {R"({"dtype":"F4","shape":[3],"data_offsets":[0,2]})", "does not fill whole bytes"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":4})", "expected two data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4]})", "expected two data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})", "expected two data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", "expected data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4.0]})", "expected data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", "do not lie within"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})", "do not lie within"},
      {R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", "takes 8 bytes"},
      {R"({"dtype":"F16","shape":[1],"data_offsets":[0,4]})", "takes 2 bytes"},
      {R"({"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,4]})", "takes 0 bytes"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.entry);
    expect_error(file_of(std::string("{\"t\":") + c.entry + "}", 4), c.message);
  }
  std::string many = "1";
  for (int i = 0; i < 64; ++i) many += ",1";
  expect_error(
      file_of(R"({"t":{"dtype":"F32","shape":[)" + many + R"(],"data_offsets":[0,4]}})", 4),
      "at most 64 dimensions");
  expect_error(file_of(R"({"t":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}})", 3),
               "element type \"F6_E2M3\"; expected one of F32", Errc::unsupported);
  expect_error(file_of(R"({"__metadata__":{"a":1}})", 0), "expected a string");
  expect_error(file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "is there twice");
}

TEST(MalformedSafetensors, LayoutsWithGapsAndOverlaps) {
  const auto two = [](const char* first, const char* second, std::size_t bytes) {
    const std::string header = std::string(R"({"a":{"dtype":"U8","shape":)") + first +
                               R"(},"b":{"dtype":"U8","shape":)" + second + "}}";
    return file_of(header, bytes);
  };
  expect_error(two(R"([4],"data_offsets":[0,4])", R"([4],"data_offsets":[2,6])", 6),
               "tensor \"b\": its data begin at byte 2, but the tensors before it end at 4");
  expect_error(two(R"([4],"data_offsets":[0,4])", R"([4],"data_offsets":[0,4])", 4),
               "the tensors before it end at 4");
  expect_error(two(R"([4],"data_offsets":[0,4])", R"([1],"data_offsets":[5,6])", 6),
               "the tensors before it end at 4");
  expect_error(two(R"([1],"data_offsets":[1,2])", R"([1],"data_offsets":[2,3])", 3),
               "the tensors before it end at 0");
  expect_error(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                       2),
               "tensor \"a\" is there twice");
  // The order in the header is free, and empty tensors may lie anywhere between others.
  read_all(*parse(two(R"([2],"data_offsets":[1,3])", R"([1],"data_offsets":[0,1])", 3)));
  read_all(*parse(two(R"([2],"data_offsets":[0,2])", R"([0],"data_offsets":[2,2])", 2)));
}

TEST(MalformedSafetensors, RandomChangesAreErrorsOrReadable) {
  const std::string good = file_of(kGood, 29);
  std::mt19937 random(20240611);
  for (int round = 0; round < 20'000; ++round) {
    try {
      read_all(*parse(hostile::damaged(good, random, "{}[],:\"0129-")));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace tercel::hub

// Readers: each format against literals, sizes around the blocks that they read, and bad input.

#include "tercel/reader.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "src/base/error_test_util.h"
#include "src/base/fail.h"
#include "tercel/npy.h"

namespace tercel::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("tercel_reader_") + test->name() + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }

  std::filesystem::path folder_;
};

// All records, parsed; what parsing throws becomes their error.
std::vector<Record> read_all(const std::vector<std::string>& inputs, ReaderOptions options = {}) {
  std::vector<Record> records;
  const auto reader = open_reader(inputs, options);
  for (Record record; reader->next(record);) {
    try {
      if (record.error.empty()) reader->parse(record);
    } catch (const Error& error) {
      record.error = error.what();
    }
    records.push_back(std::move(record));
  }
  return records;
}

std::vector<std::string> texts(const std::vector<Record>& records, std::string_view field) {
  std::vector<std::string> result;
  for (const Record& record : records) {
    result.push_back(record.error.empty() ? record.text(field) : "! " + record.error);
  }
  return result;
}

std::string gzip(const std::string& bytes) {
  z_stream state = {};
  deflateInit2(&state, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&state, bytes.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
  out.resize(state.total_out);
  deflateEnd(&state);
  return out;
}

std::string zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

TEST_F(ReaderTest, JsonLinesGiveEveryKindOfValue) {
  const auto records = read_all({write(
      "a.jsonl",
      "\xEF\xBB\xBF{\"text\": \"caf\\u00e9\", \"n\": 7, \"x\": 0.5, \"yes\": true, \"no\": null, "
      "\"ids\": [[1, 2, 3], [4, 5, 6]], \"v\": [1, 2.5], \"o\": {\"a\": [1, [2]]}, \"r\": "
      "[[1], [2, 3]], \"e\": [], \"hash\": 18446744073709551615}\r\n\n  \n"
      "{\"text\": \"last, without a line end\"}")});
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(std::get<JsonText>(*records[0].find("hash")).text, "18446744073709551615");
  const Record& first = records[0];
  EXPECT_EQ(first.text("text"), "café");
  EXPECT_EQ(std::get<int64_t>(*first.find("n")), 7);
  EXPECT_EQ(std::get<double>(*first.find("x")), 0.5);
  EXPECT_TRUE(std::get<bool>(*first.find("yes")));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*first.find("no")));
  const Tensor& ids = std::get<Tensor>(*first.find("ids"));
  EXPECT_EQ(ids.shape(), (Shape{2, 3}));
  EXPECT_THAT(ids.values<int64_t>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(std::get<Tensor>(*first.find("v")).values<double>(), ElementsAre(1, 2.5));
  EXPECT_EQ(std::get<JsonText>(*first.find("o")).text, R"({"a":[1,[2]]})");
  EXPECT_EQ(std::get<JsonText>(*first.find("r")).text, "[[1],[2,3]]");
  EXPECT_EQ(std::get<Tensor>(*first.find("e")).shape(), Shape{0});
  EXPECT_EQ(records[1].line, 4);
  EXPECT_EQ(records[1].index, 1);
  EXPECT_THAT(records[1].place(), HasSubstr("a.jsonl:4"));
}

TEST_F(ReaderTest, OnlyWantedFieldsAreKept) {
  const auto records =
      read_all({write("a.jsonl", "{\"a\": 1, \"b\": 2, \"c\": 3}")}, {.fields = {"b"}});
  ASSERT_EQ(records[0].fields.size(), 1U);
  EXPECT_EQ(records[0].fields[0].name, "b");
  EXPECT_THAT(error_of([&] { records[0].text("a"); }).what(), HasSubstr("no field \"a\""));
}

TEST_F(ReaderTest, BadLinesAreReportedAndPassedOver) {
  const auto records =
      read_all({write("a.jsonl", "{\"text\": \"ok\"}\n{\"text\": \n[1]\n{\"text\": \"\xFF\"}\n" +
                                     std::string(200, 'x') + "\n{\"text\": \"end\"}\n")},
               {.max_record_bytes = 100});
  EXPECT_THAT(texts(records, "text"),
              ElementsAre("ok", HasSubstr("broken JSON"), HasSubstr("no JSON object"),
                          HasSubstr("not UTF-8"), HasSubstr("longer than the 100 bytes"), "end"));
  EXPECT_EQ(records[4].line, 5);
  EXPECT_EQ(records[4].raw.size(), 100U);
  EXPECT_EQ(records[5].line, 6);
}

TEST_F(ReaderTest, CsvFollowsRfc4180) {
  const auto records =
      read_all({write("a.csv",
                      "id,text\r\n1,plain\r\n2,\"a, b\"\"c\"\"\r\nsecond line\"\r\n"
                      "3,\"\"\r\n4,5\" pipe\r\n\r\n5,\"x\"y\r\n6\r\n7,a,b\r\n"
                      "8,\xC3\r\n9,\"open")});
  EXPECT_THAT(texts(records, "text"),
              ElementsAre("plain", "a, b\"c\"\r\nsecond line", "", "5\" pipe",
                          HasSubstr("text follows"), HasSubstr("1 fields where the header names 2"),
                          HasSubstr("3 fields where the header names 2"), HasSubstr("not UTF-8"),
                          HasSubstr("not closed")));
  EXPECT_EQ(records[2].line, 5);
}

// What is too long is passed over to its end, which its quotes decide, on both sides of a block.
TEST_F(ReaderTest, ALongCsvRecordIsPassedOverWhole) {
  for (const std::size_t lines : {1, 30, 30000}) {
    std::string field = "\"";
    for (std::size_t i = 0; i < lines; ++i) field += "a line, \"\"quoted\"\"\n";
    const auto records =
        read_all({write("a.csv", "text\nfirst\n" + field + std::string(200, 'x') + "\"\nlast\n")},
                 {.max_record_bytes = 100});
    EXPECT_THAT(texts(records, "text"), ElementsAre("first", HasSubstr("longer than"), "last"));
    EXPECT_EQ(records[1].line, 3);
    EXPECT_EQ(records[2].line, 4 + static_cast<int64_t>(lines));
  }
}

TEST_F(ReaderTest, TsvAndTextLines) {
  const auto tsv = read_all({write("a.tsv", "text\tlabel\na, b\t1\n\"c\td\"\t2\n")});
  EXPECT_THAT(texts(tsv, "text"), ElementsAre("a, b", "c\td"));
  const auto lines = read_all({write("a.txt", "one\n\nthree\r\n\xFE\n")});
  EXPECT_THAT(texts(lines, "text"), ElementsAre("one", "", "three", HasSubstr("not UTF-8")));
}

TEST_F(ReaderTest, SquadGivesAQuestionARecord) {
  const auto records =
      read_all({write("a.json",
                      R"({"version": "1.1", "data": [{"title": "t [ { \" ", "paragraphs": [
         {"context": "c {1}", "qas": [{"id": "a", "question": "q1", "answers": []},
                                      {"id": "b", "question": "q2"}]},
         {"qas": []}, {"context": "c2", "qas": [{"id": "c"}, {"id": "d", "question": "q4"}]}]},
         {"paragraphs": [{"qas": [{"question": "q5", "id": "e"}], "context": "c3"}]}]})")});
  EXPECT_THAT(texts(records, "question"),
              ElementsAre("q1", "q2", HasSubstr("a paragraph without"),
                          HasSubstr("without a \"question\""), "q4", "q5"));
  EXPECT_EQ(records[1].text("context"), "c {1}");
  EXPECT_EQ(records[1].line, 2);
  EXPECT_EQ(records[3].line, 4);
  EXPECT_EQ(records[5].text("id"), "e");
  EXPECT_THAT(error_of([&] { read_all({write("b.json", "{\"data\": [{\"para")}); }).what(),
              HasSubstr("ends too early"));
  EXPECT_THAT(error_of([&] { read_all({write("c.json", "{\"a\": 1}")}); }).what(),
              HasSubstr("no paragraphs"));
  EXPECT_THAT(error_of([&] { read_all({write("d.json", "{\"data\": }]")}); }).what(),
              HasSubstr("closes nothing"));
}

TEST_F(ReaderTest, NpyGivesARowARecord) {
  write_npy(folder_ / "a.npy", Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}));
  const auto records = read_all({(folder_ / "a.npy").string()});
  ASSERT_EQ(records.size(), 3U);
  EXPECT_THAT(std::get<Tensor>(*records[1].find("array")).values<float>(), ElementsAre(3, 4));
  write_npy(folder_ / "s.npy", Tensor::scalar(1.0F));
  EXPECT_THAT(error_of([&] { read_all({(folder_ / "s.npy").string()}); }).what(),
              HasSubstr("scalar"));
  EXPECT_EQ(error_of([&] { read_all({write("b.npy", "\x93NUMPY\x01")}); }).code(),
            Errc::invalid_file);
}

// Lines of all lengths, so that they fall on every side of the blocks that are read.
TEST_F(ReaderTest, CompressedFilesGiveTheSameRecords) {
  std::mt19937 random(1);
  std::string bytes;
  std::vector<std::string> expected;
  for (const std::size_t length : {0, 1, 65535, 65536, 262143, 262144, 300000, 5}) {
    std::string line(length, 'a');
    for (char& c : line) c = static_cast<char>('a' + random() % 26);
    expected.push_back(line);
    bytes += line + "\n";
  }
  const std::size_t half = bytes.find('\n', 70000) + 1;
  const std::string parts[] = {bytes.substr(0, half), bytes.substr(half)};
  const std::vector<std::string> files = {
      write("a.txt", bytes), write("b.txt.gz", gzip(parts[0]) + gzip(parts[1])),
      write("c.txt.zst", zstd(parts[0]) + zstd(parts[1])), write("d.gz.txt", gzip(bytes))};
  for (const std::string& file : files) {
    EXPECT_EQ(texts(read_all({file}), "text"), expected) << file;
  }
  for (const auto& [name, packed] :
       {std::pair("e.txt.gz", gzip(bytes)), {"e.txt.zst", zstd(bytes)}}) {
    const std::string cut = write(name, packed.substr(0, packed.size() - 9));
    EXPECT_THAT(error_of([&] { read_all({cut}); }).what(), HasSubstr("ends too early")) << name;
    std::string damaged = packed;
    for (std::size_t i = 4; i < 60; ++i) damaged[i] = static_cast<char>(damaged[i] ^ 0x5A);
    const std::string broken = write(name, damaged);
    EXPECT_EQ(error_of([&] { read_all({broken}); }).code(), Errc::invalid_file) << name;
  }
}

TEST_F(ReaderTest, PatternsGiveManyFilesInOrder) {
  write("p-2.jsonl", "{\"text\": \"c\"}\n");
  write("p-1.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}");
  write("p-3.jsonl", "");
  const auto records = read_all({(folder_ / "p-*.jsonl").string()});
  EXPECT_THAT(texts(records, "text"), ElementsAre("a", "b", "c"));
  EXPECT_EQ(records[2].index, 2);
  EXPECT_EQ(records[2].line, 1);
  EXPECT_THAT(*records[2].file, HasSubstr("p-2.jsonl"));
}

TEST_F(ReaderTest, WhatCannotBeReadIsRefused) {
  EXPECT_THAT(error_of([&] { open_reader({"missing.jsonl"}); }).what(), HasSubstr("no such file"));
  EXPECT_THAT(error_of([&] { open_reader({"miss*.jsonl"}); }).what(), HasSubstr("no file matches"));
  EXPECT_THAT(error_of([&] { open_reader({write("a.bin", "")}); }).what(), HasSubstr(".jsonl"));
  EXPECT_THAT(error_of([&] {
                open_reader({write("a.csv", ""), write("b.tsv", "")});
              }).what(),
              HasSubstr("different formats"));
  EXPECT_THAT(error_of([&] { open_reader({}); }).what(), HasSubstr("no input"));
  EXPECT_THAT(error_of([&] { read_all({folder_.string()}, {.format = Format::text}); }).what(),
              HasSubstr("a directory"));
  EXPECT_EQ(error_of([] { parse_format("xml"); }).code(), Errc::invalid_argument);
  EXPECT_TRUE(read_all({write("empty.csv", "")}).empty());
  EXPECT_TRUE(read_all({write("empty.jsonl", "")}).empty());
}

}  // namespace
}  // namespace tercel::data

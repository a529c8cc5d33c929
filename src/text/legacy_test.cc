#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/text/legacy_config.h"
#include "tercel/error.h"
#include "tercel/tokenizer.h"

namespace tercel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class Legacy : public testing::Test {
 protected:
  Legacy() : folder_(fs::temp_directory_path() / ("tercel_legacy_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Legacy() override { fs::remove_all(folder_); }

  void write(const char* name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string message() const {
    try {
      Tokenizer::load(folder_);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_;
};

TEST_F(Legacy, VocabTxtIsBert) {
  write("vocab.txt", "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n\"\nHello\n");
  const Tokenizer lower = Tokenizer::load(folder_);
  EXPECT_THAT(lower.encode("Hellos \" x").ids, ElementsAre(2, 5, 6, 7, 1, 3));
  EXPECT_THAT(lower.encode_pair("hello", "[MASK]").type_ids, ElementsAre(0, 0, 0, 1, 1));
  EXPECT_TRUE(lower.is_special(4));
  write("tokenizer_config.json",
        R"({"do_lower_case": false, "cls_token": {"content": "[START]"}})");
  write("special_tokens_map.json", R"({"cls_token": "[SEP]", "sep_token": "[MASK]"})");
  write("added_tokens.json", R"({"more": 40, "<x>": 12})");
  const Tokenizer cased = Tokenizer::load(folder_ / "vocab.txt");
  EXPECT_EQ(cased.token_to_id("<x>"), 9);
  EXPECT_EQ(cased.token_to_id("more"), 10);
  EXPECT_EQ(cased.token_to_id("[START]"), 11);
  EXPECT_THAT(cased.encode("Hello <x>s").ids, ElementsAre(11, 8, 9, 1, 4));
  EXPECT_FALSE(cased.is_special(9));
}

TEST_F(Legacy, MessagesNameFileAndPlace) {
  EXPECT_THAT(message(), HasSubstr("no tokenizer is here"));
  write("vocab.txt", "\xFF\n");
  EXPECT_THAT(message(), HasSubstr("vocab.txt: the file is not UTF-8"));
  write("vocab.json", R"({"a": 0, "b": 1})");
  EXPECT_THAT(message(), HasSubstr("merges.txt"));
  write("merges.txt", "#version: 0.2\na b\nab\n");
  EXPECT_THAT(message(), HasSubstr("merges.txt: line 3: expected two tokens"));
  write("tokenizer_config.json", R"({"tokenizer_class": "XyzTokenizer"})");
  EXPECT_THAT(message(), HasSubstr("XyzTokenizer is not supported"));
}

TEST(LegacyConfig, QuotesStrings) {
  EXPECT_EQ(text::json_quote("a\"\\\n\x01é"), "\"a\\\"\\\\\\u000a\\u0001é\"");
}

}  // namespace
}  // namespace tercel

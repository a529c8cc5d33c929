#include "src/tasks/windows.h"

#include <random>

#include <gtest/gtest.h>

#include "tercel/error.h"

namespace tercel::tasks {
namespace {

const Tokenizer& tokenizer() {
  static const Tokenizer loaded = Tokenizer::load(TERCEL_SOURCE_DIR "/models/minilm-qa");
  return loaded;
}

std::string random_text(std::mt19937& random, int words) {
  static const char* const kWords[] = {"river", "forest,", "Species", "of", "1995.", "überall"};
  std::string text;
  for (int i = 0; i < words; ++i) text += std::string(kWords[random() % 6]) + " ";
  return text;
}

void expect_same(const Windows& windows, const Encoding& first, int sequence) {
  ASSERT_EQ(windows.count(), 1 + first.overflowing.size());
  for (std::size_t i = 0; i < windows.count(); ++i) {
    const Encoding& expected = i == 0 ? first : first.overflowing[i - 1];
    const TokenRow row = windows.row(i);
    EXPECT_EQ(row.ids, expected.ids);
    EXPECT_EQ(row.type_ids, expected.type_ids);
    for (std::size_t token = windows.begin(i); token < windows.end(i); ++token) {
      const std::size_t position = windows.prefix() + token - windows.begin(i);
      EXPECT_EQ(expected.sequence_ids[position], sequence);
      EXPECT_EQ(windows.offsets(token), expected.offsets[position]);
    }
  }
}

TEST(Windows, AreThoseOfTheTokenizersTruncation) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const std::string question = random_text(random, 1 + static_cast<int>(random() % 8));
    const std::string text = random_text(random, 1 + static_cast<int>(random() % 150));
    const WindowShape shape = {48 + static_cast<int>(random() % 40),
                               static_cast<int>(random() % 9)};
    EncodeOptions options;
    options.truncation =
        Truncation{static_cast<std::size_t>(shape.max_length),
                   static_cast<std::size_t>(shape.stride), TruncationStrategy::only_second};
    const std::string_view asked = question;
    SCOPED_TRACE(round);
    expect_same(Windows(tokenizer(), &asked, text, shape),
                tokenizer().encode_pair(question, text, options), 1);
    options.truncation->strategy = TruncationStrategy::longest_first;
    expect_same(Windows(tokenizer(), nullptr, text, shape), tokenizer().encode(text, options), 0);
  }
}

Errc code_of(std::string_view question, std::string_view text, const WindowShape& shape) {
  try {
    const Windows windows(tokenizer(), &question, text, shape);
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::internal;
}

TEST(Windows, RefuseWhatCannotBeRead) {
  EXPECT_EQ(code_of("who?", "\x01\x02", {384, 128}), Errc::invalid_argument);
  EXPECT_EQ(code_of("who?", "text", {3, 0}), Errc::invalid_argument);
  EXPECT_EQ(code_of("who?", "text", {100, -1}), Errc::invalid_argument);
  EXPECT_EQ(code_of("who?", "text", {100, 98}), Errc::invalid_argument);
  std::mt19937 random(3);
  EXPECT_EQ(code_of(random_text(random, 400), "text", {384, 128}), Errc::invalid_argument);
  EXPECT_EQ(code_of("who?", std::string(std::size_t{17} << 20, 'x'), {384, 128}),
            Errc::invalid_argument);
  EXPECT_EQ(code_of("who?", random_text(random, 70000), {12, 6}), Errc::invalid_argument);
}

}  // namespace
}  // namespace tercel::tasks

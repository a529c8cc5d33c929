#include "src/text/unicode.h"

#include <gtest/gtest.h>

#include "src/text/normal_forms.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

std::string normal_form(std::string_view text, NormalForm form) {
  AlignedText chars;
  decode_into(chars, text, 0);
  normalize(chars, form);
  RenderedText rendered;
  rendered.assign(chars.data(), chars.data() + chars.size());
  return rendered.bytes;
}

TEST(Utf8, EachMaximalIllFormedSubsequenceIsOneReplacement) {
  // The example of the Unicode standard, table 3-8, and what surrounds it.
  EXPECT_EQ(to_utf32("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            U"a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(to_utf32("\xC0\xAF"), U"\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(to_utf32("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(to_utf32("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(to_utf32("\xE2\x82"), U"\uFFFD");                            // cut off
}

TEST(Utf8, EveryCodePointSurvivesTheRoundTrip) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::string bytes;
    append_utf8(bytes, code);
    ASSERT_EQ(decode_first(bytes).code, code);
    ASSERT_EQ(decode_first(bytes).length, bytes.size());
    ASSERT_EQ(decode_last("x" + bytes).code, code);
  }
}

TEST(Unicode, ClassesOfSomeCharacters) {
  EXPECT_TRUE(is(U'$', kPunctuation));
  EXPECT_FALSE(is(U'\u20AC', kPunctuation));  // a currency sign beyond ASCII is none
  EXPECT_TRUE(is(U'\u00A0', kWhite));
  EXPECT_TRUE(is(U'\u200B', kOther));
  EXPECT_FALSE(is(U'\n', kOther));
  EXPECT_TRUE(is(U'\u0301', kMark | kNonspacing));
  EXPECT_TRUE(is(U'\u4E2D', kChinese));
  EXPECT_FALSE(is(U'\U0002B820', kChinese));
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(normal_form("\u00E9\u1E69", NormalForm::nfd), "e\u0301s\u0323\u0307");
  EXPECT_EQ(normal_form("s\u0307\u0323", NormalForm::nfc), "\u1E69");
  EXPECT_EQ(normal_form("\u1112\u1161\u11AB", NormalForm::nfc), "\uD55C");
  EXPECT_EQ(normal_form("\uFB01\u2460", NormalForm::nfkc), "fi1");
  EXPECT_EQ(normal_form("\u212B", NormalForm::nfkd), "A\u030A");
}

}  // namespace
}  // namespace tercel::text

// The models against slow oracles that say what they mean: a BPE that looks at all pairs for each
// merge, a unigram model that tries every way to cut a word.

#include <map>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/text/model.h"
#include "src/text/models/bpe_merge.h"
#include "src/text/models/trie.h"
#include "src/text/models/word_cache.h"
#include "tercel/error.h"

namespace tercel::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<const Model> parse(const std::string& json) {
  return make_model(JsonDocument::parse(json, "tokenizer.json").root());
}

std::vector<std::string> pieces(const Model& model, std::string_view word) {
  std::vector<ModelToken> tokens;
  model.tokenize(word, tokens);
  std::vector<std::string> result;
  for (const ModelToken& token : tokens) {
    result.push_back(fmt::format("{}:{}-{}", *model.id_to_token(token.id), token.begin, token.end));
  }
  return result;
}

void expect_refused(const std::string& json, Errc code, const std::string& message) {
  try {
    const auto model = parse(json);
    std::vector<ModelToken> tokens;
    model->tokenize("x", tokens);
    FAIL() << "accepted: " << json;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

std::string bpe(const std::string& members) {
  return R"({"type": "BPE", )" + members +
         R"("vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "bc": 5, "<unk>": 6, "<0xC3>": 7,
            "<0xA9>": 8, "##b": 9, "a</w>": 10, "ab</w>": 11, "b</w>": 12},
            "merges": ["a b", ["ab", "c"], "b c"]})";
}

// ---------------------------------------------------------------- BPE

TEST(Bpe, MergesByRank) {
  const auto model = parse(bpe(""));
  EXPECT_THAT(pieces(*model, "abcbc"), ElementsAre("abc:0-3", "bc:3-5"));
  EXPECT_THAT(pieces(*model, "aab"), ElementsAre("a:0-1", "ab:1-3"));
}

TEST(Bpe, UnknownCharacters) {
  // Without an unknown token they are left out, and what follows moves up.
  EXPECT_THAT(pieces(*parse(bpe("")), "axyb"), ElementsAre("ab:0-2"));
  EXPECT_THAT(pieces(*parse(bpe(R"("unk_token": "<unk>", )")), "axyb"),
              ElementsAre("a:0-1", "<unk>:1-2", "<unk>:2-3", "b:3-4"));
  EXPECT_THAT(pieces(*parse(bpe(R"("unk_token": "<unk>", "fuse_unk": true, )")), "axyb"),
              ElementsAre("a:0-1", "<unk>:1-3", "b:3-4"));
  const auto bytes = parse(bpe(R"("unk_token": "<unk>", "byte_fallback": true, )"));
  EXPECT_THAT(pieces(*bytes, "aéüb"),
              ElementsAre("a:0-1", "<0xC3>:1-2", "<0xA9>:2-3", "<unk>:3-5", "b:5-6"));
}

TEST(Bpe, PrefixesAndSuffixes) {
  const std::string prefix = R"("continuing_subword_prefix": "##", "unk_token": "<unk>", )";
  expect_refused(bpe(prefix), Errc::invalid_file, "begins with \"##\"");
  const auto suffix = parse(bpe(R"("end_of_word_suffix": "</w>", "unk_token": "<unk>", )"));
  EXPECT_THAT(pieces(*suffix, "ba"), ElementsAre("b:0-1", "a</w>:1-2"));
  EXPECT_THAT(pieces(*suffix, "b"), ElementsAre("b</w>:0-1"));
}

TEST(Bpe, WholeWordsMayGoFirst) {
  const std::string json = R"({"type": "BPE", "ignore_merges": true,
    "vocab": {"a": 0, "b": 1, "ba": 2, "ab": 3}, "merges": ["a b"]})";
  EXPECT_THAT(pieces(*parse(json), "ba"), ElementsAre("ba:0-2"));
  EXPECT_THAT(pieces(*parse(json), "bab"), ElementsAre("b:0-1", "ab:1-3"));
}

TEST(Bpe, RefusesWhatItCannotMean) {
  expect_refused(bpe(R"("dropout": 0.1, )"), Errc::unsupported, "dropout");
  expect_refused(R"({"vocab": {"a": 0}, "merges": ["a b"]})", Errc::invalid_file, "lacks \"b\"");
  expect_refused(R"({"vocab": {"a": 0}, "merges": ["a"]})", Errc::invalid_file, "a space between");
  expect_refused(R"({"vocab": {"a": 0}, "merges": [["a"]]})", Errc::invalid_file, "two tokens");
  expect_refused(R"({"vocab": {"a": 0}, "merges": [], "unk_token": "u"})", Errc::invalid_file,
                 "the unknown token \"u\"");
}

struct RandomMerges {
  std::vector<std::pair<int32_t, int32_t>> pairs;
  PairRanks ranks{64};

  explicit RandomMerges(std::mt19937& random) {
    for (int32_t next = 4; next < 40; ++next) {
      std::uniform_int_distribution<int32_t> pick(0, next - 1);
      pairs.emplace_back(pick(random), pick(random));
      ranks.add(pairs.back().first, pairs.back().second, next);
    }
  }
  // Of equal pairs the last one counts.
  uint32_t rank(int32_t left, int32_t right) const {
    for (std::size_t i = pairs.size(); i > 0; --i) {
      if (pairs[i - 1] == std::pair(left, right)) return static_cast<uint32_t>(i - 1);
    }
    return PairRanks::kNone;
  }
  std::vector<int32_t> merge(std::vector<int32_t> ids) const {
    while (true) {
      uint32_t best = PairRanks::kNone;
      std::size_t at = 0;
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        if (rank(ids[i], ids[i + 1]) < best) best = rank(ids[i], ids[i + 1]), at = i;
      }
      if (best == PairRanks::kNone) return ids;
      ids[at] = static_cast<int32_t>(best) + 4;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at + 1));
    }
  }
};

TEST(Bpe, MergesAsTheSlowOracle) {
  std::mt19937 random(17);
  for (int round = 0; round < 200; ++round) {
    const RandomMerges merges(random);
    for (const std::size_t length : {0, 1, 2, 3, 7, 30, 47, 48, 49, 50, 120}) {
      std::vector<int32_t> ids(length);
      std::vector<BpeSymbol> symbols;
      for (int32_t& id : ids) {
        id = std::uniform_int_distribution<int32_t>(0, 3)(random);
        symbols.push_back({id, 1});
      }
      merge_pairs(merges.ranks, symbols);
      std::vector<int32_t> result;
      uint32_t bytes = 0;
      for (const BpeSymbol& symbol : symbols) {
        result.push_back(symbol.id);
        bytes += symbol.length;
      }
      ASSERT_EQ(result, merges.merge(ids)) << "round " << round << ", length " << length;
      ASSERT_EQ(bytes, length);
    }
  }
}

TEST(Bpe, LongWordsAreNotQuadratic) {
  // Quadratic work would take minutes, and fail by the test's time limit.
  const auto model = parse(bpe(""));
  std::string word;
  for (int i = 0; i < 500'000; ++i) word += "ab";
  std::vector<ModelToken> tokens;
  model->tokenize(word, tokens);
  EXPECT_EQ(tokens.size(), 500'000U);
}

// ---------------------------------------------------------------- Unigram

std::string unigram(const std::string& members) {
  return R"({"type": "Unigram", )" + members +
         R"("vocab": [["<unk>", 0], ["a", -1], ["b", -2], ["ab", -2.5], ["abc", -9], ["<0xC3>", -20],
            ["<0xA9>", -20]]})";
}

TEST(Unigram, TakesTheBestPath) {
  const auto model = parse(unigram(R"("unk_id": 0, )"));
  EXPECT_THAT(pieces(*model, "aabb"), ElementsAre("a:0-1", "ab:1-3", "b:3-4"));
  EXPECT_THAT(pieces(*model, "abc"), ElementsAre("abc:0-3"));
  EXPECT_THAT(pieces(*model, "axéb"), ElementsAre("a:0-1", "<unk>:1-4", "b:4-5"));
  EXPECT_THAT(pieces(*model, "x<unk>y"), ElementsAre("<unk>:0-7"));
  EXPECT_THAT(pieces(*model, "<unk>"), ElementsAre("<unk>:0-5"));
}

TEST(Unigram, BytesStandForTheWholeRun) {
  const auto model = parse(unigram(R"("unk_id": 0, "byte_fallback": true, )"));
  EXPECT_THAT(pieces(*model, "aé"), ElementsAre("a:0-1", "<0xC3>:1-3", "<0xA9>:1-3"));
  EXPECT_THAT(pieces(*model, "aéx"), ElementsAre("a:0-1", "<unk>:1-4"));
}

TEST(Unigram, RefusesWhatItCannotMean) {
  expect_refused(unigram(R"("unk_id": 7, )"), Errc::invalid_file, "an id of the vocabulary");
  expect_refused(unigram(""), Errc::invalid_file, "no \"unk_id\"");
  expect_refused(R"({"type": "Unigram", "vocab": [["a"]]})", Errc::invalid_file, "and its score");
}

double best_score(const std::map<std::string, double>& scores, double unknown,
                  std::string_view text) {
  if (text.empty()) return 0;
  double best = -1e300;
  for (std::size_t length = 1; length <= text.size(); ++length) {
    const auto piece = scores.find(std::string(text.substr(0, length)));
    const double own = piece != scores.end() ? piece->second : length == 1 ? unknown : -1e300;
    if (own > -1e300) best = std::max(best, own + best_score(scores, unknown, text.substr(length)));
  }
  return best;
}

TEST(Unigram, ScoresAsTheSlowOracle) {
  std::mt19937 random(23);
  const auto random_text = [&](std::size_t longest) {
    std::string text(std::uniform_int_distribution<std::size_t>(1, longest)(random), 'a');
    for (char& c : text) c = static_cast<char>('a' + std::uniform_int_distribution<>(0, 2)(random));
    return text;
  };
  for (int round = 0; round < 100; ++round) {
    std::map<std::string, double> scores;
    for (int i = 0; i < 12; ++i) {
      scores[random_text(4)] = -std::uniform_int_distribution<>(1, 64)(random) / 4.0;
    }
    std::string json = R"({"type": "Unigram", "unk_id": 0, "vocab": [["?", 0])";
    double least = 0;
    for (const auto& [token, score] : scores) {
      json += fmt::format(", [\"{}\", {}]", token, score);
      least = std::min(least, score);
    }
    const auto model = parse(json + "]}");
    for (int i = 0; i < 20; ++i) {
      const std::string text = random_text(9);
      std::vector<ModelToken> tokens;
      model->tokenize(text, tokens);
      double score = 0;
      for (const ModelToken& token : tokens) {
        score += token.id == 0 ? (least - 10) * (token.end - token.begin)
                               : scores.at(text.substr(token.begin, token.end - token.begin));
      }
      ASSERT_EQ(score, best_score(scores, least - 10, text)) << text << " " << json;
    }
  }
}

// ---------------------------------------------------------------- the rest

TEST(WordLevel, WordsOrUnknown) {
  const auto model =
      parse(R"({"type": "WordLevel", "unk_token": "?", "vocab": {"?": 3, "ab": 1}})");
  EXPECT_THAT(pieces(*model, "ab"), ElementsAre("ab:0-2"));
  EXPECT_THAT(pieces(*model, "abc"), ElementsAre("?:0-3"));
  expect_refused(R"({"type": "WordLevel", "unk_token": "?", "vocab": {"ab": 1}})",
                 Errc::invalid_file, "the unknown token \"?\"");
}

TEST(Trie, FindsAllPrefixes) {
  std::mt19937 random(5);
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) {
    std::string key(std::uniform_int_distribution<std::size_t>(1, 5)(random), ' ');
    for (char& c : key)
      c = static_cast<char>(std::uniform_int_distribution<>(0, 255)(random) & 0x83);
    keys.push_back(key);
  }
  std::vector<Trie::Entry> entries;
  std::map<std::string, int32_t> expected;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    entries.emplace_back(keys[i], static_cast<int32_t>(i));
    expected[keys[i]] = static_cast<int32_t>(i);
  }
  const Trie trie(entries);
  for (const std::string& key : keys) {
    uint32_t node = Trie::kRoot;
    for (std::size_t length = 1; length <= key.size(); ++length) {
      node = trie.step(node, static_cast<unsigned char>(key[length - 1]));
      ASSERT_NE(node, Trie::kRoot);
      const auto found = expected.find(key.substr(0, length));
      EXPECT_EQ(trie.value(node), found == expected.end() ? -1 : found->second);
    }
  }
  EXPECT_EQ(Trie({}).step(Trie::kRoot, 'a'), Trie::kRoot);
}

TEST(WordCache, KeepsWordsApartAndOwners) {
  const uint64_t one = WordCache::new_owner();
  const uint64_t other = one + 2;  // the same table
  int computed = 0;
  const auto tokenize = [&](uint64_t owner, std::string_view word) {
    std::vector<ModelToken> tokens;
    tokenize_cached(owner, word, tokens, [&](std::string_view text, auto& result) {
      ++computed;
      result.push_back({static_cast<int32_t>(owner), 0, static_cast<uint32_t>(text.size())});
    });
    return tokens.at(0);
  };
  EXPECT_EQ(tokenize(one, "word").end, 4U);
  EXPECT_EQ(tokenize(one, "word").end, 4U);
  EXPECT_EQ(computed, 1);
  EXPECT_EQ(tokenize(other, "word").id, static_cast<int32_t>(other));
  EXPECT_EQ(tokenize(one, "word").id, static_cast<int32_t>(one));
  EXPECT_EQ(computed, 3);
  for (int i = 0; i < 100'000; ++i) {
    const std::string word = std::to_string(i);
    ASSERT_EQ(tokenize(one, word).end, word.size());
  }
}

}  // namespace
}  // namespace tercel::text

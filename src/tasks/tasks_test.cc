#include "tercel/tasks.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tercel/model.h"
#include "tercel/tokenizer.h"

namespace tercel {
namespace {

const std::filesystem::path kCheckpoints = TERCEL_SOURCE_DIR "/tests/data/checkpoints";
const std::filesystem::path kModel = TERCEL_SOURCE_DIR "/models/minilm-qa";
constexpr char kDocument[] =
    "The lighthouse was built in 1858 by the engineer James Walker. It stands forty metres tall, "
    "and it has been automatic since 1992.";

const QuestionAnswering& shipped() {
  static const QuestionAnswering loaded(kModel, {.threads = 1});
  return loaded;
}

template <class F>
void expect_error(Errc code, const std::string& part, F&& body) {
  try {
    body();
    ADD_FAILURE() << "no error; expected one about " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(part));
  }
}

TEST(QuestionAnswering, AnswersAndSaysWhere) {
  const std::string document = kDocument;
  const auto answers = shipped().ask("  When was the lighthouse built?", document, {.top_k = 3});
  ASSERT_FALSE(answers.empty());
  EXPECT_EQ(answers[0].text, "1858");
  float sum = 0;
  for (const auto& answer : answers) {
    EXPECT_EQ(answer.text, document.substr(answer.begin, answer.end - answer.begin));
    EXPECT_LE(answer.score, answers[0].score);
    sum += answer.probability;
  }
  EXPECT_LE(sum, 1.0001F);
}

TEST(QuestionAnswering, LongDocumentsAndBatchesGiveTheSameAnswers) {
  std::string document;
  for (int i = 0; i < 40; ++i) document += "The keeper wrote a letter about the sea and the wind. ";
  document += kDocument;
  for (int i = 0; i < 40; ++i) document += " Ships passed by, and nobody counted them all.";
  const std::string questions[] = {"Who built the lighthouse?", "How tall is it?",
                                   "Since when has it been automatic?"};
  std::vector<tasks::Query> queries;
  for (const auto& question : questions) queries.push_back({question, document});
  const auto together = shipped().ask_all(queries, {.top_k = 2, .batch_size = 5});
  ASSERT_EQ(together.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto alone = shipped().ask(questions[i], document, {.top_k = 2, .batch_size = 1});
    ASSERT_EQ(alone.size(), together[i].size());
    for (std::size_t j = 0; j < alone.size(); ++j) {
      EXPECT_EQ(alone[j].text, together[i][j].text);
      EXPECT_EQ(alone[j].score, together[i][j].score);
    }
  }
  EXPECT_THAT(together[0][0].text, testing::HasSubstr("James Walker"));
}

TEST(QuestionAnswering, NoAnswerIsAChoiceOfTheThreshold) {
  const auto ask = [](float threshold) {
    return shipped().ask("When was it built?", kDocument,
                         {.top_k = 20, .allow_null = true, .null_threshold = threshold});
  };
  EXPECT_TRUE(ask(-1000).front().is_null);
  EXPECT_TRUE(ask(-1000).front().text.empty());
  EXPECT_FALSE(ask(1000).front().is_null);
  for (const auto& answer : shipped().ask("When was it built?", kDocument, {.top_k = 20})) {
    EXPECT_FALSE(answer.is_null);
  }
}

TEST(QuestionAnswering, RefusesWhatItCannotAnswer) {
  const auto ask = [](std::string_view question, std::string_view document,
                      const tasks::QuestionAnsweringOptions& options = {}) {
    return [=] { shipped().ask(question, document, options); };
  };
  expect_error(Errc::invalid_argument, "question is empty", ask(" \n", kDocument));
  expect_error(Errc::invalid_argument, "document is empty", ask("who?", " \t\u00A0"));
  expect_error(Errc::invalid_argument, "top_k", ask("who?", kDocument, {.top_k = 0}));
  expect_error(Errc::invalid_argument, "top_k", ask("who?", kDocument, {.top_k = 21}));
  expect_error(Errc::invalid_argument, "batch_size", ask("who?", kDocument, {.batch_size = -1}));
  std::string lengthy;
  for (int i = 0; i < 300; ++i) lengthy += "why ";
  expect_error(Errc::invalid_argument, "question is too long", ask(lengthy, kDocument));
}

TEST(QuestionAnswering, CanBeCancelled) {
  const CancelFlag cancel = true;
  expect_error(Errc::cancelled, "cancel",
               [&] { shipped().ask("When?", kDocument, {}, {.cancel = &cancel}); });
}

TEST(QuestionAnswering, WrongModelsNameTheOutputsAndTheCommand) {
  expect_error(Errc::invalid_argument, "tercel classify",
               [] { QuestionAnswering model(kCheckpoints / "bert_classify"); });
  expect_error(Errc::invalid_argument, "sentence_embedding",
               [] { QuestionAnswering model(kCheckpoints / "sentence_mean"); });
  expect_error(Errc::invalid_argument, "tercel ask",
               [] { TextClassification model(kCheckpoints / "bert_qa"); });
  expect_error(Errc::invalid_argument, "tercel ask",
               [] { Embedding model(kCheckpoints / "bert_qa"); });
  expect_error(Errc::invalid_argument, "tercel classify",
               [] { TokenClassification model(kCheckpoints / "bert_classify"); });
  expect_error(Errc::not_found, "nowhere", [] { QuestionAnswering model("nowhere"); });
}

TEST(QuestionAnswering, ExportedModelWithItsTokenizerBeside) {
  const auto folder = std::filesystem::temp_directory_path() / "tercel_tasks_test";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(kCheckpoints / "bert_qa" / "tokenizer.json", folder / "tokenizer.json",
                             std::filesystem::copy_options::overwrite_existing);
  export_onnx(kCheckpoints / "bert_qa", folder / "model.onnx");
  const std::string document = kDocument;
  const auto expected = QuestionAnswering(kCheckpoints / "bert_qa").ask("Who?", document);
  const auto answers = QuestionAnswering(folder / "model.onnx").ask("Who?", document);
  std::filesystem::remove_all(folder);
  ASSERT_EQ(answers.size(), expected.size());
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].text, expected[i].text);
}

TEST(TextClassification, ProbabilitiesOfAllLabels) {
  const TextClassification model(kCheckpoints / "bert_classify", {.threads = 1});
  std::vector<std::string> texts(20, "a text");
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] += std::string(3 * i, 'x') + " and more";
  const auto results = model.classify(texts);
  ASSERT_EQ(results.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ASSERT_EQ(results[i].size(), 3U);
    EXPECT_NEAR(results[i][0].score + results[i][1].score + results[i][2].score, 1, 1e-5);
    EXPECT_GE(results[i][0].score, results[i][1].score);
    const auto alone = model.classify({&texts[i], 1});
    EXPECT_EQ(alone[0][0].name, results[i][0].name);
    EXPECT_EQ(alone[0][0].score, results[i][0].score);
  }
}

TEST(TextClassification, PairsAreOneRowOfBothTexts) {
  const TextClassification model(kCheckpoints / "bert_classify", {.threads = 1});
  const auto tokenizer = Tokenizer::load(kCheckpoints / "bert_classify");
  const std::vector<std::string> texts = {"the river is long", "a town by the sea"};
  const auto results = model.classify_pairs("who made it?", texts);
  ASSERT_EQ(results.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Encoding pair = tokenizer.encode_pair("who made it?", texts[i]);
    const auto length = static_cast<int64_t>(pair.ids.size());
    const auto row = [&](const std::vector<int32_t>& values) {
      return Tensor::from(std::vector<int64_t>(values.begin(), values.end()), {1, length});
    };
    const auto logits =
        model.session()
            .run({{"input_ids", row(pair.ids)},
                  {"token_type_ids", row(pair.type_ids)},
                  {"attention_mask", row(std::vector<int32_t>(pair.ids.size(), 1))}})
            .at("logits");
    const auto values = logits.values<float>();
    double sum = 0;
    for (const float value : values) sum += std::exp(double{value});
    const float highest = *std::max_element(values.begin(), values.end());
    EXPECT_NEAR(results[i][0].score, std::exp(double{highest}) / sum, 1e-6);
  }
}

TEST(Embedding, OneRowAText) {
  const Embedding model(kCheckpoints / "sentence_mean", {.threads = 1});
  const std::vector<std::string> texts = {"first", "a second, longer text", ""};
  const Tensor vectors = model.embed(texts);
  ASSERT_EQ(vectors.shape()[0], 3);
  const auto size = static_cast<std::size_t>(vectors.shape()[1]);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Tensor alone = model.embed({&texts[i], 1});
    double norm = 0;
    for (std::size_t j = 0; j < size; ++j) {
      EXPECT_EQ(alone.values<float>()[j], vectors.values<float>()[i * size + j]);
      norm += std::pow(alone.values<float>()[j], 2);
    }
    EXPECT_NEAR(norm, 1, 1e-4);  // this checkpoint normalises
  }
  EXPECT_EQ(model.embed({}).shape()[0], 0);
}

}  // namespace
}  // namespace tercel

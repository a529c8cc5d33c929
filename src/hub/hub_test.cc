#include "src/hub/hub.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/mapped_file.h"
#include "src/hub/safetensors.h"
#include "src/ir/verify.h"

namespace tercel::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const fs::path kCheckpoints = fs::path(TERCEL_SOURCE_DIR) / "tests/data/checkpoints";

// A copy of a small checkpoint that a test may damage.
class HubTest : public ::testing::Test {
 protected:
  HubTest() : folder_(fs::temp_directory_path() / ("tercel_hub_" + std::to_string(::getpid()))) {}
  ~HubTest() override { fs::remove_all(folder_); }

  void copy(const std::string& checkpoint) {
    fs::remove_all(folder_);
    fs::copy(kCheckpoints / checkpoint, folder_, fs::copy_options::recursive);
  }

  void write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ / file) << text;
  }

  // Replaces `"key": …` (to the end of its line) in config.json.
  void set_config(const std::string& key, const std::string& value) {
    std::string text = read_text_file(folder_ / "config.json");
    const std::string quoted = "\"" + key + "\":";
    const auto at = text.find(quoted);
    if (at == std::string::npos) {
      text.insert(text.find('{') + 1, "\n" + quoted + " " + value + ",");
    } else {
      const auto end = text.find('\n', at);
      const bool comma = text[end - 1] == ',';
      text.replace(at, end - at, quoted + " " + value + (comma ? "," : ""));
    }
    write("config.json", text);
  }

  void expect_error(Errc code, const std::string& message, const std::string& task = "") {
    try {
      load_checkpoint(folder_, {task});
      FAIL() << "no error; expected: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  }

  fs::path folder_;
};

std::vector<std::string> names_of(std::span<ir::Value* const> values) {
  std::vector<std::string> names;
  for (const ir::Value* value : values) names.push_back(value->name());
  return names;
}

std::string metadata_of(const ir::Model& model, std::string_view key) {
  for (const auto& [name, value] : model.metadata) {
    if (name == key) return value;
  }
  return "(none)";
}

TEST_F(HubTest, EveryCheckpointBecomesAGraphThatHolds) {
  for (const auto& entry : fs::directory_iterator(kCheckpoints)) {
    SCOPED_TRACE(entry.path());
    ASSERT_TRUE(is_checkpoint(entry.path()));
    const auto model = load_checkpoint(entry.path());
    ir::verify(*model, Errc::internal);
    EXPECT_EQ(model->opsets.at(""), ir::kOpset);
  }
  EXPECT_FALSE(is_checkpoint(kCheckpoints));
  EXPECT_FALSE(is_checkpoint(kCheckpoints / "none"));
}

TEST_F(HubTest, InputsOutputsAndMetadataFollowTheTask) {
  const auto qa = load_checkpoint(kCheckpoints / "bert_qa");
  EXPECT_THAT(names_of(qa->graph.inputs()),
              ElementsAre("input_ids", "attention_mask", "token_type_ids"));
  EXPECT_THAT(names_of(qa->graph.outputs()), ElementsAre("start_logits", "end_logits"));
  EXPECT_EQ(to_string(qa->graph.inputs()[0]->type), "int64[batch,sequence]");
  EXPECT_EQ(metadata_of(*qa, "tercel.task"), "question-answering");
  EXPECT_EQ(metadata_of(*qa, "tercel.architecture"), "BertForQuestionAnswering");
  EXPECT_EQ(metadata_of(*qa, "tercel.max_length"), "40");

  const auto classify = load_checkpoint(kCheckpoints / "distilbert_classify");
  EXPECT_THAT(names_of(classify->graph.inputs()), ElementsAre("input_ids", "attention_mask"));
  EXPECT_EQ(to_string(classify->graph.outputs()[0]->type), "float[batch,2]");
  EXPECT_EQ(metadata_of(*classify, "tercel.id2label"), R"({"0":"no","1":"yes"})");

  const auto sentence = load_checkpoint(kCheckpoints / "sentence_mean");
  EXPECT_THAT(names_of(sentence->graph.outputs()),
              ElementsAre("sentence_embedding", "token_embeddings"));
  EXPECT_EQ(metadata_of(*sentence, "tercel.max_length"), "24");

  const auto encoder = load_checkpoint(kCheckpoints / "bert_qa", {"feature-extraction"});
  EXPECT_THAT(names_of(encoder->graph.outputs()), ElementsAre("last_hidden_state"));
}

TEST_F(HubTest, NamesBehindWrappersOfTorch) {
  const auto expected = load_checkpoint(kCheckpoints / "bert_qa");
  const auto weights = open_safetensors(kCheckpoints / "bert_qa/model.safetensors");
  const auto save = [&](const std::string& prefix, bool all) {
    copy("bert_qa");
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const std::string& name : weights->names()) {
      const bool kept = !all && tensors.empty();
      tensors.emplace_back(kept ? name : prefix + name, weights->find(name));
    }
    write_safetensors(folder_ / "model.safetensors", tensors);
  };
  for (const char* prefix : {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."}) {
    SCOPED_TRACE(prefix);
    save(prefix, true);
    const auto model = load_checkpoint(folder_);
    ASSERT_EQ(model->graph.initializers().size(), expected->graph.initializers().size());
    for (std::size_t i = 0; i < expected->graph.initializers().size(); ++i) {
      const ir::Value* value = model->graph.initializers()[i];
      EXPECT_EQ(value->name(), expected->graph.initializers()[i]->name());
    }
  }
  save("module.", false);
  expect_error(Errc::invalid_file, "model.safetensors");
  save("model.", true);
  expect_error(Errc::invalid_file, "model.safetensors");
}

TEST_F(HubTest, AnArchitectureOfOthersIsRefusedByName) {
  copy("bert_qa");
  write("config.json", R"({"model_type": "new", "architectures": ["NewModel"]})");
  expect_error(Errc::unsupported, "\"model_type\" is \"new\" (NewModel); supported are bert, ");
  expect_error(Errc::unsupported, "export the model to ONNX");
}

TEST_F(HubTest, WeightsAreViewsInTheTypeOfTheFile) {
  const auto model = load_checkpoint(kCheckpoints / "bert_mlm");
  const auto weights = open_safetensors(kCheckpoints / "bert_mlm/model.safetensors");
  int compared = 0;
  for (const ir::Value* value : model->graph.initializers()) {
    const Tensor stored = weights->find(value->name());
    if (!stored.defined()) continue;
    ++compared;
    EXPECT_EQ(value->initializer().dtype(), Dtype::bf16);
    EXPECT_EQ(value->initializer().shape(), stored.shape());
  }
  EXPECT_GT(compared, 50);
}

TEST_F(HubTest, ConfigsThatDisagreeWithTheWeights) {
  copy("bert_qa");
  set_config("num_attention_heads", "5");
  expect_error(Errc::invalid_file, "hidden size 32 does not divide into 5 attention heads");
  copy("bert_qa");
  set_config("vocab_size", "1000000000000");
  expect_error(
      Errc::invalid_file,
      "tensor \"bert.embeddings.word_embeddings.weight\": expected shape 1000000000000x32");
  copy("bert_qa");
  set_config("num_hidden_layers", "9000000000000000000");
  expect_error(Errc::invalid_file, "is missing; BertForQuestionAnswering needs it");
  copy("bert_qa");
  set_config("hidden_size", "-32");
  expect_error(Errc::invalid_file, "\"hidden_size\": expected a positive integer");
  copy("bert_qa");
  set_config("hidden_size", "\"32\"");
  expect_error(Errc::invalid_file, "\"hidden_size\": expected a positive integer, found a string");
  copy("distilbert_classify");
  write("config.json", "{");
  expect_error(Errc::invalid_file, "not valid JSON");
}

TEST_F(HubTest, WhatHasNoBuilder) {
  copy("bert_qa");
  set_config("position_embedding_type", "\"relative_key\"");
  expect_error(Errc::unsupported, "only absolute is supported");
  copy("bert_qa");
  set_config("hidden_act", "\"prelu\"");
  expect_error(Errc::unsupported, "activation \"prelu\"; supported are gelu, ");
  copy("bert_qa");
  set_config("model_type", "\"mamba\"");
  expect_error(Errc::unsupported, "\"model_type\" is \"mamba\"");
  copy("bert_qa");
  set_config("is_decoder", "true");
  expect_error(Errc::unsupported, "only encoders are supported");
  copy("bert_qa");
  expect_error(Errc::invalid_argument, "unknown task \"translation\"; expected one of question-",
               "translation");
  expect_error(Errc::invalid_file, "tensor \"classifier.weight\" is missing",
               "token-classification");
}

TEST_F(HubTest, FilesThatAreMissingOrElsewhere) {
  copy("bert_qa");
  fs::remove(folder_ / "model.safetensors");
  expect_error(Errc::not_found, "model.safetensors: no such file");
  write("pytorch_model.bin", "");
  expect_error(Errc::invalid_file, "pytorch_model.bin: byte 0: expected a file of torch.save");
  copy("sentence_mean");
  write("modules.json", R"([{"type": "x.Transformer", "path": "../elsewhere"}])");
  expect_error(Errc::invalid_file, "\"path\": expected the path of a folder inside the checkpoint");
  write("modules.json",
        R"([{"type": "x.Transformer", "path": ""}, {"type": "x.Normalize", "path": "n"}])");
  expect_error(Errc::unsupported, "expected one Pooling, in front of Normalize");
  write("modules.json", "[]");
  expect_error(Errc::invalid_file, "expected at least one module");
}

// As in the cache of the hub: a snapshot's files are links to blobs beside it.
TEST_F(HubTest, FilesThatAreLinks) {
  copy("roberta_classify");
  const fs::path snapshot = folder_ / "snapshots/abc";
  fs::create_directories(folder_ / "blobs");
  fs::create_directories(snapshot);
  for (const auto& entry : fs::directory_iterator(kCheckpoints / "roberta_classify")) {
    const auto name = entry.path().filename();
    fs::rename(folder_ / name, folder_ / "blobs" / name);
    fs::create_symlink(fs::path("../../blobs") / name, snapshot / name);
  }
  EXPECT_EQ(load_checkpoint(snapshot)->graph.name, "roberta");
  fs::remove(folder_ / "blobs/model-00002-of-00002.safetensors");
  EXPECT_THROW(load_checkpoint(snapshot), Error);
}

TEST_F(HubTest, TheFirstFormOfWeightsIsRead) {
  copy("roberta_qa");
  EXPECT_NO_THROW(load_checkpoint(folder_));
  write("model.safetensors.index.json", "{}");
  expect_error(Errc::invalid_file, "model.safetensors.index.json: \"weight_map\" is missing");
  write("model.safetensors", "");
  expect_error(Errc::invalid_file, "model.safetensors: 0 bytes");
}

TEST_F(HubTest, ConfigsOfOtherArchitectures) {
  copy("albert_qa");
  set_config("num_hidden_layers", "9000000000000000000");
  expect_error(Errc::unsupported, "\"num_hidden_layers\" is 9000000000000000000; at most 1000");
  copy("roberta_qa");
  set_config("pad_token_id", "21");
  expect_error(Errc::invalid_file, "the padding's position is 21 of 22");
  copy("mpnet_qa");
  set_config("relative_attention_num_buckets", "64");
  expect_error(Errc::unsupported, "only 32 is supported");
  copy("deberta_v3_qa");
  set_config("max_relative_positions", "5000000");
  expect_error(Errc::unsupported, "\"max_relative_positions\" 5000000");
  set_config("max_relative_positions", "-1");
  set_config("position_buckets", "9");
  expect_error(Errc::invalid_file, "rel_embeddings.weight\": expected shape 18x16");
  copy("nomic_bert_base");
  set_config("rotary_emb_interleaved", "true");
  expect_error(Errc::unsupported, "\"rotary_emb_interleaved\": only false is supported");
  copy("vit_classify");
  set_config("patch_size", "5");
  expect_error(Errc::unsupported, "images of 12x12 in patches of 5x5");
  set_config("patch_size", "1");
  set_config("image_size", "4000000000000000000");
  EXPECT_THROW(load_checkpoint(folder_), Error);
  copy("vit_classify");
  expect_error(Errc::unsupported, "vit models have no head for question-answering",
               "question-answering");
}

TEST_F(HubTest, ADenseModuleFollowsThePooling) {
  copy("sentence_cls");
  write("modules.json", R"([{"type": "x.Transformer", "path": ""},
                            {"type": "x.Pooling", "path": "1_Pooling"},
                            {"type": "x.Dense", "path": "2_Dense"}])");
  fs::create_directories(folder_ / "2_Dense");
  write("2_Dense/config.json", R"({"in_features": 32, "out_features": 3, "bias": true,
                                  "activation_function": "torch.nn.modules.activation.Tanh"})");
  const std::vector<std::pair<std::string, Tensor>> weights = {
      {"linear.weight", Tensor::from(std::vector<float>(96, 0.5F), {3, 32})},
      {"linear.bias", Tensor::from({1.0F, 2.0F, 3.0F}, {3})}};
  write_safetensors(folder_ / "2_Dense/model.safetensors", weights);
  const auto model = load_checkpoint(folder_);
  ir::verify(*model, Errc::internal);
  EXPECT_EQ(to_string(model->graph.outputs()[0]->type), "float[batch,3]");
}

}  // namespace
}  // namespace tercel::hub

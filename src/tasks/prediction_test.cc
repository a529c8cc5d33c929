#include "src/tasks/prediction.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tercel::tasks {
namespace {

const std::filesystem::path kCheckpoint = TERCEL_SOURCE_DIR "/tests/data/checkpoints/sentence_mean";

// The embedding task, whose first runs fail as those of a faulty device do.
class FailingTask final : public RecordTask {
 public:
  FailingTask(const PredictOptions& options, int failures, Errc code)
      : task_(embedding_task(kCheckpoint, options)), failures_(failures), code_(code) {}

  const Replicas& replicas() const override { return task_->replicas(); }
  std::vector<std::string> fields() const override { return task_->fields(); }
  data::BatchRule batch_rule(int batch_size) const override {
    return task_->batch_rule(batch_size);
  }
  data::Collate collate() const override { return task_->collate(); }
  Started start(const data::Record& record) const override { return task_->start(record); }
  std::vector<Tensor> run(const Session& session, const NamedTensors& inputs, std::size_t rows,
                          const RunOptions& options) const override {
    if (failures_-- > 0) throw Error(code_, "cuda:9: a fault of the device");
    return task_->run(session, inputs, rows, options);
  }
  void add(Job& job, std::size_t row, std::span<const Tensor> outputs, int64_t at) const override {
    task_->add(job, row, outputs, at);
  }
  void write_json(const Job& job, std::string& out) const override { task_->write_json(job, out); }
  std::vector<std::string> columns() const override { return task_->columns(); }
  void write_csv(const Job& job, const std::string& prefix, char separator,
                 std::string& out) const override {
    task_->write_csv(job, prefix, separator, out);
  }

 private:
  std::unique_ptr<RecordTask> task_;
  mutable std::atomic<int> failures_;
  Errc code_;
};

class KeepGoing : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    std::ofstream input(folder_ / "texts.jsonl");
    for (int i = 0; i < 700; ++i)
      input << "{\"text\": \"" << std::string(1 + i % 9, 'a') << "\"}\n";
    options_.task = "embedding";
    options_.inputs = {folder_ / "texts.jsonl"};
    options_.batch_size = 16;
    options_.session.devices = "cpu,cpu,cpu";
    options_.session.threads = 1;
    options_.warn = [this](const std::string& warning) { warnings_.push_back(warning); };
  }

  // The results, with the summary in `summary_`.
  std::string predict(const std::string& name, int failures, Errc code = Errc::internal) {
    options_.output = folder_ / (name + ".jsonl");
    summary_ = run_prediction(options_, std::make_unique<FailingTask>(options_, failures, code),
                              false, {}, nullptr);
    std::ifstream file(options_.output + ".part");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path folder_ = testing::TempDir() + "keep_going_" +
                                  testing::UnitTest::GetInstance()->current_test_info()->name();
  PredictOptions options_;
  PredictSummary summary_;
  std::vector<std::string> warnings_;
};

TEST_F(KeepGoing, TheOthersTakeOverFromReplicasThatFail) {
  const std::string expected = predict("whole", 0);
  EXPECT_EQ(std::count(expected.begin(), expected.end(), '\n'), 700);
  EXPECT_TRUE(summary_.failures.empty());
  options_.keep_going = true;
  for (const int failures : {1, 2}) {
    warnings_.clear();
    EXPECT_EQ(predict("rest", failures), expected);
    EXPECT_EQ(summary_.records, 700);
    EXPECT_EQ(summary_.failures.size(), static_cast<std::size_t>(failures));
    EXPECT_THAT(warnings_, testing::Each(testing::StartsWith("cuda:9: a fault of the device; ")));
    EXPECT_EQ(warnings_.size(), summary_.failures.size());
  }
  EXPECT_EQ(predict("memory", 1, Errc::out_of_memory), expected);
}

TEST_F(KeepGoing, TheOnlyBatchComesBackToAnIdleReplica) {
  options_.batch_size = 1000;
  options_.keep_going = true;
  EXPECT_EQ(predict("one", 1), predict("none", 0));
}

TEST_F(KeepGoing, TheRunEndsWithTheLastReplicaOrWithoutTheOption) {
  EXPECT_THROW(predict("default", 1), Error);
  options_.keep_going = true;
  EXPECT_THROW(predict("last", 3), Error);
  EXPECT_THROW(predict("input", 1, Errc::invalid_argument), Error);
}

}  // namespace
}  // namespace tercel::tasks

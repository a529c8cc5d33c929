#include "src/tasks/journal.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/fail.h"
#include "src/tasks/part_file.h"

namespace tercel::tasks {
namespace {

class JournalTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tercel_journal_" + std::to_string(getpid()));
  std::filesystem::path path_ = folder_ / "out.journal";
};

TEST_F(JournalTest, GoesOnBehindTheLastWholeLine) {
  EXPECT_FALSE(read_journal(path_).has_value());
  const RunIdentity identity = {{"model", "a \"b\" \n\xC3\xA9"}, {"task", "embedding"}};
  {
    Journal journal(path_, identity);
    EXPECT_EQ(read_journal(path_)->commit.records, 0);
    journal.commit({10, 1, 100, 20, 0xFFFFFFFF, false});
    journal.commit({20, 2, 200, 40, 7, false});
  }
  std::ofstream(path_, std::ios::app) << "{\"records\":30,\"rej";
  EXPECT_EQ(read_journal(path_)->commit.records, 20);
  {
    Journal journal(path_);
    journal.commit({40, 3, 300, 60, 0xFFFFFFFF, true});
  }
  const auto state = read_journal(path_);
  EXPECT_EQ(state->identity, identity);
  EXPECT_EQ(state->commit.records, 40);
  EXPECT_EQ(state->commit.checksum, 0xFFFFFFFF);
  EXPECT_TRUE(state->commit.is_last);
  Journal(path_).remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(JournalTest, AFirstLineThatWasNotFinishedIsNone) {
  std::ofstream(path_) << "{\"tercel_predict\":1,\"run";
  EXPECT_FALSE(read_journal(path_).has_value());
  std::ofstream(path_) << "something else\n";
  EXPECT_THROW(read_journal(path_), Error);
}

TEST_F(JournalTest, APartIsCutToWhatIsSafe) {
  const auto path = folder_ / "out.jsonl";
  {
    PartFile file(path, 0);
    file.append("one\ntwo\nthr");
    file.sync();
  }
  {
    PartFile file(path, 8);
    EXPECT_EQ(file.size(), 8);
    file.append("three\n");
    file.overwrite(0, "ONE");
    EXPECT_EQ(file.read(0, 100), "ONE\ntwo\nthree\n");
  }
  EXPECT_THROW(PartFile(path, 1000), Error);
  PartFile::finish(path);
  PartFile::finish(path);  // as after a run that ended behind the first
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(PartFile::part_of(path)));
}

}  // namespace
}  // namespace tercel::tasks

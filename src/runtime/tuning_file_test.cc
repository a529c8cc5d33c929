#include "src/runtime/tuning_file.h"

#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "src/base/mapped_file.h"
#include "tercel/error.h"

namespace tercel::runtime {
namespace {

// Lines that begin with "choice" are sound.
class Lines {
 public:
  explicit Lines(std::set<std::string> own) : known_(std::move(own)) {}

  TuningFile::Choices choices() {
    return {[this] {
              std::string text = "Tercel 1, of tests\n";
              for (const std::string& line : known_) text += line + "\n";
              return text;
            },
            [this](std::string_view text) {
              std::istringstream lines{std::string(text)};
              std::string line;
              if (!std::getline(lines, line) || line != "Tercel 1, of tests") return;
              while (std::getline(lines, line))
                if (line.starts_with("choice")) known_.insert(line);
            }};
  }
  const std::set<std::string>& known() const { return known_; }
  void learn(const std::string& line) { known_.insert(line); }

 private:
  std::set<std::string> known_;
};

class TuningFiles : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) /
                                  testing::UnitTest::GetInstance()->current_test_info()->name() /
                                  "deeper";
};

TEST_F(TuningFiles, AreNamedByDeviceAndFirstLine) {
  Lines lines({});
  const TuningFile file(folder_, "NVIDIA H200", lines.choices());
  EXPECT_EQ(file.path(), folder_ / "NVIDIA-H200-Tercel-1-of-tests.txt");
  EXPECT_EQ(read_text_file(file.path()), "Tercel 1, of tests\n");
}

TEST_F(TuningFiles, ProcessesAddToOneFile) {
  Lines first({"choice a"}), second({"choice b"});
  TuningFile one(folder_, "GPU", first.choices());
  TuningFile two(folder_, "GPU", second.choices());
  EXPECT_EQ(second.known(), (std::set<std::string>{"choice a", "choice b"}));
  first.learn("choice c");
  one.save();
  EXPECT_EQ(read_text_file(one.path()), "Tercel 1, of tests\nchoice a\nchoice b\nchoice c\n");
  Lines third({});
  const TuningFile again(folder_, "GPU", third.choices());
  EXPECT_EQ(third.known().size(), 3U);
}

TEST_F(TuningFiles, DamagedOnesAreMadeAnew) {
  Lines lines({"choice a"});
  TuningFile file(folder_, "GPU", lines.choices());
  std::ofstream(file.path()) << "Tercel 1, of tests\nchoice b\n\x01\xff\nchoi";
  lines.learn("choice c");
  file.save();
  EXPECT_EQ(read_text_file(file.path()), "Tercel 1, of tests\nchoice a\nchoice b\nchoice c\n");
  std::ofstream(file.path()) << "something else";
  lines.learn("choice d");
  file.save();
  EXPECT_EQ(read_text_file(file.path()),
            "Tercel 1, of tests\nchoice a\nchoice b\nchoice c\nchoice d\n");
}

TEST_F(TuningFiles, AFolderThatCannotBeIsNamedAtOnceAndHarmlessLater) {
  Lines lines({"choice a"});
  std::filesystem::create_directories(folder_.parent_path());
  {
    TuningFile file(folder_, "GPU", lines.choices());
    std::filesystem::remove_all(folder_);
    lines.learn("choice b");
    EXPECT_NO_THROW(file.save());
  }
  std::ofstream{folder_} << "no folder";
  try {
    const TuningFile file(folder_, "GPU", lines.choices());
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::io);
    EXPECT_NE(std::string(error.what()).find(folder_.string()), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tercel::runtime

#include "src/base/numa.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

namespace tercel {
namespace {

class Nodes : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& node, const std::string& list) {
    std::filesystem::create_directories(root_ / node);
    std::ofstream(root_ / node / "cpulist") << list;
  }
  std::vector<CpuList> nodes() { return cpus_by_node(root_); }

  std::filesystem::path root_ = std::filesystem::path(testing::TempDir()) /
                                ("nodes" + std::to_string(::getpid()) +
                                 testing::UnitTest::GetInstance()->current_test_info()->name());
  const CpuList allowed_ = allowed_cpus();
  const std::vector<CpuList> one_{allowed_};
};

TEST_F(Nodes, HoldTheAllowedCpus) {
  const int first = allowed_[0];
  write("node0", std::to_string(first) + "\n");
  write("node2", "");  // memory alone
  write("node10", std::to_string(first + 1) + "-1023\n");
  write("has_cpu", "0");
  if (allowed_.size() == 1) {
    EXPECT_EQ(nodes(), one_);
  } else {
    EXPECT_EQ(nodes(),
              (std::vector<CpuList>{{first}, CpuList(allowed_.begin() + 1, allowed_.end())}));
  }
}

TEST_F(Nodes, HaveTheOrderOfTheirNumbers) {
  if (allowed_.size() < 2) GTEST_SKIP() << "one CPU";
  const int first = allowed_[0];
  write("node10", std::to_string(first) + "\n");
  write("node9", std::to_string(first + 1) + "-1023\n");
  EXPECT_EQ(nodes()[1], CpuList{first});
}

TEST_F(Nodes, OfNoneAllowedAreLeftOut) {
  write("node0", "0-1023\n");
  write("node1", "1024-2147483647\n");
  EXPECT_EQ(nodes(), one_);
}

TEST_F(Nodes, FollowTheAffinityMask) {
  if (allowed_.size() < 2) GTEST_SKIP() << "one CPU";
  write("node0", std::to_string(allowed_[0]) + "\n");
  write("node1", std::to_string(allowed_[0] + 1) + "-1023\n");
  std::thread([&] {
    const OnCpus here({allowed_[1]});
    EXPECT_EQ(nodes(), std::vector<CpuList>{{allowed_[1]}});
  }).join();
}

TEST_F(Nodes, AreOneWhereTheSystemTellsOfNone) { EXPECT_EQ(nodes(), one_); }

TEST_F(Nodes, AreOneWhereAListIsMalformed) {
  const std::string rest = std::to_string(allowed_[0] + 1) + "-1023";
  write("node0", std::to_string(allowed_[0]));
  for (const char* more : {" 1024", ",,1024", ",x", ",1030-", ",-1030", ",1031-1030", ",0x500",
                           ",99999999999", "-1030"}) {
    write("node1", rest + more);
    EXPECT_EQ(nodes(), one_) << more;
  }
}

TEST_F(Nodes, AreOneWhereTheyDoNotHoldEachCpuOnce) {
  write("node0", std::to_string(allowed_.back() + 1));
  EXPECT_EQ(nodes(), one_);
  write("node0", "0-1023");
  write("node1", "0-1023");
  EXPECT_EQ(nodes(), one_);
  std::filesystem::create_directories(root_ / "node2");
  EXPECT_EQ(nodes(), one_);
}

TEST(OnCpus, HoldsForTheScopeAndForThreadsThatItStarts) {
  const CpuList before = allowed_cpus();
  std::thread([&] {
    std::thread started;
    {
      const OnCpus here({before.back()});
      EXPECT_EQ(allowed_cpus(), CpuList{before.back()});
      started = std::thread([&] { EXPECT_EQ(allowed_cpus(), CpuList{before.back()}); });
    }
    started.join();
    EXPECT_EQ(allowed_cpus(), before);
    for (const CpuList& none : {CpuList{}, CpuList{-1}, CpuList{1 << 20}}) {
      const OnCpus here(none);
      EXPECT_EQ(allowed_cpus(), before);
    }
  }).join();
}

}  // namespace
}  // namespace tercel

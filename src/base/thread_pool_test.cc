#include "src/base/thread_pool.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "src/base/cgroup.h"
#include "src/base/queue_of_callers.h"
#include "src/base/request_threads.h"

namespace tercel {
namespace {

TEST(ThreadPool, RangesCoverEachIndexOnceInMultiplesOfTheGrain) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t count : {0, 1, 5, 64, 1000, 12345}) {
      for (const int64_t grain : {1, 7, 64, 20000}) {
        std::vector<std::atomic<int>> seen(count);
        std::atomic<int> uneven{0};
        pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
          if ((end - begin) % grain != 0 && end != count) ++uneven;
          for (int64_t i = begin; i < end; ++i) ++seen[i];
        });
        EXPECT_EQ(uneven, 0);
        for (const auto& times : seen) EXPECT_EQ(times, 1);
      }
    }
  }
}

TEST(ThreadPool, WorkersShareTheWork) {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  pool.parallel_for(2, 1, [&](int64_t, int64_t) {  // returns only when two threads are in it
    ++inside;
    while (inside < 2) std::this_thread::yield();
  });
  EXPECT_EQ(inside, 2);
}

TEST(ThreadPool, NestedCallsRunOnTheCallingThread) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  pool.parallel_for(16, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto id = std::this_thread::get_id();
      pool.parallel_for(100, 1, [&](int64_t from, int64_t to) {
        EXPECT_EQ(std::this_thread::get_id(), id);
        sum += to - from;
      });
    }
  });
  EXPECT_EQ(sum, 1600);
}

TEST(ThreadPool, ExceptionsReachTheCallerAndThePoolLivesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.parallel_for(100, 1,
                                   [&](int64_t begin, int64_t end) {
                                     if (begin <= 50 && 50 < end) throw std::runtime_error("50");
                                   }),
                 std::runtime_error);
    std::atomic<int64_t> sum{0};
    pool.parallel_for(100, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 100);
  }
}

TEST(ThreadPool, ManyCallersShareOnePool) {
  ThreadPool pool(4);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&, caller] {
      std::vector<int64_t> values(500 + caller);
      for (int round = 0; round < 200; ++round) {
        pool.parallel_for(static_cast<int64_t>(values.size()), 3, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) values[i] = i * round;
        });
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (values[i] != static_cast<int64_t>(i) * round) ++wrong;
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, SleepersWakeUp) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(500));
    std::atomic<int64_t> sum{0};
    pool.parallel_for(1000, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 1000);
  }
}

using Share = RequestThreads::Request::Share;

// The threads that a job of many ranges ran on.
std::set<std::thread::id> threads_of_a_job(ThreadPool& pool) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  pool.parallel_for(64, 1, [&](int64_t, int64_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  return ids;
}

TEST(RequestThreads, LeaveAThreadToEachRequest) {
  RequestThreads threads(3);
  ThreadPool& pool = threads.pool();
  const auto nothing = [] {};
  const RequestThreads::Request first(threads, Share::together, nothing);
  EXPECT_LE(threads_of_a_job(pool).size(), 3U);
  {
    const RequestThreads::Request second(threads, Share::together, nothing);
    EXPECT_LE(threads_of_a_job(pool).size(), 2U);
    const RequestThreads::Request third(threads, Share::together, nothing);
    EXPECT_EQ(threads_of_a_job(pool), std::set{std::this_thread::get_id()});
  }
  pool.parallel_for(2, 1, [inside = std::atomic<int>(0)](int64_t, int64_t) mutable {
    ++inside;  // returns only when a worker helps again
    while (inside < 2) std::this_thread::yield();
  });
}

TEST(RequestThreads, ARequestAloneStaysOnItsThreadAndNoMoreRunThanThreads) {
  RequestThreads threads(2);
  ThreadPool& pool = threads.pool();
  std::atomic<int> inside{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const RequestThreads::Request request(threads, Share::alone, [] {});
        if (++inside > pool.size()) ++wrong;
        if (threads_of_a_job(pool) != std::set{std::this_thread::get_id()}) ++wrong;
        --inside;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(RequestThreads, WhoeverWantsAllSharesThem) {
  const auto threads = RequestThreads::shared();
  EXPECT_EQ(threads->pool().size(), available_cpus());
  EXPECT_EQ(RequestThreads::shared(), threads);
  EXPECT_NE(RequestThreads::shared(true), threads);
}

TEST(RequestThreads, PinnedWorkersHaveOneCpu) {
  RequestThreads threads(2, true);
  ThreadPool& pool = threads.pool();
  const auto caller = std::this_thread::get_id();
  std::atomic<int> inside{0};
  pool.parallel_for(2, 1, [&](int64_t, int64_t) {
    ++inside;
    while (inside < 2) std::this_thread::yield();
    if (std::this_thread::get_id() != caller) {
      EXPECT_EQ(available_cpus(), 1);
    }
  });
}

TEST(RequestThreads, StayOnTheirCpusAndCallersForTheRequest) {
  const CpuList before = allowed_cpus();
  for (const int cpu : before) {
    RequestThreads threads(3, false, {cpu});
    ThreadPool& pool = threads.pool();
    std::atomic<int> inside{0};
    const auto all_are_there = [&] {
      inside = 0;
      pool.parallel_for(3, 1, [&](int64_t, int64_t) {
        EXPECT_EQ(allowed_cpus(), CpuList{cpu});
        ++inside;
        while (inside < 3) std::this_thread::yield();
      });
    };
    for (const Share share : {Share::together, Share::alone}) {
      const RequestThreads::Request request(threads, share, [] {});
      EXPECT_EQ(allowed_cpus(), CpuList{cpu});
      if (share == Share::together) all_are_there();
    }
    EXPECT_EQ(allowed_cpus(), before);
  }
}

TEST(RequestThreads, OnTheirCpusAreAsManyAsThose) {
  const CpuList allowed = allowed_cpus();
  EXPECT_EQ(RequestThreads(0, false, {allowed[0]}).pool().size(), 1);
  EXPECT_LE(RequestThreads(0, true, allowed).pool().size(), static_cast<int>(allowed.size()));
}

TEST(QueueOfCallers, LetsThemInAsTheyCame) {
  QueueOfCallers queue(1);
  queue.enter([] {});
  std::vector<int> order;  // guarded by the one place
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    std::atomic<bool> waits{false};
    callers.emplace_back([&order, &queue, &waits, caller, told = false]() mutable {
      queue.enter([&] {
        if (!told) waits = true;  // `waits` is gone later
        told = true;
      });
      order.push_back(caller);
      queue.leave();
    });
    while (!waits) std::this_thread::yield();
  }
  queue.leave();
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(QueueOfCallers, WhoGivesUpTakesNoPlace) {
  QueueOfCallers queue(1);
  queue.enter([] {});
  std::atomic<bool> second_waits{false};
  std::thread second([&] {
    queue.enter([&] { second_waits = true; });
    queue.leave();
  });
  while (!second_waits) std::this_thread::yield();
  EXPECT_THROW(queue.enter([] { throw std::runtime_error("enough"); }), std::runtime_error);
  queue.leave();
  second.join();
  queue.enter([] { FAIL() << "the place is free"; });
  queue.leave();
}

TEST(AvailableCpus, FollowTheAffinityMask) {
  std::thread([] {
    cpu_set_t set;
    ASSERT_EQ(::sched_getaffinity(0, sizeof(set), &set), 0);
    int first = 0;
    while (!CPU_ISSET(first, &set)) ++first;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    ASSERT_EQ(::sched_setaffinity(0, sizeof(set), &set), 0);
    EXPECT_EQ(available_cpus(), 1);
  }).join();
}

class CpuQuota : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(testing::TempDir()) /
            ("cgroup" + std::to_string(::getpid()) +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  double quota() { return cgroup_cpu_quota(root_ / "membership", root_); }

  std::filesystem::path root_;
};

TEST_F(CpuQuota, Version2TakesTheSmallestOnTheWayUp) {
  write("membership", "0::/a/b\n");
  write("a/b/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(quota(), 4);
  write("a/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(quota(), 1.5);
  write("a/b/cpu.max", "max 100000\n");
  EXPECT_DOUBLE_EQ(quota(), 1.5);
}

TEST_F(CpuQuota, Version1ReadsTheCpuHierarchy) {
  write("membership", "3:memory:/x\n2:cpu,cpuacct:/x\n");
  write("cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
  write("cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
  write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(quota(), 2.5);
}

TEST_F(CpuQuota, MemoryLimitsAreReadInBothVersions) {
  const auto limit = [&] { return cgroup_memory_limit(root_ / "membership", root_); };
  write("membership", "0::/a/b\n3:memory:/x\n");
  EXPECT_EQ(limit(), 0);
  write("a/b/memory.max", "max\n");
  write("a/memory.max", "5000000\n");
  EXPECT_EQ(limit(), 5'000'000);
  write("memory/x/memory.limit_in_bytes", "4000000\n");
  EXPECT_EQ(limit(), 4'000'000);
}

TEST_F(CpuQuota, NothingReadableIsNoLimit) {
  EXPECT_EQ(quota(), 0);
  write("membership", "nonsense\n0::/../../elsewhere\n");
  EXPECT_EQ(quota(), 0);
  write("cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0);
}

}  // namespace
}  // namespace tercel

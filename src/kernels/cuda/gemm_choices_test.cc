#include "src/kernels/cuda/gemm_choices.h"

#include <gtest/gtest.h>

namespace tercel::kernels::cuda {
namespace {

TEST(GemmChoices, LinesGiveBackWhatTheySay) {
  for (const Engine engine : {Engine::cublas_lt, Engine::tile, Engine::wgmma}) {
    Choice choice{.engine = engine, .splits = 5};
    choice.algorithm.data[0] = 0xfedcba9876543210U;
    choice.algorithm.data[7] = 7;
    const std::string line = choice_line("norm f16 128x768x3072 t", choice);
    std::string key;
    Choice read;
    ASSERT_TRUE(read_choice_line(line, key, read)) << line;
    EXPECT_EQ(key, "norm f16 128x768x3072 t");
    EXPECT_EQ(read.engine, engine);
    EXPECT_EQ(read.splits, 5);
    EXPECT_EQ(read.algorithm.data[0], 0xfedcba9876543210U);
    EXPECT_EQ(read.algorithm.data[7], 7U);
    EXPECT_TRUE(read.measured);
  }
}

TEST(GemmChoices, DamagedLinesAreRefused) {
  const std::string line = choice_line("f16 1x2x3", {.engine = Engine::tile});
  std::string key = "as before";
  Choice choice;
  for (std::size_t i = 0; i < line.size(); ++i) {
    EXPECT_FALSE(read_choice_line(line.substr(0, i), key, choice)) << i;
    std::string other = line;
    other[i] ^= 1;
    EXPECT_FALSE(read_choice_line(other, key, choice)) << other;
  }
  EXPECT_FALSE(read_choice_line("\t", key, choice));
  EXPECT_FALSE(read_choice_line(choice_line("key", {.splits = 0}), key, choice));
  EXPECT_FALSE(read_choice_line(choice_line("key", {.splits = 65}), key, choice));
  EXPECT_EQ(key, "as before");
}

}  // namespace
}  // namespace tercel::kernels::cuda

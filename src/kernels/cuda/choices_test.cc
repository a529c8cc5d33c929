#include "src/kernels/cuda/choices.h"

#include <gtest/gtest.h>

#include "src/kernels/cuda/gemm_choice.h"

namespace tercel::kernels::cuda {
namespace {

constexpr const char* kKey = "norm f16 128x768x3072 t";

TEST(Choices, GiveBackWhatWasMeasured) {
  for (const Engine engine : {Engine::cublas_lt, Engine::tile, Engine::wgmma}) {
    Choice choice{.engine = engine, .splits = 5, .measured = true};
    choice.algorithm.data[0] = 0xfedcba9876543210U;
    choice.algorithm.data[7] = 7;
    Choices<Choice> from, to;
    from.remember(kKey, choice);
    from.remember("by a heuristic", {});
    const std::string text = from.text("gemm");
    EXPECT_EQ(to.take("conv", text), 0);
    EXPECT_EQ(to.take("gemm", text), 1);
    Choice read;
    ASSERT_TRUE(to.find(kKey, read)) << text;
    EXPECT_EQ(read.engine, engine);
    EXPECT_EQ(read.splits, 5);
    EXPECT_EQ(read.algorithm.data[0], 0xfedcba9876543210U);
    EXPECT_EQ(read.algorithm.data[7], 7U);
    EXPECT_TRUE(read.measured);
    EXPECT_EQ(to.text("gemm"), text);
    EXPECT_EQ(to.take("gemm", text), 0) << "it is known";
  }
}

TEST(Choices, DamagedLinesAreSkipped) {
  Choices<Choice> from;
  from.remember(kKey, {.engine = Engine::tile, .measured = true});
  const std::string text = from.text("gemm");
  Choices<Choice> to;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    EXPECT_EQ(to.take("gemm", text.substr(0, i)), 0) << i;
    std::string other = text;
    other[i] ^= 1;
    EXPECT_EQ(to.take("gemm", other), 0) << other;
  }
  const auto line = [](std::string_view words) { return to_text({"gemm", kKey, words}); };
  for (const auto* words :
       {"", "1", "1 0 0 0 0 0 0 0 0 0", "1 65 0 0 0 0 0 0 0 0", "3 1 0 0 0 0 0 0 0 0"})
    EXPECT_EQ(to.take("gemm", line(words)), 0) << words;
  EXPECT_EQ(to.take("gemm", "\t\n\n\t\t\t\n"), 0);
  // What comes behind is taken.
  EXPECT_EQ(to.take("gemm", "\x01\xff\n" + text.substr(3) + text), 1);
}

}  // namespace
}  // namespace tercel::kernels::cuda

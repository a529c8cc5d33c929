#include "src/kernels/cpu/reduce.h"

#include <algorithm>

#include "src/base/half.h"
#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

using Reduce = PerIsa;

struct Shape {
  int64_t outer, axis, inner;
  int64_t count() const { return outer * axis * inner; }
};
constexpr Shape kShapes[] = {{7, 1, 1},    {5, 13, 1},  {33, 384, 1}, {2, 1000, 1}, {3, 5, 7},
                             {2, 129, 33}, {1, 64, 16}, {0, 4, 4},    {4, 4, 0},    {40, 257, 1}};

TEST_P(Reduce, SoftmaxAgreesWithTheOracle) {
  for (const Shape& s : kShapes) {
    for (const bool log : {false, true}) {
      const auto x = random_floats(random_, s.count(), -20, 20);
      std::vector<float> y(x.size(), kNan);
      SoftmaxArgs args{.outer = s.outer, .axis = s.axis, .inner = s.inner, .x = x.data()};
      args.y = y.data();
      args.log = log;
      kernels_.reduce.softmax(args, three_);
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t i = 0; i < s.inner; ++i) {
          const auto at = [&](int64_t a) { return (o * s.axis + a) * s.inner + i; };
          double top = -kInfinity;
          double sum = 0;
          for (int64_t a = 0; a < s.axis; ++a) top = std::max<double>(top, x[at(a)]);
          for (int64_t a = 0; a < s.axis; ++a) sum += std::exp(x[at(a)] - top);
          for (int64_t a = 0; a < s.axis; ++a) {
            const double exact = x[at(a)] - top - std::log(sum);
            if (log) {
              ASSERT_NEAR(y[at(a)], exact, 1e-5);
            } else {
              ASSERT_NEAR(y[at(a)], std::exp(exact), 1e-6);
            }
          }
        }
      }
    }
  }
}

TEST_P(Reduce, SoftmaxOfNonFiniteRows) {
  std::vector<float> x(3 * 20, 0);
  std::fill_n(x.begin(), 20, -kInfinity);
  x[20 + 7] = kNan;
  std::fill_n(x.begin() + 41, 19, -kInfinity);
  kernels_.reduce.softmax({.outer = 3, .axis = 20, .x = x.data(), .y = x.data()}, one_);
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(std::isnan(x[i]));
  EXPECT_EQ(x[40], 1);
  for (int i = 41; i < 60; ++i) EXPECT_EQ(x[i], 0);
}

TEST_P(Reduce, NormalisationsAgreeWithTheOracle) {
  for (const int64_t columns : {1, 7, 64, 384, 1000}) {
    for (const bool centred : {true, false}) {
      for (const bool with_residual : {false, true}) {
        const int64_t rows = 9;
        const auto x = random_floats(random_, rows * columns, 1, 5);
        const auto residual = random_floats(random_, rows * columns, 1, 5);
        const auto scale = random_floats(random_, columns);
        const auto bias = random_floats(random_, columns);
        std::vector<float> y(x.size()), sum(x.size()), mean(rows), inverse(rows);
        NormArgs args{.rows = rows, .columns = columns, .x = x.data()};
        args.residual = with_residual ? residual.data() : nullptr;
        args.sum = with_residual ? sum.data() : nullptr;
        args.norm.scale = scale.data();
        args.norm.bias = centred ? bias.data() : nullptr;
        args.y = y.data();
        args.mean = centred ? mean.data() : nullptr;
        args.inv_deviation = inverse.data();
        (centred ? kernels_.reduce.layer_norm : kernels_.reduce.rms_norm)(args, three_);
        for (int64_t r = 0; r < rows; ++r) {
          std::vector<double> row(columns);
          double average = 0;
          for (int64_t c = 0; c < columns; ++c) {
            const int64_t at = r * columns + c;
            row[c] = with_residual ? x[at] + residual[at] : x[at];
            EXPECT_EQ(sum[at], with_residual ? x[at] + residual[at] : 0);
            if (centred) average += row[c] / static_cast<double>(columns);
          }
          double squares = 0;
          for (const double value : row) squares += (value - average) * (value - average);
          const double factor = 1 / std::sqrt(squares / static_cast<double>(columns) + 1e-5);
          EXPECT_NEAR(mean[r], average, 1e-5);
          EXPECT_NEAR(inverse[r] / factor, 1, columns == 1 ? 1e-3 : 1e-5);
          for (int64_t c = 0; c < columns; ++c) {
            const double exact = (row[c] - average) * factor * scale[c] + (centred ? bias[c] : 0);
            ASSERT_NEAR(y[r * columns + c], exact, 5e-5);
          }
        }
        std::vector<float> in_place = x;  // and without keeping the sum
        args.x = args.y = in_place.data();
        args.sum = nullptr;
        (centred ? kernels_.reduce.layer_norm : kernels_.reduce.rms_norm)(args, one_);
        EXPECT_TRUE(same_bits(in_place.data(), y.data(), rows * columns));
      }
    }
  }
}

TEST_P(Reduce, EmbeddingsAreSumsOfRowsNormalised) {
  for (const int64_t columns : {1, 37, 384}) {
    const int64_t rows = 50, size = 11;
    std::vector<std::vector<float>> wide;
    std::vector<std::vector<uint16_t>> half;
    std::vector<std::vector<int64_t>> indices;
    std::vector<EmbeddingTable> tables;
    for (const Dtype type : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
      auto& table = wide.emplace_back(random_floats(random_, size * columns));
      auto& bits = half.emplace_back();
      for (float& value : table) {
        if (type == Dtype::f16) value = to_float(f16{bits.emplace_back(to_f16(value).bits)});
        if (type == Dtype::bf16) value = to_float(bf16{bits.emplace_back(to_bf16(value).bits)});
      }
      auto& ids = indices.emplace_back(type == Dtype::f16 ? 10 : rows);
      for (int64_t& id : ids) id = static_cast<int64_t>(random_() % size);
      const void* data = bits.empty() ? static_cast<const void*>(table.data()) : bits.data();
      tables.push_back({data, type, ids.data(), std::ssize(ids)});
    }
    const auto scale = random_floats(random_, columns);
    std::vector<float> sum(rows * columns), expected(sum.size()), y(sum.size());
    for (std::size_t t = 0; t < tables.size(); ++t) {
      for (int64_t i = 0; i < rows * columns; ++i)
        sum[i] += wide[t][indices[t][i / columns % tables[t].count] * columns + i % columns];
    }
    const RowNorm norm{.scale = scale.data(), .epsilon = 0.1F};
    kernels_.reduce.layer_norm(
        {.rows = rows, .columns = columns, .x = sum.data(), .norm = norm, .y = expected.data()},
        one_);
    kernels_.reduce.embedding_norm(
        {.rows = rows, .columns = columns, .tables = tables, .norm = norm, .y = y.data()}, three_);
    EXPECT_TRUE(same_bits(y.data(), expected.data(), rows * columns));
  }
}

double reduce_exactly(ReduceOp op, const std::vector<double>& x) {
  double sum = 0, magnitude = 0, squares = 0, product = 1, low = kInfinity, high = -kInfinity;
  for (const double v : x) {
    sum += v;
    magnitude += std::abs(v);
    squares += v * v;
    product *= v;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  switch (op) {
    case ReduceOp::sum:
      return sum;
    case ReduceOp::mean:
      return sum / static_cast<double>(x.size());
    case ReduceOp::max:
      return high;
    case ReduceOp::min:
      return low;
    case ReduceOp::prod:
      return product;
    case ReduceOp::sum_square:
      return squares;
    case ReduceOp::l1:
      return magnitude;
    case ReduceOp::l2:
      return std::sqrt(squares);
  }
  return 0;
}

constexpr ReduceOp kReductions[] = {ReduceOp::sum, ReduceOp::mean, ReduceOp::max,
                                    ReduceOp::min, ReduceOp::prod, ReduceOp::sum_square,
                                    ReduceOp::l1,  ReduceOp::l2};

TEST_P(Reduce, ReductionsAgreeWithTheOracle) {
  for (const Shape& s : kShapes) {
    const auto x = random_floats(random_, s.count(), -1.5F, 1.5F);
    for (const ReduceOp op : kReductions) {
      std::vector<float> y(s.outer * s.inner, kNan);
      ReduceArgs args{.op = op, .outer = s.outer, .axis = s.axis, .inner = s.inner};
      args.x = x.data();
      args.y = y.data();
      kernels_.reduce.reduce(args, three_);
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t i = 0; i < s.inner; ++i) {
          std::vector<double> row;
          for (int64_t a = 0; a < s.axis; ++a) row.push_back(x[(o * s.axis + a) * s.inner + i]);
          ASSERT_NEAR(y[o * s.inner + i], reduce_exactly(op, row), 1e-4) << static_cast<int>(op);
        }
      }
    }
  }
}

TEST_P(Reduce, EmptyAxesGiveTheNeutralElement) {
  const float expected[] = {0, kNan, -kInfinity, kInfinity, 1, 0, 0, 0};
  for (const int64_t inner : {1, 3}) {
    for (int i = 0; i < 8; ++i) {
      std::vector<float> y(2 * inner, 42);
      ReduceArgs args{.op = kReductions[i], .outer = 2, .axis = 0, .inner = inner};
      args.y = y.data();
      kernels_.reduce.reduce(args, one_);
      for (const float value : y) {
        EXPECT_TRUE(value == expected[i] || (std::isnan(value) && std::isnan(expected[i])));
      }
    }
  }
}

TEST_P(Reduce, NanReachesEveryReduction) {
  for (const ReduceOp op : kReductions) {
    for (int where = 0; where < 70; ++where) {
      std::vector<float> x(70, 1);
      x[where] = kNan;
      float y = 0;
      kernels_.reduce.reduce({.op = op, .outer = 1, .axis = 70, .x = x.data(), .y = &y}, one_);
      EXPECT_TRUE(std::isnan(y));
    }
  }
}

TEST_P(Reduce, ARowsBitsDependOnTheRowAlone) {
  for (const int64_t columns : {5, 384, 1001}) {
    const int64_t rows = 64;
    const auto x = random_floats(random_, rows * columns);
    const auto run = [&](int64_t first, int64_t count, ThreadPool& pool) {
      std::vector<float> y(4 * count * columns);
      const float* from = x.data() + first * columns;
      const auto part = [&](int i) { return y.data() + i * count * columns; };
      kernels_.reduce.softmax({.outer = count, .axis = columns, .x = from, .y = part(0)}, pool);
      NormArgs norm{.rows = count, .columns = columns, .x = from};
      norm.y = part(1);
      kernels_.reduce.layer_norm(norm, pool);
      norm.y = part(2);
      kernels_.reduce.rms_norm(norm, pool);
      kernels_.reduce.reduce({.outer = count, .axis = columns, .x = from, .y = part(3)}, pool);
      return y;
    };
    const auto all = run(0, rows, three_);
    for (int64_t r = 0; r < rows; ++r) {
      const auto alone = run(r, 1, one_);
      for (int64_t i = 0; i < 3; ++i) {
        EXPECT_TRUE(
            same_bits(alone.data() + i * columns, all.data() + (i * rows + r) * columns, columns));
      }
      EXPECT_TRUE(same_bits(alone.data() + 3 * columns, all.data() + 3 * rows * columns + r, 1));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Reduce, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

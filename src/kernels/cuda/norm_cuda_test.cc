#include <algorithm>
#include <numeric>

#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

struct Row {
  std::vector<double> values;
  double mean = 0, inverse = 0;

  Row(std::vector<double> x, bool rms, double epsilon) : values(std::move(x)) {
    const auto count = static_cast<double>(values.size());
    for (const double v : values) mean += rms ? 0 : v / count;
    double squares = 0;
    for (const double v : values) squares += (v - mean) * (v - mean) / count;
    inverse = 1 / std::sqrt(squares + epsilon);
    for (double& v : values) v = (v - mean) * inverse;
  }
};

class NormCuda : public FloatCudaTest {
 protected:
  void check(int64_t rows, int64_t columns, bool rms, int partials = 0) {
    const Dtype type = GetParam();
    const int64_t stride = columns + (columns % 8 == 0 ? 8 : 1);
    const Floats x(type, random(rows * stride)), residual(type, random(rows * columns));
    const Floats scale(type, random(columns)), shift(type, random(columns));
    const Floats bias(type, random(columns)), y(type, rows * columns), sum(type, rows * columns);
    const Floats parts(Dtype::f32, random(partials * rows * columns));
    const Floats mean(Dtype::f32, rows), inverse(Dtype::f32, rows);
    NormArgs args{.type = type,
                  .rms = rms,
                  .rows = rows,
                  .columns = columns,
                  .x = x.get(),
                  .x_row = stride,
                  .residual = residual.get(),
                  .residual_row = columns,
                  .bias = bias.get(),
                  .sum = sum.get(),
                  .sum_row = columns,
                  .scale = scale.get(),
                  .shift = shift.get(),
                  .y = y.get(),
                  .y_row = columns,
                  .inv_deviation = inverse.get<float>()};
    if (!rms) args.mean = mean.get<float>();
    if (columns == 0) return norm(args, nullptr);  // writes nothing
    if (partials > 0) {
      args.x = nullptr;
      args.partial_sums = parts.get<float>();
      args.partials = partials;
    }
    norm(args, nullptr);
    std::vector<double> expected, sums, means, inverses;
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<double> values(columns);
      for (int64_t c = 0; c < columns; ++c) {
        values[c] = partials > 0 ? 0 : x.values[r * stride + c];
        for (int p = 0; p < partials; ++p) values[c] += parts.values[(p * rows + r) * columns + c];
        values[c] += residual.values[r * columns + c] + bias.values[c];
        sums.push_back(values[c]);
      }
      const Row row(values, rms, 1e-5);
      means.push_back(row.mean);
      inverses.push_back(row.inverse);
      for (int64_t c = 0; c < columns; ++c)
        expected.push_back(row.values[c] * scale.values[c] + (rms ? 0 : shift.values[c]));
    }
    const double e = rounding(type);
    expect_near(y.read(), expected, 2 * e, e + 5e-6, "y");
    expect_near(sum.read(), sums, 2 * e, 1e-6, "sum");
    expect_near(inverse.read(), inverses, 2e-5, 0, "inverse");
    if (!rms) expect_near(mean.read(), means, 0, 1e-5, "mean");
  }
};
TERCEL_FLOAT_CUDA_SUITE(NormCuda);

TEST_P(NormCuda, SizesOddAndLong) {
  for (const bool rms : {false, true}) {
    check(0, 8, rms);
    check(3, 0, rms);
    check(1, 2, rms);
    check(5, 33, rms);
    check(7, 384, rms);
    check(600, 768, rms);
    check(9, 1024, rms);
    check(3, 4096, rms);
    check(2, 40000, rms);
    check(2, 32 * 1024 + 7, rms);
  }
}

TEST_P(NormCuda, SumsOfParts) {
  check(128, 768, false, 4);
  check(5, 384, true, 7);
  check(3, 33, false, 2);
}

TEST_P(NormCuda, InPlace) {
  const Floats x(GetParam(), random(10 * 96));
  NormArgs args{.type = GetParam(),
                .rows = 10,
                .columns = 96,
                .x = x.get(),
                .x_row = 96,
                .y = x.get<void>(),
                .y_row = 96};
  norm(args, nullptr);
  std::vector<double> expected;
  for (int r = 0; r < 10; ++r) {
    const Row row({x.values.begin() + 96 * r, x.values.begin() + 96 * (r + 1)}, false, 1e-5);
    expected.insert(expected.end(), row.values.begin(), row.values.end());
  }
  expect_near(x.read(), expected, 2 * rounding(GetParam()), rounding(GetParam()) + 5e-6);
}

TEST_P(NormCuda, Embedding) {
  for (const int64_t columns : {768, 30}) {
    const int64_t rows = 40, length = 10, vocabulary = 100;
    const Dtype type = GetParam();
    const Floats words(type, random(vocabulary * columns)), places(type, random(16 * columns));
    const Floats types(type, random(2 * columns)), scale(type, random(columns));
    const Floats shift(type, random(columns)), y(type, rows * columns);
    auto ids = random_integers<int64_t>(rows, 0, vocabulary - 1);
    const auto kinds = random_integers<int64_t>(rows, 0, 1);
    ids[7] = vocabulary;  // out of range: left out
    // Kinds are picked from twice as many, in another order; one is picked from nowhere.
    std::vector<int64_t> all_kinds(2 * rows), pick(rows);
    for (int64_t r = 0; r < rows; ++r) {
      pick[r] = 2 * (rows - 1 - r);
      all_kinds[pick[r]] = kinds[r];
    }
    pick[9] = 2 * rows;
    std::vector<int64_t> place(length);
    std::iota(place.begin(), place.end(), 0);
    const DeviceArray ids_array(ids), kinds_array(all_kinds), pick_array(pick), places_array(place);
    const DeviceArray error(std::vector<int>{0});
    // Without ids the first row of a table is for all.
    const Floats sum(type, rows * columns);
    EmbeddingNormArgs plain{
        .type = type,
        .rows = rows,
        .columns = columns,
        .tables = {{places.get(), 16, places_array.get(), length}, {types.get(), 2}},
        .y = sum.get<void>()};
    embedding_norm(plain, nullptr);
    std::vector<double> sums;
    for (int64_t i = 0; i < rows * columns; ++i)
      sums.push_back(places.values[i / columns % length * columns + i % columns] +
                     types.values[i % columns]);
    expect_near(sum.read(), sums, 2 * rounding(type), 1e-6);

    EmbeddingNormArgs args{
        .type = type,
        .rows = rows,
        .columns = columns,
        .tables = {{words.get(), vocabulary, ids_array.get(), rows},
                   {places.get(), 16, places_array.get(), length},
                   {types.get(), 2, kinds_array.get(), rows, pick_array.get<int64_t>(), 2 * rows}},
        .scale = scale.get(),
        .shift = shift.get(),
        .y = y.get(),
        .error = error.get<int>()};
    embedding_norm(args, nullptr);
    std::vector<double> expected;
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<double> values(columns);
      for (int64_t c = 0; c < columns; ++c)
        values[c] = (r == 7 ? 0 : words.values[ids[r] * columns + c]) +
                    places.values[r % length * columns + c] +
                    (r == 9 ? 0 : types.values[kinds[r] * columns + c]);
      const Row row(values, false, 1e-5);
      for (int64_t c = 0; c < columns; ++c)
        expected.push_back(row.values[c] * scale.values[c] + shift.values[c]);
    }
    expect_near(y.read(), expected, 2 * rounding(type), rounding(type) + 5e-6);
    EXPECT_EQ(error.values<int>()[0], 1);
  }
}

TEST_P(NormCuda, Softmax) {
  for (const bool log : {false, true}) {
    for (const auto& [outer, axis, inner] : {std::array<int64_t, 3>{0, 5, 1},
                                             {3, 1, 1},
                                             {700, 128, 1},
                                             {5, 77, 1},
                                             {3, 4096, 1},
                                             {2, 50000, 1},
                                             {4, 9, 5},
                                             {3, 100, 64}}) {
      const Floats x(GetParam(), random(outer * axis * inner, -6, 6));
      const Floats y(GetParam(), outer * axis * inner);
      softmax({GetParam(), outer, axis, inner, x.get(), y.get(), log}, nullptr);
      std::vector<double> expected(x.values.size());
      for (int64_t line = 0; line < outer * inner; ++line) {
        const int64_t start = line / inner * axis * inner + line % inner;
        double sum = 0;
        for (int64_t i = 0; i < axis; ++i) sum += std::exp(x.values[start + i * inner]);
        for (int64_t i = 0; i < axis; ++i) {
          const double value = x.values[start + i * inner];
          expected[start + i * inner] = log ? value - std::log(sum) : std::exp(value) / sum;
        }
      }
      expect_near(y.read(), expected, 2 * rounding(GetParam()) + 1e-5, 1e-6);
    }
  }
}

TEST_P(NormCuda, SoftmaxOfNothingButMinusInfinityIsNan) {
  const Floats x(GetParam(), std::vector<double>(64, -INFINITY)), y(GetParam(), int64_t{64});
  softmax({GetParam(), 1, 64, 1, x.get(), y.get()}, nullptr);
  EXPECT_TRUE(std::isnan(y.read()[5]));
}

}  // namespace
}  // namespace tercel::kernels::cuda

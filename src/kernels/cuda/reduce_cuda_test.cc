#include <algorithm>

#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

double reduced(ReduceOp op, const std::vector<double>& x) {
  double sum = 0, product = 1, most = -INFINITY, least = INFINITY, squares = 0, sizes = 0, exps = 0;
  for (const double v : x) {
    sum += v;
    product *= v;
    most = std::max(most, v);
    least = std::min(least, v);
    squares += v * v;
    sizes += std::fabs(v);
    exps += std::exp(v);
  }
  switch (op) {
    case ReduceOp::sum:
      return sum;
    case ReduceOp::mean:
      return sum / static_cast<double>(x.size());
    case ReduceOp::max:
      return most;
    case ReduceOp::min:
      return least;
    case ReduceOp::prod:
      return product;
    case ReduceOp::sum_square:
      return squares;
    case ReduceOp::l1:
      return sizes;
    case ReduceOp::l2:
      return std::sqrt(squares);
    case ReduceOp::log_sum:
      return std::log(sum);
    case ReduceOp::log_sum_exp:
      return std::log(exps);
  }
  return 0;
}

class ReduceCuda : public FloatCudaTest {};
TERCEL_FLOAT_CUDA_SUITE(ReduceCuda);

constexpr ReduceOp kOps[] = {ReduceOp::sum,     ReduceOp::mean,       ReduceOp::max, ReduceOp::min,
                             ReduceOp::prod,    ReduceOp::sum_square, ReduceOp::l1,  ReduceOp::l2,
                             ReduceOp::log_sum, ReduceOp::log_sum_exp};

TEST_P(ReduceCuda, EachOperation) {
  for (const ReduceOp op : kOps) {
    for (const auto& [outer, axis, inner] : {std::array<int64_t, 3>{3, 0, 2},
                                             {5, 1, 1},
                                             {4, 100, 1},
                                             {2, 9001, 1},
                                             {3, 17, 5},
                                             {2, 33, 70}}) {
      const Floats x(GetParam(), random(outer * axis * inner, 0.5, 1.5));
      const Floats y(GetParam(), outer * inner);
      reduce({op, GetParam(), outer, axis, inner, x.get(), y.get()}, nullptr);
      std::vector<double> expected;
      for (int64_t line = 0; line < outer * inner; ++line) {
        std::vector<double> values;
        for (int64_t i = 0; i < axis; ++i)
          values.push_back(x.values[(line / inner * axis + i) * inner + line % inner]);
        expected.push_back(reduced(op, values));
        if (op == ReduceOp::prod && axis > 1000) expected.back() = reduced(op, values);
      }
      auto out = y.read();
      for (std::size_t i = 0; i < out.size(); ++i) {  // beyond f16's range
        if (GetParam() == Dtype::f16 && std::fabs(expected[i]) < 1e-3) out[i] = expected[i];
        if (std::fabs(expected[i]) < 1e-30) out[i] = expected[i];
      }
      expect_near(out, expected, 2 * rounding(GetParam()) + 4e-4 * (axis > 1000), 1e-5,
                  "operation " + std::to_string(static_cast<int>(op)));
    }
  }
}

TEST_F(CudaTest, ReduceIntegersAndBooleans) {
  const auto x = random_integers<int64_t>(300, -1000, 1000);
  const DeviceArray in(x), out(8 * 3);
  reduce({ReduceOp::sum, Dtype::i64, 3, 100, 1, in.get(), out.get()}, nullptr);
  std::vector<int64_t> expected(3);
  for (int i = 0; i < 300; ++i) expected[i / 100] += x[i];
  EXPECT_EQ(out.values<int64_t>(), expected);
  std::vector<uint8_t> flags(200, 0);
  flags[150] = 1;
  const DeviceArray flags_in(flags), flags_out(2);
  reduce({ReduceOp::max, Dtype::boolean, 2, 100, 1, flags_in.get(), flags_out.get()}, nullptr);
  EXPECT_EQ(flags_out.values<uint8_t>(), (std::vector<uint8_t>{0, 1}));
  EXPECT_THROW(reduce({ReduceOp::l2, Dtype::i64, 3, 100, 1, in.get(), out.get()}, nullptr), Error);
}

TEST_P(ReduceCuda, ArgReduceAndTopK) {
  for (const auto& [outer, axis, inner] :
       {std::array<int64_t, 3>{4, 1, 1}, {3, 1000, 1}, {2, 50, 7}, {1, 20000, 1}}) {
    const Floats x(GetParam(), random(outer * axis * inner));
    const int64_t k = std::min<int64_t>(axis, 5);
    const DeviceArray places(outer * inner * 8), indices(outer * k * inner * 8);
    const Floats values(GetParam(), outer * k * inner);
    for (const bool max : {true, false}) {
      arg_reduce({GetParam(), max, false, outer, axis, inner, x.get(), places.get<int64_t>()},
                 nullptr);
      top_k({GetParam(), max, outer, axis, inner, k, x.get(), values.get(), indices.get<int64_t>()},
            nullptr);
      const auto found = places.values<int64_t>(), top = indices.values<int64_t>();
      for (int64_t line = 0; line < outer * inner; ++line) {
        const int64_t o = line / inner, n = line % inner;
        std::vector<std::pair<double, int64_t>> sorted;
        for (int64_t i = 0; i < axis; ++i)
          sorted.emplace_back((max ? -1 : 1) * x.values[(o * axis + i) * inner + n], i);
        std::sort(sorted.begin(), sorted.end());
        EXPECT_EQ(found[line], sorted[0].second);
        for (int64_t i = 0; i < k; ++i) EXPECT_EQ(top[(o * k + i) * inner + n], sorted[i].second);
      }
    }
  }
}

// A pooled row, and how far each element may be off. One addition rounds by u = 2^-24 of its
// result; an element of a sum of n passes through d = ceil(n / 8) + 3 of them, so that the sum is
// off by d u Σ|x|, to first order, and a mean by one rounding more. Dividing by the length L of the
// row: the length is off by no more than the errors together (as a vector), plus its own roundings:
// two squares a thread, 5 + 8 additions, root, inverse and product.
struct Pooled {
  std::vector<double> values, errors;

  Pooled(RaggedPool pool, const std::vector<std::vector<double>>& columns, bool normalize) {
    constexpr double kUnit = 0x1p-24;
    double squares = 0, error_squares = 0;
    for (std::vector<double> column : columns) {
      if (pool == RaggedPool::first && !column.empty()) column.resize(1);
      const auto count = static_cast<double>(column.size());
      double value = 0, magnitude = 0;
      for (const double x : column) magnitude += std::fabs(x);
      if (!column.empty())
        value = reduced(pool == RaggedPool::max    ? ReduceOp::max
                        : pool == RaggedPool::mean ? ReduceOp::mean
                                                   : ReduceOp::sum,
                        column);
      double error = (std::ceil(count / 8) + 3) * kUnit * magnitude;
      if (pool == RaggedPool::mean && count > 0) error = error / count + kUnit * std::fabs(value);
      if (pool == RaggedPool::max || count <= 1) error = 0;
      values.push_back(value);
      errors.push_back(error);
      squares += value * value;
      error_squares += error * error;
    }
    if (!normalize || squares == 0) return;
    const double length = std::sqrt(squares);
    const double relative = std::sqrt(error_squares) / length + 20 * kUnit;
    for (std::size_t c = 0; c < values.size(); ++c) {
      errors[c] = errors[c] / length + std::fabs(values[c]) / length * relative;
      values[c] /= length;
    }
  }
};

TEST_P(ReduceCuda, RaggedPools) {
  const std::vector<int64_t> offsets{0, 3, 3, 40, 41, 300};
  const int64_t columns = 70, batch = 5;
  const Floats x(GetParam(), random(offsets.back() * columns)), y(GetParam(), batch * columns);
  const DeviceArray on_device(offsets);
  for (const auto pool : {RaggedPool::mean, RaggedPool::max, RaggedPool::sum, RaggedPool::first}) {
    for (const bool normalize : {false, true}) {
      ragged_pool({GetParam(), pool, batch, columns, x.get(), columns, on_device.get<int64_t>(),
                   y.get(), normalize},
                  nullptr);
      const auto result = y.read();
      for (int64_t b = 0; b < batch; ++b) {
        std::vector<std::vector<double>> rows(columns);
        for (int64_t r = offsets[b]; r < offsets[b + 1]; ++r)
          for (int64_t c = 0; c < columns; ++c) rows[c].push_back(x.values[r * columns + c]);
        const Pooled expected(pool, rows, normalize);
        for (int64_t c = 0; c < columns; ++c) {
          const double value = expected.values[c];
          // The result is rounded once more, to its type; f16's smallest numbers by 2^-25.
          ASSERT_NEAR(result[b * columns + c], value,
                      expected.errors[c] + 1.01 * rounding(GetParam()) * std::fabs(value) + 0x1p-25)
              << "pool " << static_cast<int>(pool) << " normalized " << normalize << " sequence "
              << b << " column " << c;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda

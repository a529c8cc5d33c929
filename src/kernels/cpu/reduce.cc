#include "src/kernels/cpu/reduce.h"

#include "src/kernels/cpu/isa_tables.h"
#include "src/kernels/cpu/row.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

constexpr double kNanosecondsToReduce = 0.4;

void softmax_row(const float* x, float* y, int64_t count, bool log_of_it) {
  const float top =
      fold_row(x, count, -__builtin_inff(), kSame, [](Vec a, Vec b) { return greater(b, a); });
  const Vec shift = splat(top);
  if (log_of_it) {
    const float sum = fold_row(
        x, count, 0.0F, [&](Vec value) { return exp(value - shift); }, kAdd);
    const Vec log_sum = log(splat(sum));
    map_row(x, y, count, [&](Vec value, int64_t, int64_t) { return value - shift - log_sum; });
    return;
  }
  map_row(x, y, count, [&](Vec value, int64_t, int64_t) { return exp(value - shift); });
  const Vec sum = splat(fold_row(y, count, 0.0F, kSame, kAdd));
  map_row(y, y, count, [&](Vec value, int64_t, int64_t) { return value / sum; });
}

// One vector of neighbouring columns of [axis, inner]; `width` of its lanes exist.
struct Column {
  int64_t axis, inner, width;
  Vec get(const float* x, int64_t i) const {
    return width == kLanes ? load(x + i * inner) : load_some(x + i * inner, width);
  }
  void put(float* y, int64_t i, Vec value) const {
    if (width == kLanes) {
      store(y + i * inner, value);
    } else {
      store_some(y + i * inner, value, width);
    }
  }
  template <class Map, class Join>
  Vec fold(const float* x, float neutral, Map map, Join join) const {
    Vec value = splat(neutral);
    for (int64_t i = 0; i < axis; ++i) value = join(value, map(get(x, i)));
    return value;
  }
};

void softmax_column(const Column& column, const float* x, float* y, bool log_of_it) {
  const Vec top =
      column.fold(x, -__builtin_inff(), kSame, [](Vec a, Vec b) { return greater(b, a); });
  const Vec sum = column.fold(
      x, 0.0F, [&](Vec value) { return exp(value - top); }, kAdd);
  const Vec log_sum = log(sum);
  for (int64_t i = 0; i < column.axis; ++i) {
    const Vec value = column.get(x, i) - top;
    column.put(y, i, log_of_it ? value - log_sum : exp(value) / sum);
  }
}

// body(column, offset into [outer, axis, inner], offset into [outer, inner])
template <class Body>
void for_columns(ThreadPool& pool, int64_t outer, int64_t axis, int64_t inner, const Body& body) {
  const int64_t vectors = ceil_div(inner, kLanes);
  const double cost = kNanosecondsToReduce * kLanes * static_cast<double>(axis + 1);
  for_ranges(pool, outer * vectors, cost, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
      const int64_t o = v / vectors;
      const int64_t i = v % vectors * kLanes;
      body(Column{axis, inner, least<int64_t>(kLanes, inner - i)}, o * axis * inner + i,
           o * inner + i);
    }
  });
}

void softmax(const SoftmaxArgs& args, ThreadPool& pool) {
  if (args.outer <= 0 || args.axis <= 0 || args.inner <= 0) return;
  if (args.inner > 1) {
    for_columns(pool, args.outer, args.axis, args.inner,
                [&](const Column& column, int64_t at, int64_t) {
                  softmax_column(column, args.x + at, args.y + at, args.log);
                });
    return;
  }
  const double cost = 2 * kNanosecondsToReduce * static_cast<double>(args.axis);
  for_ranges(pool, args.outer, cost, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      softmax_row(args.x + r * args.axis, args.y + r * args.axis, args.axis, args.log);
    }
  });
}

// The row to normalise: x, or x + residual, which is kept in `sum`, or for want of it in y.
const float* norm_input(const NormArgs& args, int64_t row) {
  const float* x = args.x + row * args.columns;
  if (args.residual == nullptr && args.sum == nullptr) return x;
  float* sum = (args.sum != nullptr ? args.sum : args.y) + row * args.columns;
  const float* residual = args.residual == nullptr ? nullptr : args.residual + row * args.columns;
  map_row(x, sum, args.columns, [&](Vec value, int64_t i, int64_t count) {
    return residual == nullptr ? value : value + some_of(residual, i, count);
  });
  return sum;
}

void norm_row(const NormArgs& args, int64_t row, bool centred) {
  const Moments moments = normalize_row(norm_input(args, row), args.y + row * args.columns,
                                        args.columns, args.norm, centred);
  if (args.mean != nullptr) args.mean[row] = moments.mean;
  if (args.inv_deviation != nullptr) args.inv_deviation[row] = moments.inverse;
}

void norm(const NormArgs& args, ThreadPool& pool, bool centred) {
  const double cost = kNanosecondsToReduce * static_cast<double>(args.columns);
  for_ranges(pool, args.rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) norm_row(args, r, centred);
  });
}

void layer_norm(const NormArgs& args, ThreadPool& pool) { norm(args, pool, true); }
void rms_norm(const NormArgs& args, ThreadPool& pool) { norm(args, pool, false); }

template <class T>
void add_row(const T* x, float* sum, int64_t columns, bool first) {
  map_row(x, sum, columns, [&](Vec value, int64_t i, int64_t count) {
    return first ? value : value + some_of(sum, i, count);
  });
}

void add_table_row(const EmbeddingTable& table, int64_t row, float* sum, int64_t columns,
                   bool first) {
  const int64_t at = table.indices[row % table.count] * columns;
  switch (table.type) {
    case Dtype::f32:
      return add_row(static_cast<const float*>(table.rows) + at, sum, columns, first);
    case Dtype::f16:
      return add_row(static_cast<const f16*>(table.rows) + at, sum, columns, first);
    case Dtype::bf16:
      return add_row(static_cast<const bf16*>(table.rows) + at, sum, columns, first);
    default:
      fail_dtype("embedding", table.type);
  }
}

void embedding_norm(const EmbeddingNormArgs& args, ThreadPool& pool) {
  const double cost =
      kNanosecondsToReduce * static_cast<double>(args.columns * (1 + std::ssize(args.tables)));
  for_ranges(pool, args.rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* y = args.y + r * args.columns;
      for (const EmbeddingTable& table : args.tables)
        add_table_row(table, r, y, args.columns, &table == args.tables.data());
      normalize_row(y, y, args.columns, args.norm, true);
    }
  });
}

template <class Map, class Join, class Finish>
void reduce_with(const ReduceArgs& args, ThreadPool& pool, float neutral, Map map, Join join,
                 Finish finish) {
  if (args.outer <= 0 || args.inner <= 0) return;
  if (args.inner > 1) {
    for_columns(pool, args.outer, args.axis, args.inner,
                [&](const Column& column, int64_t from, int64_t to) {
                  const Vec value = finish(column.fold(args.x + from, neutral, map, join));
                  column.put(args.y + to, 0, value);
                });
    return;
  }
  const double cost = kNanosecondsToReduce * static_cast<double>(args.axis + 1);
  for_ranges(pool, args.outer, cost, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      args.y[r] = finish(splat(fold_row(args.x + r * args.axis, args.axis, neutral, map, join)))[0];
    }
  });
}

void reduce(const ReduceArgs& args, ThreadPool& pool) {
  const float infinity = __builtin_inff();
  const auto square = [](Vec x) { return x * x; };
  const auto magnitude = [](Vec x) { return absolute(x); };
  switch (args.op) {
    case ReduceOp::sum:
      return reduce_with(args, pool, 0.0F, kSame, kAdd, kSame);
    case ReduceOp::mean: {
      const Vec count = splat(static_cast<float>(args.axis));
      return reduce_with(args, pool, 0.0F, kSame, kAdd, [count](Vec x) { return x / count; });
    }
    case ReduceOp::max:  // a NaN that has been met stays
      return reduce_with(
          args, pool, -infinity, kSame,
          [](Vec a, Vec b) { return select(a == a, select(b == b, greater(b, a), b), a); }, kSame);
    case ReduceOp::min:
      return reduce_with(
          args, pool, infinity, kSame,
          [](Vec a, Vec b) { return select(a == a, select(b == b, lesser(b, a), b), a); }, kSame);
    case ReduceOp::prod:
      return reduce_with(
          args, pool, 1.0F, kSame, [](Vec a, Vec b) { return a * b; }, kSame);
    case ReduceOp::sum_square:
      return reduce_with(args, pool, 0.0F, square, kAdd, kSame);
    case ReduceOp::l1:
      return reduce_with(args, pool, 0.0F, magnitude, kAdd, kSame);
    case ReduceOp::l2:
      return reduce_with(args, pool, 0.0F, square, kAdd, [](Vec x) { return square_root(x); });
  }
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(ReduceKernels, reduce_kernels, softmax, layer_norm, rms_norm, embedding_norm,
                 reduce)

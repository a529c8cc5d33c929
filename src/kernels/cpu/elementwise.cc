#include "src/kernels/cpu/elementwise.h"

#include "src/kernels/cpu/isa_tables.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

template <class Function>
void map(const UnaryArgs& args, ThreadPool& pool, double nanoseconds, Function function) {
  for_ranges(pool, ceil_div(args.count, kChunk), nanoseconds * kChunk,
             [&](int64_t begin, int64_t end) {
               int64_t i = begin * kChunk;
               const int64_t last = least(end * kChunk, args.count);
               for (; i + kLanes <= last; i += kLanes) {
                 store(args.y + i, function(load(args.x + i)));
               }
               if (i < last) {
                 store_some(args.y + i, function(load_some(args.x + i, last - i)), last - i);
               }
             });
}

template <class Function>
Vec by_lane(Vec x, Function function) {
  for (int i = 0; i < kLanes; ++i) x[i] = function(x[i]);
  return x;
}

Vec floor(Vec x) {
#if defined(TERCEL_ISA_generic)
  return by_lane(x, [](float value) { return __builtin_floorf(value); });
#elif defined(TERCEL_ISA_avx2)
  return _mm256_floor_ps(x);
#else
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#endif
}

Vec ceil(Vec x) { return -floor(-x); }

Vec round_even(Vec x) {
#if defined(TERCEL_ISA_generic)
  return by_lane(x, [](float value) { return __builtin_rintf(value); });
#elif defined(TERCEL_ISA_avx2)
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
}

Vec clamp(Vec x, float low, float high) {
  x = select(x < splat(low), splat(low), x);
  return select(x > splat(high), splat(high), x);
}

void unary(const UnaryArgs& args, ThreadPool& pool) {
  const float a = args.alpha;
  const float b = args.beta;
  const auto cheap = [&](auto function) { map(args, pool, 0.2, function); };
  const auto costly = [&](auto function) { map(args, pool, 0.6, function); };
  const auto by_libm = [&](auto function) {
    map(args, pool, 10, [&](Vec x) { return by_lane(x, function); });
  };
  const Vec one = splat(1.0F);
  switch (args.op) {
    case UnaryOp::abs:
      return cheap([](Vec x) { return absolute(x); });
    case UnaryOp::neg:
      return cheap([](Vec x) { return -x; });
    case UnaryOp::sign:
      return cheap([one](Vec x) { return select(x > zeros(), one, select(x < zeros(), -one, x)); });
    case UnaryOp::floor:
      return cheap([](Vec x) { return floor(x); });
    case UnaryOp::ceil:
      return cheap([](Vec x) { return ceil(x); });
    case UnaryOp::round:
      return cheap([](Vec x) { return round_even(x); });
    case UnaryOp::sqrt:
      return cheap([](Vec x) { return square_root(x); });
    case UnaryOp::reciprocal:
      return cheap([one](Vec x) { return one / x; });
    case UnaryOp::exp:
      return costly([](Vec x) { return exp(x); });
    case UnaryOp::log:
      return costly([](Vec x) { return log(x); });
    case UnaryOp::sin:
      return by_libm([](float x) { return __builtin_sinf(x); });
    case UnaryOp::cos:
      return by_libm([](float x) { return __builtin_cosf(x); });
    case UnaryOp::erf:
      return costly([](Vec x) { return erf(x); });
    case UnaryOp::tanh:
      return costly([](Vec x) { return tanh(x); });
    case UnaryOp::sigmoid:
      return costly([](Vec x) { return sigmoid(x); });
    case UnaryOp::softplus:
      return costly([](Vec x) { return softplus(x); });
    case UnaryOp::relu:
      return cheap([](Vec x) { return relu(x); });
    case UnaryOp::gelu:
      return costly([](Vec x) { return gelu(x); });
    case UnaryOp::gelu_tanh:
      return costly([](Vec x) { return gelu_tanh(x); });
    case UnaryOp::silu:
      return costly([](Vec x) { return silu(x); });
    case UnaryOp::leaky_relu:
      return cheap([a](Vec x) { return select(x < zeros(), splat(a) * x, x); });
    case UnaryOp::elu:
      return costly([a, one](Vec x) { return select(x < zeros(), splat(a) * (exp(x) - one), x); });
    case UnaryOp::hard_sigmoid:
      return cheap([a, b](Vec x) { return clamp(splat(a) * x + splat(b), 0.0F, 1.0F); });
    case UnaryOp::clip:
      return cheap([a, b](Vec x) { return clamp(x, a, b); });
  }
}

// Columns of one row; a column stride of zero repeats the first element.
template <class Function>
void combine_row(const float* a, bool a_repeats, const float* b, bool b_repeats, float* out,
                 int64_t columns, Function function) {
  const Vec a0 = splat(*a);
  const Vec b0 = splat(*b);
  int64_t i = 0;
  for (; i + kLanes <= columns; i += kLanes) {
    store(out + i, function(a_repeats ? a0 : load(a + i), b_repeats ? b0 : load(b + i)));
  }
  if (i < columns) {
    const int64_t left = columns - i;
    store_some(
        out + i,
        function(a_repeats ? a0 : load_some(a + i, left), b_repeats ? b0 : load_some(b + i, left)),
        left);
  }
}

template <class Function>
void combine(const BinaryArgs& args, ThreadPool& pool, double nanoseconds, Function function) {
  const auto flat = [&](int64_t row, int64_t column) {
    return args.rows == 1 || row == column * args.columns;
  };
  const bool one_row = flat(args.a_row, args.a_column) && flat(args.b_row, args.b_column);
  const int64_t columns = one_row ? args.rows * args.columns : args.columns;
  const int64_t rows = one_row ? 1 : args.rows;
  if (rows <= 0 || columns <= 0) return;
  const int64_t width = least(columns, kChunk);
  const int64_t pieces = ceil_div(columns, width);
  for_ranges(pool, rows * pieces, nanoseconds * static_cast<double>(width),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t r = i / pieces;
                 const int64_t c = i % pieces * width;
                 combine_row(args.a + r * args.a_row + c * args.a_column, args.a_column == 0,
                             args.b + r * args.b_row + c * args.b_column, args.b_column == 0,
                             args.out + r * columns + c, least(width, columns - c), function);
               }
             });
}

// Exponents that models use, without a call of pow for each element.
void power(const BinaryArgs& args, ThreadPool& pool) {
  const Vec infinity = splat(__builtin_inff());
  if (args.b_row == 0 && args.b_column == 0 && args.rows > 0 && args.columns > 0) {
    const float exponent = *args.b;
    if (exponent == 1.0F) return combine(args, pool, 0.2, [](Vec x, Vec) { return x; });
    if (exponent == 2.0F) return combine(args, pool, 0.2, [](Vec x, Vec) { return x * x; });
    if (exponent == 0.5F) {
      return combine(args, pool, 0.2, [infinity](Vec x, Vec) {
        return select(x == -infinity, infinity, square_root(x + zeros()));
      });
    }
  }
  combine(args, pool, 20, [](Vec x, Vec y) {
    for (int i = 0; i < kLanes; ++i) x[i] = __builtin_powf(x[i], y[i]);
    return x;
  });
}

void binary(const BinaryArgs& args, ThreadPool& pool) {
  const auto cheap = [&](auto function) { combine(args, pool, 0.3, function); };
  switch (args.op) {
    case BinaryOp::add:
      return cheap([](Vec x, Vec y) { return x + y; });
    case BinaryOp::sub:
      return cheap([](Vec x, Vec y) { return x - y; });
    case BinaryOp::mul:
      return cheap([](Vec x, Vec y) { return x * y; });
    case BinaryOp::div:
      return cheap([](Vec x, Vec y) { return x / y; });
    case BinaryOp::pow:
      return power(args, pool);
    case BinaryOp::min:
      return cheap([](Vec x, Vec y) { return select(x == x, lesser(x, y), x); });
    case BinaryOp::max:
      return cheap([](Vec x, Vec y) { return select(x == x, greater(x, y), x); });
  }
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(ElementwiseKernels, elementwise_kernels, unary, binary)

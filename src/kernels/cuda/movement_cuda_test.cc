#include <algorithm>
#include <numeric>

#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

// Arrays of bytes, all elements different; element i of an array begins at i * bytes.
class MovementCuda : public CudaTest, public testing::WithParamInterface<int> {
 protected:
  int bytes_ = GetParam();
  std::vector<uint8_t> elements(int64_t count) {
    return random_integers<uint8_t>(count * bytes_, 0, 255);
  }
  void put(const std::vector<uint8_t>& from, int64_t i, std::vector<uint8_t>& to, int64_t j) const {
    std::copy_n(from.begin() + i * bytes_, bytes_, to.begin() + j * bytes_);
  }
  static std::vector<int64_t> places(int64_t index, const Extents& dims) {
    std::vector<int64_t> at(dims.rank);
    for (int d = dims.rank - 1; d >= 0; --d) {
      at[d] = index % dims.at[d];
      index /= dims.at[d];
    }
    return at;
  }
};
INSTANTIATE_TEST_SUITE_P(Bytes, MovementCuda, testing::Values(1, 2, 4, 8, 16));

TEST_P(MovementCuda, Permutations) {
  const Extents shapes[] = {{2, {100, 70}},     {4, {2, 9, 4, 16}}, {3, {33, 1, 64}},
                            {4, {3, 8, 40, 2}}, {2, {0, 5}},        {1, {1001}},
                            {2, {1, 65}}};
  for (const Extents& in_dims : shapes) {
    std::vector<int> order(in_dims.rank);
    std::iota(order.begin(), order.end(), 0);
    do {
      const Extents in_strides = row_major(in_dims);
      Extents dims{in_dims.rank}, strides{in_dims.rank};
      for (int d = 0; d < dims.rank; ++d) {
        dims.at[d] = in_dims.at[order[d]];
        strides.at[d] = in_strides.at[order[d]];
      }
      int64_t count = 1;
      for (int d = 0; d < dims.rank; ++d) count *= dims.at[d];
      const auto x = elements(count);
      const DeviceArray in(x), out(count * bytes_);
      strided_copy({bytes_, dims, strides, row_major(dims), in.get(), out.get()}, nullptr);
      std::vector<uint8_t> expected(x.size());
      for (int64_t i = 0; i < count; ++i) {
        const auto at = places(i, dims);
        int64_t from = 0;
        for (int d = 0; d < dims.rank; ++d) from += at[d] * strides.at[d];
        put(x, from, expected, i);
      }
      ASSERT_EQ(out.values<uint8_t>(), expected);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_P(MovementCuda, SlicesReversedAndRepeated) {
  const int64_t rows = 37, columns = 52;
  const auto x = elements(rows * columns);
  const DeviceArray in(x), out(10 * 3 * 8 * bytes_);
  // Rows 30, 27, … each three times, columns 4 to 12.
  const Extents dims{3, {10, 3, 8}};
  strided_copy({bytes_,
                dims,
                {3, {-3 * columns, 0, 1}},
                row_major(dims),
                in.get<char>() + (30 * columns + 4) * bytes_,
                out.get()},
               nullptr);
  std::vector<uint8_t> expected(10 * 3 * 8 * bytes_);
  for (int64_t i = 0; i < 240; ++i) {
    const auto at = places(i, dims);
    put(x, (30 - 3 * at[0]) * columns + 4 + at[2], expected, i);
  }
  EXPECT_EQ(out.values<uint8_t>(), expected);
}

TEST_P(MovementCuda, ConcatPadTileTriluFill) {
  const auto a = elements(3 * 2 * 5), b = elements(3 * 4 * 5);
  const DeviceArray da(a), db(b), joined(3 * 6 * 5 * bytes_);
  ConcatArgs args{
      .element_bytes = bytes_, .parts = 2, .outer = 3, .inner = 5, .total = 6, .out = joined.get()};
  args.in[0] = da.get();
  args.in[1] = db.get();
  args.axis[0] = 2;
  args.axis[1] = 4;
  concat(args, nullptr);
  std::vector<uint8_t> expected(90 * bytes_);
  for (int64_t i = 0; i < 90; ++i) {
    const int64_t outer = i / 30, at = i / 5 % 6, inner = i % 5;
    if (at < 2)
      put(a, (outer * 2 + at) * 5 + inner, expected, i);
    else
      put(b, (outer * 4 + at - 2) * 5 + inner, expected, i);
  }
  EXPECT_EQ(joined.values<uint8_t>(), expected);

  const DeviceArray padded(7 * 9 * bytes_);
  for (const PadMode mode : {PadMode::constant, PadMode::edge, PadMode::reflect, PadMode::wrap}) {
    pad({bytes_, mode, {2, {6, 5}}, {2, {7, 9}}, {2, {-1, 3}}, da.get(), db.get(), padded.get()},
        nullptr);
    std::vector<uint8_t> wanted(63 * bytes_);
    const auto source = [&](int64_t at, int64_t size) -> int64_t {
      if (at >= 0 && at < size) return at;
      if (mode == PadMode::constant) return -1;
      if (mode == PadMode::edge) return std::clamp<int64_t>(at, 0, size - 1);
      if (mode == PadMode::wrap) return (at + size) % size;
      return at < 0 ? -at : 2 * (size - 1) - at;
    };
    for (int64_t i = 0; i < 63; ++i) {
      const int64_t r = source(i / 9 + 1, 6), c = source(i % 9 - 3, 5);
      put(r < 0 || c < 0 ? b : a, r < 0 || c < 0 ? 0 : r * 5 + c, wanted, i);
    }
    EXPECT_EQ(padded.values<uint8_t>(), wanted) << static_cast<int>(mode);
  }

  const DeviceArray tiled(12 * 10 * bytes_);
  tile({bytes_, {2, {6, 5}}, {2, {12, 10}}, da.get(), tiled.get()}, nullptr);
  std::vector<uint8_t> repeated(120 * bytes_);
  for (int64_t i = 0; i < 120; ++i) put(a, i / 10 % 6 * 5 + i % 5, repeated, i);
  EXPECT_EQ(tiled.values<uint8_t>(), repeated);

  const DeviceArray triangle(30 * bytes_);
  trilu({bytes_, 1, 6, 5, 1, true, da.get(), triangle.get()}, nullptr);
  std::vector<uint8_t> upper(30 * bytes_, 0);
  for (int64_t i = 0; i < 30; ++i)
    if (i % 5 - i / 5 >= 1) put(a, i, upper, i);
  EXPECT_EQ(triangle.values<uint8_t>(), upper);

  FillArgs filling{bytes_, 30, {}, triangle.get()};
  std::memcpy(filling.value, a.data(), bytes_);
  fill(filling, nullptr);
  std::vector<uint8_t> filled(30 * bytes_);
  for (int64_t i = 0; i < 30; ++i) put(a, 0, filled, i);
  EXPECT_EQ(triangle.values<uint8_t>(), filled);
}

TEST_P(MovementCuda, Gathers) {
  const int64_t outer = 3, axis = 10, inner = 6, count = 8;
  const auto x = elements(outer * axis * inner);
  auto indices = random_integers<int64_t>(count, -axis, axis - 1);
  const DeviceArray in(x), at(indices), out(outer * count * inner * bytes_);
  const DeviceArray error(std::vector<int>{0});
  gather({bytes_, outer, axis, inner, count, in.get(), Dtype::i64, at.get(), out.get(),
          error.get<int>()},
         nullptr);
  std::vector<uint8_t> expected(outer * count * inner * bytes_);
  const auto front = [](int64_t i, int64_t size) { return i < 0 ? i + size : i; };
  for (int64_t i = 0; i < outer * count * inner; ++i)
    put(x, (i / inner / count * axis + front(indices[i / inner % count], axis)) * inner + i % inner,
        expected, i);
  EXPECT_EQ(out.values<uint8_t>(), expected);
  EXPECT_EQ(error.values<int>()[0], 0);

  const Extents dims{2, {18, 10}}, index_dims{2, {18, 4}};
  const auto places_of = random_integers<int32_t>(72, 0, 9);
  const DeviceArray at32(places_of), elements_out(72 * bytes_);
  gather_elements(
      {bytes_, dims, index_dims, 1, in.get(), Dtype::i32, at32.get(), elements_out.get()}, nullptr);
  std::vector<uint8_t> picked(72 * bytes_);
  for (int64_t i = 0; i < 72; ++i) put(x, i / 4 * 10 + places_of[i], picked, i);
  EXPECT_EQ(elements_out.values<uint8_t>(), picked);

  const std::vector<int64_t> pairs{0, 9, 2, -1, 1, 4, 99, 0};  // the last is out of range
  const DeviceArray pairs_array(pairs), slices(4 * 6 * bytes_);
  gather_nd({bytes_,
             1,
             4,
             6,
             2,
             {2, {3, 10}},
             in.get(),
             Dtype::i64,
             pairs_array.get(),
             slices.get(),
             error.get<int>()},
            nullptr);
  std::vector<uint8_t> rows(24 * bytes_, 0);
  const int64_t starts[] = {9, 29, 14};
  for (int64_t i = 0; i < 18; ++i) put(x, starts[i / 6] * 6 + i % 6, rows, i);
  EXPECT_EQ(slices.values<uint8_t>(), rows);
  EXPECT_EQ(error.values<int>()[0], 1);
}

TEST_P(MovementCuda, UnpackedRows) {
  const std::vector<int64_t> rows{0, 2, 3, 7};
  const std::vector<uint8_t> valid{1, 0, 1, 0, 0, 0, 0, 1};
  const int64_t row = 12;
  const auto x = elements(4 * row);
  const DeviceArray in(x), at(rows), seen(valid), out(8 * row * bytes_);
  unpacked_rows({bytes_, 4, 8, row, in.get(), at.get<int64_t>(), seen.get<uint8_t>(), out.get()},
                nullptr);
  std::vector<uint8_t> expected(8 * row * bytes_, 0);
  for (int64_t i = 0; i < row; ++i) {
    put(x, i, expected, i);
    put(x, row + i, expected, 2 * row + i);
    put(x, 3 * row + i, expected, 7 * row + i);
  }
  EXPECT_EQ(out.values<uint8_t>(), expected);

  // The last is repeated, up to the index that is its place.
  const DeviceArray repeated(std::vector<int64_t>{0, 2, 3, 3}), all(std::vector<uint8_t>(4, 1));
  unpacked_rows(
      {bytes_, 4, 4, row, in.get(), repeated.get<int64_t>(), all.get<uint8_t>(), out.get()},
      nullptr);
  expected.assign(8 * row * bytes_, 0);
  for (int64_t i = 0; i < row; ++i) {
    put(x, i, expected, i);
    put(x, row + i, expected, 2 * row + i);
    put(x, 2 * row + i, expected, 3 * row + i);
  }
  std::vector<uint8_t> found = out.values<uint8_t>();
  found.resize(4 * row * bytes_);
  expected.resize(found.size());
  EXPECT_EQ(found, expected);
}

TEST_F(CudaTest, Scatters) {
  const std::vector<float> zeros(40, 1.0F);
  const auto places = random_integers<int64_t>(60, 0, 9);
  const auto updates = random_integers<int32_t>(60, -5, 5);
  std::vector<float> floats(updates.begin(), updates.end());
  const DeviceArray at(places), from(floats), ints(updates);
  for (const ScatterOp op : {ScatterOp::add, ScatterOp::max, ScatterOp::min, ScatterOp::mul}) {
    const DeviceArray out(zeros), int_out(std::vector<int32_t>(10, 1));
    scatter_elements({op,
                      Dtype::f32,
                      {2, {10, 4}},
                      {2, {15, 4}},
                      0,
                      Dtype::i64,
                      at.get(),
                      from.get(),
                      out.get()},
                     nullptr);
    scatter_nd(
        {op, Dtype::i32, 60, 1, 1, {1, {10}}, Dtype::i64, at.get(), ints.get(), int_out.get()},
        nullptr);
    std::vector<float> expected = zeros;
    std::vector<int32_t> int_expected(10, 1);
    const auto apply = [&](auto& old, auto update) {
      if (op == ScatterOp::add) old += update;
      if (op == ScatterOp::mul)
        old = static_cast<std::decay_t<decltype(old)>>(static_cast<int64_t>(old) *
                                                       static_cast<int64_t>(update));
      if (op == ScatterOp::max) old = std::max(old, update);
      if (op == ScatterOp::min) old = std::min(old, update);
    };
    for (int i = 0; i < 60; ++i) {
      apply(expected[places[i] * 4 + i % 4], floats[i]);
      apply(int_expected[places[i]], updates[i]);
    }
    if (op == ScatterOp::mul) continue;  // products this long overflow, or round by their order
    EXPECT_EQ(int_out.values<int32_t>(), int_expected);
    EXPECT_EQ(out.values<float>(), expected);
  }
  const Floats half(Dtype::f16, std::vector<double>(10, 1.0));
  const Floats adds(Dtype::f16, std::vector<double>(60, 0.5));
  scatter_nd({ScatterOp::add,
              Dtype::f16,
              60,
              1,
              1,
              {1, {10}},
              Dtype::i64,
              at.get(),
              adds.get(),
              half.get()},
             nullptr);
  std::vector<double> sums(10, 1.0);
  for (const int64_t place : places) sums[place] += 0.5;
  EXPECT_EQ(half.read(), sums);
}

TEST_F(CudaTest, RangesAndRunningSums) {
  const DeviceArray out(8 * 1000);
  range({Dtype::i64, 1000, 5, -2, out.get()}, nullptr);
  EXPECT_EQ(out.values<int64_t>()[999], 5 - 2 * 999);
  for (const auto& [outer, axis, inner] :
       {std::array<int64_t, 3>{3, 100, 1}, {2, 33, 4}, {1, 1, 1}, {1, 5000, 1}}) {
    const auto x = random_integers<int64_t>(outer * axis * inner, -9, 9);
    const DeviceArray in(x), y(x.size() * 8);
    for (const bool exclusive : {false, true}) {
      for (const bool reverse : {false, true}) {
        cumulative({Dtype::i64, false, exclusive, reverse, outer, axis, inner, in.get(), y.get()},
                   nullptr);
        std::vector<int64_t> expected(x.size());
        for (int64_t line = 0; line < outer * inner; ++line) {
          int64_t sum = 0;
          for (int64_t j = 0; j < axis; ++j) {
            const int64_t at =
                (line / inner * axis + (reverse ? axis - 1 - j : j)) * inner + line % inner;
            expected[at] = exclusive ? sum : sum + x[at];
            sum += x[at];
          }
        }
        EXPECT_EQ(y.values<int64_t>(), expected);
      }
    }
  }
}

TEST_F(CudaTest, NonZeroAndOneHot) {
  const Extents dims{3, {7, 50, 11}};
  const auto x = random_integers<uint8_t>(7 * 50 * 11, 0, 1);
  const DeviceArray in(x), out(3 * x.size() * 8), found(8);
  NonZeroArgs args{
      Dtype::boolean,      dims, in.get(), out.get<int64_t>(), static_cast<int64_t>(x.size()),
      found.get<int64_t>()};
  const DeviceArray scratch(nonzero_scratch(args));
  args.scratch = scratch.get();
  nonzero(args, nullptr);
  const auto places = out.values<int64_t>();
  int64_t next = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    if (x[i] == 0) continue;
    EXPECT_EQ(places[next], i / 550);
    EXPECT_EQ(places[x.size() + next], i / 11 % 50);
    EXPECT_EQ(places[2 * x.size() + next], i % 11);
    ++next;
  }
  EXPECT_EQ(found.values<int64_t>()[0], next);

  const std::vector<int64_t> indices{1, -1, 7, 0};
  const std::vector<float> values{2, 9};
  const DeviceArray at(indices), two(values), hot(4 * 3 * 4);
  one_hot({4, 4, 3, 1, Dtype::i64, at.get(), two.get(), hot.get()}, nullptr);
  EXPECT_EQ(hot.values<float>(), (std::vector<float>{2, 9, 2, 2, 2, 9, 2, 2, 2, 9, 2, 2}));
}

TEST_F(CudaTest, PackedRows) {
  for (const bool odd : {false, true}) {
    const int64_t batch = 70, length = 300;
    std::vector<int64_t> mask(batch * length, 0), counts;
    for (int64_t b = 0; b < batch; ++b) {
      counts.push_back(random_integer(1, length));
      for (int64_t i = 0; i < counts[b]; ++i) mask[b * length + i] = 1;
    }
    if (odd) mask[5 * length] = 0;
    if (odd) mask[5 * length + 1] = 1;
    const DeviceArray in(mask), rows(8 * batch * length), offsets(8 * (batch + 1));
    const DeviceArray positions(8 * batch * length), first(8 * batch), valid(batch * length), n(8);
    PackedRowsArgs args{Dtype::i64,
                        batch,
                        length,
                        in.get(),
                        rows.get<int64_t>(),
                        offsets.get<int64_t>(),
                        positions.get<int64_t>(),
                        first.get<int64_t>(),
                        valid.get<uint8_t>(),
                        n.get<int64_t>()};
    const DeviceArray scratch(packed_rows_scratch(args));
    args.scratch = scratch.get();
    packed_rows(args, nullptr);
    const auto row = rows.values<int64_t>(), offset = offsets.values<int64_t>();
    const auto position = positions.values<int64_t>();
    int64_t next = 0;
    for (int64_t b = 0; b < batch; ++b) {
      EXPECT_EQ(offset[b], next);
      for (int64_t i = 0; i < (odd ? length : counts[b]); ++i, ++next) {
        ASSERT_EQ(row[next], b * length + i);
        ASSERT_EQ(position[next], i);
      }
    }
    EXPECT_EQ(offset[batch], next);
    EXPECT_EQ(n.values<int64_t>()[0], next);
    const auto seen = valid.values<uint8_t>();
    for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], mask[i]);
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda

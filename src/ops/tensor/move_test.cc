// Operators that move elements, against the plainest way to say where each output comes from. The
// data's elements are their own positions, so that every element size is tested the same way.

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

using Index = std::vector<int64_t>;

constexpr Dtype kSizes[] = {Dtype::boolean, Dtype::u8,  Dtype::f16,  Dtype::f32,
                            Dtype::i64,     Dtype::c64, Dtype::c128, Dtype::string};

// Element i holds the number i (modulo what fits).
Tensor numbered(Dtype dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape));
  const std::size_t bytes = element_bytes(dtype);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (dtype == Dtype::string) {
      tensor.strings()[static_cast<std::size_t>(i)] = "element " + std::to_string(i);
      continue;
    }
    const int64_t value = dtype == Dtype::boolean ? i % 2 : i;
    auto* at = static_cast<std::byte*>(tensor.data()) + static_cast<std::size_t>(i) * bytes;
    std::memset(at, 0, bytes);
    std::memcpy(at, &value, std::min<std::size_t>(bytes, 8));
  }
  return tensor;
}

bool equal_at(const Tensor& a, int64_t i, const Tensor& b, int64_t j) {
  if (a.dtype() == Dtype::string)
    return a.strings()[static_cast<std::size_t>(i)] == b.strings()[static_cast<std::size_t>(j)];
  const std::size_t bytes = element_bytes(a.dtype());
  return std::memcmp(static_cast<const std::byte*>(a.data()) + static_cast<std::size_t>(i) * bytes,
                     static_cast<const std::byte*>(b.data()) + static_cast<std::size_t>(j) * bytes,
                     bytes) == 0;
}

int64_t flat(const Shape& shape, const Index& index) {
  int64_t at = 0;
  for (std::size_t d = 0; d < shape.size(); ++d) at = at * shape[d] + index[d];
  return at;
}

Index unflat(const Shape& shape, int64_t at) {
  Index index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    index[d] = at % shape[d];
    at /= shape[d];
  }
  return index;
}

// Element `index` of `out` is the element of `in` that `source` names.
void expect_moved(const Tensor& in, const Tensor& out, const Shape& shape,
                  const std::function<Index(const Index&)>& source) {
  ASSERT_EQ(out.dtype(), in.dtype());
  ASSERT_EQ(out.shape(), shape);
  for (int64_t i = 0; i < out.size(); ++i) {
    const int64_t from = flat(in.shape(), source(unflat(shape, i)));
    ASSERT_TRUE(equal_at(out, i, in, from)) << to_string(in.dtype()) << " element " << i;
  }
}

// Shape-giving inputs are constants, as in most models.
Tensor moved(const std::string& op, const std::vector<Tensor>& inputs,
             const std::vector<ir::Builder::Attr>& attributes = {}) {
  RunOptions options;
  for (int i = 1; i < static_cast<int>(inputs.size()); ++i) options.constant.push_back(i);
  return run_op_with(options, op, inputs, attributes).outputs[0];
}

using Parameters = std::vector<ir::Builder::Attr>;

TEST(Transpose, EveryElementSizeAndOrder) {
  const std::vector<Shape> shapes{{},        {5},           {3, 0},         {33, 47},
                                  {2, 3, 5}, {2, 17, 3, 8}, {2, 1, 3, 2, 5}};
  std::mt19937 random(7);
  for (const Shape& shape : shapes) {
    Index perm(shape.size());
    std::iota(perm.begin(), perm.end(), 0);
    for (int round = 0; round < 6; ++round) {
      if (round > 0) std::shuffle(perm.begin(), perm.end(), random);
      Shape expected;
      for (const int64_t axis : perm) expected.push_back(shape[static_cast<std::size_t>(axis)]);
      for (const Dtype dtype : kSizes) {
        const Tensor in = numbered(dtype, shape);
        const Tensor out = moved("Transpose", {in}, {{"perm", perm}});
        expect_moved(in, out, expected, [&](const Index& at) {
          Index from(at.size());
          for (std::size_t d = 0; d < at.size(); ++d)
            from[static_cast<std::size_t>(perm[d])] = at[d];
          return from;
        });
      }
    }
  }
}

TEST(Transpose, ReversesWithoutAPermutation) {
  const Tensor out = moved("Transpose", {Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3})});
  EXPECT_TRUE(same_bits(out, Tensor::from({1, 4, 2, 5, 3, 6}, {3, 2})));
}

TEST(Slice, StepsBothWays) {
  const Tensor in = numbered(Dtype::i64, {10});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return moved("Slice", {in, ints({start}), ints({end}), ints({0}), ints({step})});
  };
  EXPECT_TRUE(same_bits(slice(2, 9, 3), ints({2, 5, 8})));
  EXPECT_TRUE(same_bits(slice(-3, INT64_MAX, 1), ints({7, 8, 9})));
  EXPECT_TRUE(same_bits(slice(-1, INT64_MIN, -4), ints({9, 5, 1})));
  EXPECT_TRUE(same_bits(slice(20, -20, -9), ints({9, 0})));
  EXPECT_TRUE(same_bits(slice(5, 2, 1), ints({})));
  EXPECT_TRUE(same_bits(slice(3, 100, INT64_MAX), ints({3})));
  EXPECT_TRUE(same_bits(slice(3, INT64_MIN, INT64_MIN), ints({3})));
}

TEST(Slice, EveryElementSize) {
  for (const Dtype dtype : kSizes) {
    const Tensor in = numbered(dtype, {5, 4, 7});
    const Tensor out =
        moved("Slice", {in, ints({-1, 1}), ints({0, 4}), ints({-1, 0}), ints({-2, 2})});
    expect_moved(in, out, {2, 4, 3}, [](const Index& at) {
      return Index{1 + 2 * at[0], at[1], 6 - 2 * at[2]};
    });
  }
}

TEST(Slice, RejectsABadStep) {
  EXPECT_THROW(
      moved("Slice", {numbered(Dtype::f32, {4}), ints({0}), ints({4}), ints({0}), ints({0})}),
      Error);
}

TEST(Concat, EveryElementSizeAndAxis) {
  for (const Dtype dtype : kSizes) {
    for (const int64_t axis : {0, 1, -1}) {
      const auto a = static_cast<std::size_t>(axis < 0 ? 2 : axis);
      Shape first{3, 2, 5};
      Shape second = first;
      Shape empty = first;
      second[a] = 4;
      empty[a] = 0;
      Shape whole = first;
      whole[a] += 4;
      const Tensor x = numbered(dtype, first);
      const Tensor y = numbered(dtype, second);
      const Tensor out = run_op("Concat", {x, numbered(dtype, empty), y}, {{"axis", axis}})[0];
      ASSERT_EQ(out.shape(), whole);
      for (int64_t i = 0; i < out.size(); ++i) {
        Index at = unflat(whole, i);
        const bool late = at[a] >= first[a];
        if (late) at[a] -= first[a];
        const Tensor& from = late ? y : x;
        ASSERT_TRUE(equal_at(out, i, from, flat(from.shape(), at)));
      }
    }
  }
}

TEST(Split, LengthsOrEqualParts) {
  const Tensor in = numbered(Dtype::f32, {7, 3});
  RunOptions constants{.constant = {1}};
  const auto given = run_op_with(constants, "Split", {in, ints({2, 0, 5})}, {}, 3).outputs;
  expect_moved(in, given[0], {2, 3}, [](const Index& at) { return at; });
  EXPECT_EQ(given[1].shape(), (Shape{0, 3}));
  expect_moved(in, given[2], {5, 3}, [](const Index& at) { return Index{at[0] + 2, at[1]}; });
  const auto equal = run_op("Split", {in}, {{"axis", int64_t{-2}}, {"num_outputs", int64_t{3}}}, 3);
  expect_moved(in, equal[1], {3, 3}, [](const Index& at) { return Index{at[0] + 3, at[1]}; });
  EXPECT_EQ(equal[2].shape(), (Shape{1, 3}));
  EXPECT_THROW(run_op_with(constants, "Split", {in, ints({2, 2})}, {}, 2), Error);
}

TEST(Expand, Broadcasts) {
  for (const Dtype dtype : kSizes) {
    const Tensor in = numbered(dtype, {3, 1, 4});
    const Tensor out = moved("Expand", {in, ints({2, 1, 5, 1})});
    expect_moved(in, out, {2, 3, 5, 4}, [](const Index& at) { return Index{at[1], 0, at[3]}; });
  }
}

TEST(Tile, Repeats) {
  for (const Dtype dtype : kSizes) {
    const Tensor in = numbered(dtype, {3, 2});
    const Tensor out = moved("Tile", {in, ints({2, 3})});
    expect_moved(in, out, {6, 6}, [](const Index& at) { return Index{at[0] % 3, at[1] % 2}; });
  }
  EXPECT_EQ(moved("Tile", {numbered(Dtype::f32, {3, 2}), ints({0, 3})}).shape(), (Shape{0, 6}));
}

TEST(Gather, EveryElementSizeAndAxis) {
  const Tensor indices = Tensor::from({2, -1, 0, -3, 1, 1}, {2, 3});
  for (const Dtype dtype : kSizes) {
    const Tensor in = numbered(dtype, {3, 4, 3});
    const auto wrapped = [&](int64_t i, int64_t j) {
      const int64_t index = indices.values<int32_t>()[static_cast<std::size_t>(i * 3 + j)];
      return index < 0 ? index + 3 : index;
    };
    expect_moved(in, run_op("Gather", {in, indices})[0], {2, 3, 4, 3}, [&](const Index& at) {
      return Index{wrapped(at[0], at[1]), at[2], at[3]};
    });
    expect_moved(in, run_op("Gather", {in, indices}, {{"axis", int64_t{-1}}})[0], {3, 4, 2, 3},
                 [&](const Index& at) {
                   return Index{at[0], at[1], wrapped(at[2], at[3])};
                 });
  }
}

TEST(Gather, ScalarAndNoIndices) {
  const Tensor in = numbered(Dtype::f32, {3, 2});
  EXPECT_EQ(run_op("Gather", {in, Tensor::scalar(int64_t{1})})[0].shape(), (Shape{2}));
  EXPECT_EQ(run_op("Gather", {in, ints({})})[0].shape(), (Shape{0, 2}));
}

TEST(Gather, NamesAnIndexOutOfRange) {
  try {
    run_op("Gather", {numbered(Dtype::f32, {3, 2}), ints({0, 3})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("index 3 is out of range"), std::string::npos);
  }
  EXPECT_THROW(run_op("Gather", {numbered(Dtype::f32, {3, 2}), ints({-4})}), Error);
}

TEST(GatherElements, PicksAlongTheAxis) {
  const Tensor in = numbered(Dtype::f32, {3, 4});
  const Tensor indices = Tensor::from<int64_t>({3, -1, 0, 1, 2, 2}, {2, 3});
  expect_moved(in, run_op("GatherElements", {in, indices}, {{"axis", int64_t{1}}})[0], {2, 3},
               [&](const Index& at) {
                 const int64_t i =
                     indices.values<int64_t>()[static_cast<std::size_t>(at[0] * 3 + at[1])];
                 return Index{at[0], i < 0 ? i + 4 : i};
               });
}

TEST(GatherND, BatchesAndSlices) {
  const Tensor in = numbered(Dtype::f32, {2, 3, 4});
  const Tensor pairs = Tensor::from<int64_t>({0, 1, -1, 2}, {2, 2});
  expect_moved(in, run_op("GatherND", {in, pairs})[0], {2, 4}, [](const Index& at) {
    return at[0] == 0 ? Index{0, 1, at[1]} : Index{1, 2, at[1]};
  });
  const Tensor one = Tensor::from<int64_t>({2, 0}, {2, 1});
  expect_moved(in, run_op("GatherND", {in, one}, {{"batch_dims", int64_t{1}}})[0], {2, 4},
               [](const Index& at) {
                 return Index{at[0], at[0] == 0 ? 2 : 0, at[1]};
               });
  EXPECT_THROW(run_op("GatherND", {in, Tensor::from<int64_t>({3}, {1, 1})}), Error);
}

TEST(DepthToSpace, AndBack) {
  const Tensor in = numbered(Dtype::f32, {2, 12, 3, 5});
  const Parameters columns{{"blocksize", int64_t{2}}, {"mode", std::string("DCR")}};
  const Parameters rows{{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}};
  expect_moved(in, run_op("DepthToSpace", {in}, columns)[0], {2, 3, 6, 10}, [](const Index& at) {
    return Index{at[0], (at[2] % 2 * 2 + at[3] % 2) * 3 + at[1], at[2] / 2, at[3] / 2};
  });
  expect_moved(in, run_op("DepthToSpace", {in}, rows)[0], {2, 3, 6, 10}, [](const Index& at) {
    return Index{at[0], at[1] * 4 + at[2] % 2 * 2 + at[3] % 2, at[2] / 2, at[3] / 2};
  });
  for (const Parameters& mode : {columns, rows}) {
    const Tensor there = run_op("DepthToSpace", {in}, mode)[0];
    EXPECT_TRUE(same_bits(run_op("SpaceToDepth", {there}, mode)[0], in));
  }
}

TEST(Where, Broadcasts) {
  const Tensor condition = Tensor::from({true, false, false, true}, {2, 1, 2});
  for (const Dtype dtype : kSizes) {
    const Tensor x = numbered(dtype, {3, 1});
    const Tensor y = numbered(dtype, {2, 3, 2});
    const Tensor out = run_op("Where", {condition, x, y})[0];
    ASSERT_EQ(out.shape(), (Shape{2, 3, 2}));
    for (int64_t i = 0; i < out.size(); ++i) {
      const Index at = unflat(out.shape(), i);
      const bool yes = at[0] == at[2];
      ASSERT_TRUE(equal_at(out, i, yes ? x : y, yes ? at[1] : i));
    }
  }
}

TEST(Pad, EveryMode) {
  const Tensor in = numbered(Dtype::i64, {4});
  const auto pad = [&](const char* mode, int64_t before, int64_t after) {
    return moved("Pad", {in, ints({before, after}), Tensor::scalar(int64_t{9})},
                 {{"mode", std::string(mode)}});
  };
  EXPECT_TRUE(same_bits(pad("constant", 2, 1), ints({9, 9, 0, 1, 2, 3, 9})));
  EXPECT_TRUE(same_bits(pad("constant", -1, 1), ints({1, 2, 3, 9})));
  EXPECT_TRUE(same_bits(pad("reflect", 3, 2), ints({3, 2, 1, 0, 1, 2, 3, 2, 1})));
  EXPECT_TRUE(same_bits(pad("edge", 2, 2), ints({0, 0, 0, 1, 2, 3, 3, 3})));
  EXPECT_TRUE(same_bits(pad("wrap", 1, 2), ints({3, 0, 1, 2, 3, 0, 1})));
}

TEST(Pad, OneAxisOfEveryElementSize) {
  for (const Dtype dtype : kSizes) {
    const Tensor in = numbered(dtype, {3, 2, 4});
    const Tensor out =
        moved("Pad", {in, ints({1, 2}), Tensor(), ints({-2})}, {{"mode", std::string("edge")}});
    expect_moved(in, out, {3, 5, 4}, [](const Index& at) {
      return Index{at[0], std::clamp<int64_t>(at[1] - 1, 0, 1), at[2]};
    });
  }
}

TEST(Scatter, ElementsWithReductions) {
  const Tensor data = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F}, {4});
  const Tensor indices = ints({1, -1, 1});
  const Tensor updates = Tensor::from({10.0F, 20.0F, 30.0F}, {3});
  const auto scatter = [&](const char* reduction) {
    return run_op("ScatterElements", {data, indices, updates},
                  {{"reduction", std::string(reduction)}})[0];
  };
  EXPECT_TRUE(same_bits(scatter("none"), Tensor::from({1.0F, 30.0F, 3.0F, 20.0F}, {4})));
  EXPECT_TRUE(same_bits(scatter("add"), Tensor::from({1.0F, 42.0F, 3.0F, 24.0F}, {4})));
  EXPECT_TRUE(same_bits(scatter("mul"), Tensor::from({1.0F, 600.0F, 3.0F, 80.0F}, {4})));
  EXPECT_TRUE(same_bits(scatter("max"), Tensor::from({1.0F, 30.0F, 3.0F, 20.0F}, {4})));
  EXPECT_TRUE(same_bits(scatter("min"), data));
}

TEST(Scatter, NdRows) {
  const Tensor out =
      run_op("ScatterND", {numbered(Dtype::i64, {3, 2}), Tensor::from<int64_t>({2, -3}, {2, 1}),
                           Tensor::from<int64_t>({7, 8, 9, 10}, {2, 2})})[0];
  EXPECT_TRUE(same_bits(out, Tensor::from<int64_t>({9, 10, 2, 3, 7, 8}, {3, 2})));
}

TEST(Select, TriluNonZeroOneHotCompress) {
  const Tensor square = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_TRUE(same_bits(run_op("Trilu", {square})[0], Tensor::from({1, 2, 3, 0, 5, 6}, {2, 3})));
  EXPECT_TRUE(
      same_bits(run_op("Trilu", {square, Tensor::scalar(int64_t{-1})}, {{"upper", int64_t{0}}})[0],
                Tensor::from({0, 0, 0, 4, 0, 0}, {2, 3})));
  const Tensor sparse = Tensor::from({0.0F, 2.0F, 3.0F, 0.0F}, {2, 2});
  EXPECT_TRUE(
      same_bits(run_op("NonZero", {sparse})[0], Tensor::from<int64_t>({0, 1, 1, 0}, {2, 2})));
  const Tensor hot = moved(
      "OneHot", {ints({1, -1, 5}), Tensor::scalar(int64_t{3}), Tensor::from({0.0F, 1.0F}, {2})});
  EXPECT_TRUE(
      same_bits(hot, Tensor::from({0.0F, 1.0F, 0.0F, 0.0F, 0.0F, 1.0F, 0.0F, 0.0F, 0.0F}, {3, 3})));
  const Tensor kept =
      run_op("Compress", {square, Tensor::from({false, true}, {2})}, {{"axis", int64_t{0}}})[0];
  EXPECT_TRUE(same_bits(kept, Tensor::from({4, 5, 6}, {1, 3})));
}

TEST(Views, KeepTheElements) {
  const Tensor in = numbered(Dtype::f32, {2, 3, 4});
  EXPECT_TRUE(same_bits(moved("Reshape", {in, ints({0, -1})}), in.reshape({2, 12})));
  EXPECT_TRUE(same_bits(moved("Flatten", {in}, {{"axis", int64_t{2}}}), in.reshape({6, 4})));
  EXPECT_TRUE(same_bits(moved("Unsqueeze", {in, ints({0, -1})}), in.reshape({1, 2, 3, 4, 1})));
  EXPECT_TRUE(same_bits(moved("Squeeze", {in.reshape({1, 2, 12, 1})}), in.reshape({2, 12})));
  EXPECT_THROW(moved("Reshape", {in, ints({5, -1})}), Error);
}

TEST(Generators, RangeFillEye) {
  RunOptions constants{.constants = true};
  const auto range = [&](Tensor start, Tensor limit, Tensor delta) {
    return run_op_with(constants, "Range", {start, limit, delta}).outputs[0];
  };
  EXPECT_TRUE(same_bits(
      range(Tensor::scalar(int64_t{10}), Tensor::scalar(int64_t{4}), Tensor::scalar(int64_t{-2})),
      ints({10, 8, 6})));
  EXPECT_TRUE(same_bits(range(Tensor::scalar(1.0F), Tensor::scalar(2.0F), Tensor::scalar(0.25F)),
                        Tensor::from({1.0F, 1.25F, 1.5F, 1.75F}, {4})));
  const auto fill = run_op_with(constants, "ConstantOfShape", {ints({2, 3})},
                                {{"value", Tensor::from<int64_t>({7}, {1})}});
  EXPECT_TRUE(same_bits(fill.outputs[0], Tensor::from<int64_t>({7, 7, 7, 7, 7, 7}, {2, 3})));
  EXPECT_TRUE(same_bits(run_op("EyeLike", {numbered(Dtype::i64, {2, 3})}, {{"k", int64_t{1}}})[0],
                        Tensor::from<int64_t>({0, 1, 0, 0, 0, 1}, {2, 3})));
  EXPECT_TRUE(same_bits(run_op("Constant", {}, {{"value_ints", Index{1, 2}}})[0], ints({1, 2})));
  EXPECT_TRUE(
      same_bits(run_op("Shape", {numbered(Dtype::f32, {2, 3, 4})}, {{"start", int64_t{-2}}})[0],
                ints({3, 4})));
}

}  // namespace
}  // namespace tercel::ops

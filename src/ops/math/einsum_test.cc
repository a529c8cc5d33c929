#include <map>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

OpRun einsum(const std::string& equation, const std::vector<Tensor>& inputs) {
  return run_op_with({}, "Einsum", inputs, {{"equation", equation}});
}

// Sums over all values of all letters; no ellipsis.
std::vector<double> plain(const std::vector<std::string>& terms, const std::string& out,
                          const std::vector<Tensor>& inputs) {
  std::map<char, int64_t> sizes;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    for (std::size_t d = 0; d < terms[i].size(); ++d) sizes[terms[i][d]] = inputs[i].shape()[d];
  }
  int64_t all = 1;
  for (const auto& [letter, size] : sizes) all *= size;
  const auto place = [&](const std::string& term, const std::map<char, int64_t>& at) {
    int64_t index = 0;
    for (const char letter : term) index = index * sizes[letter] + at.at(letter);
    return static_cast<std::size_t>(index);
  };
  int64_t count = 1;
  for (const char letter : out) count *= sizes[letter];
  std::vector<double> result(static_cast<std::size_t>(count), 0);
  std::vector<std::vector<double>> values;
  for (const Tensor& input : inputs) values.push_back(to_doubles(input));
  for (int64_t i = 0; i < all; ++i) {
    std::map<char, int64_t> at;
    int64_t rest = i;
    for (const auto& [letter, size] : sizes) {
      at[letter] = rest % size;
      rest /= size;
    }
    double product = 1;
    for (std::size_t j = 0; j < terms.size(); ++j) product *= values[j][place(terms[j], at)];
    result[place(out, at)] += product;
  }
  return result;
}

TEST(Einsum, AgreesWithThePlainSum) {
  const std::map<char, int64_t> sizes{{'b', 3}, {'h', 2}, {'i', 5}, {'j', 17}, {'d', 7}, {'k', 4}};
  const auto tensor = [&](const std::string& term, Dtype dtype, uint32_t seed) {
    Shape shape;
    for (const char letter : term) shape.push_back(sizes.at(letter));
    return random_tensor(dtype, shape, seed);
  };
  struct Case {
    std::vector<std::string> terms;
    std::string out;
    bool product;
  };
  const Case cases[] = {{{"bhid", "bhjd"}, "bhij", true},
                        {{"bhij", "bhjd"}, "bihd", true},
                        {{"ij", "jk"}, "ki", true},
                        {{"bi", "bj"}, "bij", true},
                        {{"i", "i"}, "", true},
                        {{"ij"}, "ji", false},
                        {{"ij"}, "", false},
                        {{"ij", "jk", "k"}, "i", false},
                        {{"ii"}, "i", false},
                        {{"ij", "k"}, "k", false}};
  for (const Case& c : cases) {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::i64}) {
      std::vector<Tensor> inputs;
      std::string equation;
      for (const std::string& term : c.terms) {
        inputs.push_back(tensor(term, dtype, static_cast<uint32_t>(inputs.size())));
        equation += (equation.empty() ? "" : " , ") + term;
      }
      const OpRun run = einsum(equation + " -> " + c.out, inputs);
      EXPECT_LE(distance(run.outputs[0], plain(c.terms, c.out, inputs)), 1e-5) << equation;
      EXPECT_EQ(run.implementation == "einsum_gemm", c.product && dtype == Dtype::f32) << equation;
    }
  }
}

TEST(Einsum, ImplicitOutputsAndEllipses) {
  const Tensor a = random_tensor(Dtype::f32, {2, 3, 4, 5}, 1);
  const Tensor b = random_tensor(Dtype::f32, {3, 5, 6}, 2);
  EXPECT_TRUE(same_bits(einsum("...ij,...jk", {a, b}).outputs[0], run_op("MatMul", {a, b})[0]));
  const Tensor one = random_tensor(Dtype::f32, {1, 5, 6}, 2);
  EXPECT_EQ(einsum("...ij,...jk->...ik", {a, one}).outputs[0].shape(), (Shape{2, 3, 4, 6}));
  EXPECT_EQ(einsum("ba", {random_tensor(Dtype::f32, {2, 3}, 1)}).outputs[0].shape(), (Shape{3, 2}));
}

TEST(Einsum, EmptyOnesAndRefusals) {
  const Tensor a(Dtype::f32, {3, 0});
  const Tensor b(Dtype::f32, {0, 2});
  EXPECT_EQ(to_doubles(einsum("ij,jk->ik", {a, b}).outputs[0]), std::vector<double>(6, 0));
  const Tensor x = random_tensor(Dtype::f32, {2, 3}, 1);
  for (const char* equation :
       {"ij->ijk", "ijk->i", "i->i", "ij,jk->ik", "ij->ii", "i1->i", "i..j->i"})
    EXPECT_THROW(einsum(equation, {x}), Error) << equation;
  EXPECT_THROW(einsum("ij,ij->ij", {x, random_tensor(Dtype::f32, {2, 4}, 1)}), Error);
}

TEST(Det, Literals) {
  EXPECT_NEAR(to_doubles(run_op("Det", {Tensor::from({0.0F, 2.0F, 3.0F, 4.0F}, {2, 2})})[0])[0], -6,
              1e-6);
  EXPECT_EQ(run_op("Det", {Tensor(Dtype::f32, {0, 3, 3})})[0].shape(), (Shape{0}));
  EXPECT_EQ(to_doubles(run_op("Det", {Tensor(Dtype::f32, {0, 0})})[0]), std::vector<double>{1});
  EXPECT_THROW(run_op("Det", {Tensor(Dtype::f32, {2, 3})}), Error);
}

TEST(Cumulative, Products) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F}, {3});
  const Tensor axis = Tensor::scalar(int64_t{0});
  EXPECT_EQ(to_doubles(run_op("CumProd", {x, axis})[0]), (std::vector<double>{1, 2, 6}));
  EXPECT_EQ(to_doubles(run_op("CumProd", {x, axis}, {{"exclusive", int64_t{1}}})[0]),
            (std::vector<double>{1, 1, 2}));
  EXPECT_EQ(to_doubles(run_op("CumProd", {x, axis}, {{"reverse", int64_t{1}}})[0]),
            (std::vector<double>{6, 6, 3}));
}

}  // namespace
}  // namespace tercel::ops

#include <cmath>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Strings = std::vector<std::string>;
using Doubles = std::vector<double>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// What one direction of a network is given; all arrays as the operators lay them out.
struct Net {
  std::string op;
  int64_t steps, batch, input, hidden;
  Tensor x, w, r, b, h, c, p;

  Net(std::string name, int64_t gates, int64_t t, int64_t n, int64_t i, int64_t k, uint32_t seed)
      : op(std::move(name)), steps(t), batch(n), input(i), hidden(k) {
    x = random_tensor(Dtype::f32, {t, n, i}, seed);
    w = random_tensor(Dtype::f32, {1, gates * k, i}, seed + 1);
    r = random_tensor(Dtype::f32, {1, gates * k, k}, seed + 2);
    b = random_tensor(Dtype::f32, {1, 2 * gates * k}, seed + 3);
    h = random_tensor(Dtype::f32, {1, n, k}, seed + 4);
    c = random_tensor(Dtype::f32, {1, n, k}, seed + 5);
    p = random_tensor(Dtype::f32, {1, 3 * k}, seed + 6);
  }
  // Gate row j of sequence n at step t: x W + h R + both biases, or the parts of it.
  double projected(int64_t t, int64_t n, int64_t j) const {
    double sum = at(b, j);
    for (int64_t i = 0; i < input; ++i)
      sum += at(x, (t * batch + n) * input + i) * at(w, j * input + i);
    return sum;
  }
  double recurrent(const Doubles& state, int64_t n, int64_t j) const {
    double sum = at(b, b.size() / 2 + j);
    for (int64_t i = 0; i < hidden; ++i)
      sum += state[static_cast<std::size_t>(n * hidden + i)] * at(r, j * hidden + i);
    return sum;
  }
  static double at(const Tensor& tensor, int64_t index) {
    return static_cast<double>(tensor.values<float>()[static_cast<std::size_t>(index)]);
  }
};

// All outputs Y of one direction, in the order of the steps taken.
Doubles plain(const Net& net, bool linear_before_reset = false) {
  Doubles h = to_doubles(net.h);
  Doubles c = to_doubles(net.c);
  Doubles all;
  const int64_t k = net.hidden;
  for (int64_t t = 0; t < net.steps; ++t) {
    Doubles next = h;
    for (int64_t n = 0; n < net.batch; ++n) {
      const auto gate = [&](const Doubles& state, int64_t g, int64_t i) {
        return net.projected(t, n, g * k + i) + net.recurrent(state, n, g * k + i);
      };
      Doubles reset = h;
      for (int64_t i = 0; net.op == "GRU" && i < k; ++i)
        reset[static_cast<std::size_t>(n * k + i)] *= sigmoid(gate(h, 1, i));
      for (int64_t i = 0; i < k; ++i) {
        const auto at = static_cast<std::size_t>(n * k + i);
        if (net.op == "RNN") {
          next[at] = std::tanh(gate(h, 0, i));
        } else if (net.op == "GRU") {
          const double z = sigmoid(gate(h, 0, i));
          const double r = sigmoid(gate(h, 1, i));
          const double fresh =
              std::tanh(linear_before_reset
                            ? net.projected(t, n, 2 * k + i) + r * net.recurrent(h, n, 2 * k + i)
                            : gate(reset, 2, i));
          next[at] = (1 - z) * fresh + z * h[at];
        } else {
          const double in = sigmoid(gate(h, 0, i) + Net::at(net.p, i) * c[at]);
          const double forget = sigmoid(gate(h, 2, i) + Net::at(net.p, 2 * k + i) * c[at]);
          c[at] = forget * c[at] + in * std::tanh(gate(h, 3, i));
          next[at] = sigmoid(gate(h, 1, i) + Net::at(net.p, k + i) * c[at]) * std::tanh(c[at]);
        }
      }
    }
    h = next;
    all.insert(all.end(), h.begin(), h.end());
  }
  return all;
}

std::vector<Tensor> inputs_of(const Net& net) {
  std::vector<Tensor> inputs{net.x, net.w, net.r, net.b, Tensor(), net.h};
  if (net.op == "LSTM") inputs.insert(inputs.end(), {net.c, net.p});
  return inputs;
}

TEST(Recurrent, AgreesWithThePlainLoop) {
  uint32_t seed = 1;
  for (const auto& [op, gates] :
       {std::pair<std::string, int64_t>{"RNN", 1}, {"GRU", 3}, {"LSTM", 4}}) {
    for (const int64_t size : {1, 3, 17}) {
      const Net net(op, gates, size == 3 ? 1 : 6, 4, size, 20 - size, seed += 10);
      for (const bool constants : {false, true}) {
        RunOptions options;
        if (constants) options.constant = {1, 2};
        const auto got = run_op_with(options, op, inputs_of(net), {}, 2).outputs;
        const Doubles expected = plain(net);
        EXPECT_LE(distance(got[0], expected), 1e-5) << op << " " << size;
        EXPECT_LE(distance(got[1], Doubles(expected.end() - got[1].size(), expected.end())), 1e-5);
      }
    }
  }
  const Net gru("GRU", 3, 5, 2, 4, 7, 99);
  const auto got = run_op("GRU", inputs_of(gru), {{"linear_before_reset", int64_t{1}}}, 1)[0];
  EXPECT_LE(distance(got, plain(gru, true)), 1e-5);
}

Tensor stacked(const Tensor& a, const Tensor& b) {
  Shape shape = a.shape();
  shape[0] = 2;
  auto values = to_doubles(a);
  const auto more = to_doubles(b);
  values.insert(values.end(), more.begin(), more.end());
  return from_doubles(values, Dtype::f32, shape);
}

TEST(Recurrent, BothDirectionsAreTwoNetworks) {
  const Net one("LSTM", 4, 5, 3, 4, 6, 1);
  Net two("LSTM", 4, 5, 3, 4, 6, 50);
  two.x = one.x;
  const std::string both = "bidirectional";
  const std::vector<Tensor> inputs{one.x, stacked(one.w, two.w), stacked(one.r, two.r),
                                   stacked(one.b, two.b)};
  const auto got = run_op("LSTM", inputs, {{"direction", both}}, 3);
  const auto forward = run_op("LSTM", {one.x, one.w, one.r, one.b}, {}, 3);
  const auto backward =
      run_op("LSTM", {one.x, two.w, two.r, two.b}, {{"direction", std::string("reverse")}}, 3);
  ASSERT_EQ(got[0].shape(), (Shape{5, 2, 3, 6}));
  for (int64_t t = 0; t < 5; ++t) {
    const Tensor step = got[0].slice(t, t + 1).reshape({2, 3, 6});
    EXPECT_TRUE(same_bits(step.slice(0, 1), forward[0].slice(t, t + 1).reshape({1, 3, 6})));
    EXPECT_TRUE(same_bits(step.slice(1, 2), backward[0].slice(t, t + 1).reshape({1, 3, 6})));
  }
  EXPECT_TRUE(same_bits(got[2].slice(1, 2), backward[2]));
}

TEST(Recurrent, LengthsAreThoseOfTheSequencesAlone) {
  const Net net("GRU", 3, 6, 3, 4, 5, 7);
  const Tensor lengths = Tensor::from<int32_t>({6, 0, 3}, {3});
  for (const std::string direction : {"forward", "reverse"}) {
    const auto got =
        run_op("GRU", {net.x, net.w, net.r, net.b, lengths}, {{"direction", direction}}, 2);
    // Sequence 2 as a batch of its own, cut to its length.
    std::vector<double> own;
    const auto values = to_doubles(net.x);
    for (int64_t t = 0; t < 3; ++t)
      own.insert(own.end(), values.begin() + (t * 3 + 2) * 4, values.begin() + (t * 3 + 3) * 4);
    const auto alone =
        run_op("GRU", {from_doubles(own, Dtype::f32, {3, 1, 4}), net.w, net.r, net.b},
               {{"direction", direction}}, 2);
    const auto y = got[0].values<float>();
    for (int64_t t = 0; t < 6; ++t) {
      for (int64_t i = 0; i < 5; ++i) {
        const auto at = static_cast<std::size_t>((t * 3 + 2) * 5 + i);
        const auto from = static_cast<std::size_t>(t * 5 + i);
        EXPECT_EQ(y[at], t < 3 ? alone[0].values<float>()[from] : 0) << direction;
        EXPECT_EQ(y[static_cast<std::size_t>((t * 3 + 1) * 5 + i)], 0);
      }
    }
    EXPECT_TRUE(same_bits(got[1].reshape({3, 5}).slice(2, 3), alone[1].reshape({1, 5})));
  }
  EXPECT_THROW(run_op("GRU", {net.x, net.w, net.r, net.b, Tensor::from<int32_t>({7, 1, 1}, {3})}),
               Error);
}

TEST(Recurrent, BatchFirstIsTheSameTransposed) {
  const Net net("LSTM", 4, 4, 3, 5, 2, 3);
  const auto swap = [](const Tensor& tensor) {
    return run_op("Transpose", {tensor}, {{"perm", std::vector<int64_t>{1, 0, 2}}})[0];
  };
  const auto by_step = run_op("LSTM", {net.x, net.w, net.r, net.b}, {}, 3);
  const auto by_batch =
      run_op("LSTM", {swap(net.x), net.w, net.r, net.b}, {{"layout", int64_t{1}}}, 3);
  ASSERT_EQ(by_batch[0].shape(), (Shape{3, 4, 1, 2}));
  EXPECT_TRUE(same_bits(swap(by_batch[0].reshape({3, 4, 2})), by_step[0].reshape({4, 3, 2})));
  EXPECT_TRUE(same_bits(by_batch[2].reshape({3, 2}), by_step[2].reshape({3, 2})));
}

TEST(Recurrent, ActivationsAndClip) {
  const Net net("RNN", 1, 1, 1, 1, 1, 1);
  const auto run = [&](const std::string& name, std::vector<float> alpha, float clip) {
    const Tensor one = Tensor::from({3.0F}, {1, 1, 1});
    return to_doubles(run_op("RNN", {one, Tensor::from({-1.0F}, {1, 1, 1}), one},
                             {{"activations", Strings{name}},
                              {"activation_alpha", std::move(alpha)},
                              {"clip", clip}})[0])[0];
  };
  EXPECT_NEAR(run("LeakyRelu", {0.5F}, 100), -1.5, 1e-6);
  EXPECT_NEAR(run("LeakyRelu", {}, 2), -0.02, 1e-6);
  EXPECT_NEAR(run("Affine", {2.0F}, 100), -6, 1e-6);
  EXPECT_NEAR(run("Softsign", {}, 100), -0.75, 1e-6);
  EXPECT_THROW(run("Sine", {}, 1), Error);
}

TEST(Recurrent, EmptyOnesAndRefusals) {
  const Net net("LSTM", 4, 3, 2, 4, 5, 3);
  EXPECT_EQ(run_op("LSTM", {Tensor(Dtype::f32, {0, 2, 4}), net.w, net.r})[0].shape(),
            (Shape{0, 1, 2, 5}));
  EXPECT_EQ(run_op("LSTM", {Tensor(Dtype::f32, {3, 0, 4}), net.w, net.r})[0].shape(),
            (Shape{3, 1, 0, 5}));
  EXPECT_THROW(run_op("LSTM", {net.x, net.r, net.w}), Error);
  EXPECT_THROW(run_op("GRU", {net.x, net.w, net.r}), Error);
  EXPECT_THROW(run_op("LSTM", {net.x, net.w, net.r}, {{"direction", std::string("up")}}), Error);
  EXPECT_THROW(run_op("LSTM", {net.x, net.w, net.r}, {{"hidden_size", int64_t{4}}}), Error);
  EXPECT_THROW(run_op("LSTM", {net.x, net.w, net.r, net.p}), Error);
}

}  // namespace
}  // namespace tercel::ops

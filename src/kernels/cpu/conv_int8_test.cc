#include "src/kernels/cpu/conv_int8.h"

#include "src/kernels/cpu/conv_test_support.h"
#include "src/kernels/cpu/int8_test_support.h"

namespace tercel::kernels {
namespace {

// The weight is of integers, without its zero point in p.w; scales are by output channel.
struct Int8ConvProblem {
  PackedConvProblem p;
  std::vector<float> scales;
  std::vector<int32_t> w_zeros;
};

class ConvInt8 : public testing::TestWithParam<CpuIsa> {
 protected:
  // One to three spatial axes; channels and sizes are odd as often as not. Every other one has 3 x
  // 3 windows with strides of 1 and enough channels for Winograd's method.
  Int8ConvProblem problem(int64_t most_channels, int64_t most_size) {
    Int8ConvProblem made;
    PackedConvArgs& a = made.p.args;
    a.batch = pick(random_, 1, 3);
    a.in_channels = pick(random_, 1, most_channels);
    a.out_channels = pick(random_, 1, most_channels);
    const bool winograd = ++made_ % 2 == 0;
    if (winograd) a.in_channels = pick(random_, 16, 16 + most_channels);
    const int64_t rank = winograd ? 2 : pick(random_, 1, 3);
    for (int64_t d = 3 - rank; d < 3; ++d) {
      ConvAxis& axis = a.axes[d];
      axis.taps = winograd ? 3 : pick(random_, 1, 3);
      axis.stride = winograd ? 1 : pick(random_, 1, 3);
      axis.dilation = winograd ? 1 : pick(random_, 1, 2);
      axis.pad = pick(random_, 0, 2);
      set_axis(axis, (axis.taps - 1) * axis.dilation + 1 + pick(random_, 0, most_size / rank));
    }
    fill(made.p, random_);
    const auto bytes = random_bytes<int8_t>(random_, static_cast<int64_t>(made.p.w.size()));
    std::copy(bytes.begin(), bytes.end(), made.p.w.begin());
    made.scales = random_floats(random_, a.out_channels, 0.01F, 0.02F);
    return made;
  }

  // Depthwise, images smaller than the window too.
  Int8ConvProblem depthwise(int64_t channels, int64_t most_size) {
    Int8ConvProblem made;
    PackedConvArgs& a = made.p.args;
    a.batch = pick(random_, 1, 2);
    a.groups = channels;
    a.in_channels = a.out_channels = 1;
    const int64_t rank = pick(random_, 1, 3);
    for (int64_t d = 3 - rank; d < 3; ++d) {
      ConvAxis& axis = a.axes[d];
      axis.taps = pick(random_, 1, 5);
      axis.stride = pick(random_, 1, 3);
      axis.dilation = pick(random_, 0, 2) == 0 ? pick(random_, 2, 6) : 1;
      axis.pad = pick(random_, 0, 3);
      const int64_t least = (axis.taps - 1) * axis.dilation + 1 - 2 * axis.pad;
      set_axis(axis, std::max<int64_t>(least, 1) + pick(random_, 0, most_size / rank));
    }
    fill(made.p, random_);
    return made;
  }

  static int64_t channels_of(const PackedConvArgs& a) { return a.groups * a.out_channels; }

  // B[(tap, channel), output channel] of bytes: the weight plus its zero points.
  template <class W>
  std::unique_ptr<Memory> pack(const Int8ConvProblem& made, const float* scales) {
    const PackedConvArgs& a = made.p.args;
    const int64_t taps = made.p.size(&ConvAxis::taps), k = a.in_channels * taps;
    const int64_t n = channels_of(a);
    std::vector<W> b;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t m = 0; m < n; ++m) {
        const int64_t at = (m * a.in_channels + i % a.in_channels) * taps + i / a.in_channels;
        const int32_t zero = made.w_zeros.empty() ? 0 : made.w_zeros[static_cast<std::size_t>(m)];
        b.push_back(
            static_cast<W>(made.p.w[static_cast<std::size_t>(at)] + static_cast<float>(zero)));
      }
    }
    auto packed = std::make_unique<Memory>(kernels_.packed_bytes(a));
    kernels_.pack(a,
                  {.k = k,
                   .n = n,
                   .b = b.data(),
                   .is_signed = std::is_signed_v<W>,
                   .k_stride = n,
                   .scale = scales,
                   .zero = made.w_zeros.empty() ? nullptr : made.w_zeros.data(),
                   .out = packed->get()},
                  three_);
    return packed;
  }

  void run(Int8ConvArgs args, ThreadPool& pool) {
    const Memory workspace(kernels_.workspace(args.conv, args.x_bytes != nullptr, pool.size()));
    args.workspace = workspace.get();
    kernels_.conv(args, pool);
  }

  std::vector<float> run(const Int8ConvProblem& made, PackedConvArgs args, const Memory& packed,
                         ThreadPool& pool) {
    std::vector<float> y(
        static_cast<std::size_t>(made.p.outputs() / made.p.args.batch * args.batch), kNan);
    args.y = y.data();
    run({.conv = args, .packed = packed.get()}, pool);
    return y;
  }

  // Images that are numbers again, and a weight with its scales: what the product stands for.
  static PackedConvProblem dequantized(const Int8ConvProblem& made) {
    PackedConvProblem p = made.p;
    const auto image = static_cast<std::size_t>(p.args.batch) == 0
                           ? 0
                           : p.x.size() / static_cast<std::size_t>(p.args.batch);
    for (std::size_t i = 0; i < p.x.size(); i += image) {
      const QuantizedRow row(p.x.data() + i, static_cast<int64_t>(image));
      for (std::size_t j = 0; j < image; ++j)
        p.x[i + j] = static_cast<float>(row.values[j]) * row.scale;
    }
    const std::size_t k = p.w.size() / made.scales.size();
    for (std::size_t i = 0; i < p.w.size(); ++i) p.w[i] *= made.scales[i / k];
    return p;
  }

  // Images and a weight of bytes, extreme ones too.
  template <class X, class W>
  std::vector<X> fill_bytes(Int8ConvProblem& made, int32_t zero) {
    PackedConvArgs& a = made.p.args;
    a.bias = a.residual = nullptr;
    a.activation = a.last = Activation::none;
    auto w = random_bytes<W>(random_, static_cast<int64_t>(made.p.w.size()));
    const bool extreme = pick(random_, 0, 3) == 0;
    if (extreme) std::fill(w.begin(), w.end(), std::numeric_limits<W>::min());
    const std::size_t k = w.size() / static_cast<std::size_t>(channels_of(a));
    for (int64_t m = 0; m < channels_of(a); ++m)
      made.w_zeros.push_back(static_cast<int32_t>(m % 5) + std::numeric_limits<W>::min());
    for (std::size_t i = 0; i < w.size(); ++i)
      made.p.w[i] = static_cast<float>(w[i] - made.w_zeros[i / k]);
    auto bytes = random_bytes<X>(random_, static_cast<int64_t>(made.p.x.size()));
    if (extreme) std::fill(bytes.begin(), bytes.end(), std::numeric_limits<X>::min());
    for (std::size_t i = 0; i < bytes.size(); ++i)
      made.p.x[i] = static_cast<float>(bytes[i] - zero);
    return bytes;
  }

  template <class X, class W>
  void check_sums(Int8ConvProblem made) {
    const PackedConvArgs& a = made.p.args;
    const int32_t zero = std::numeric_limits<X>::max() - 3;
    const auto bytes = fill_bytes<X, W>(made, zero);
    const auto packed = pack<W>(made, nullptr);
    std::vector<int32_t> sums(static_cast<std::size_t>(made.p.outputs()), -1);
    run({.conv = a,
         .x_bytes = bytes.data(),
         .x_type = {std::is_signed_v<X>, zero},
         .packed = packed->get(),
         .sums = sums.data()},
        three_);
    const std::vector<double> want = expected(made.p);
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_EQ(sums[i], static_cast<int32_t>(want[i])) << i;
  }

  // Bytes, of which half have a residual, from exact sums by quantize.h.
  template <class X, class Y, class R>
  void check_bytes(Int8ConvProblem made) {
    const PackedConvArgs& a = made.p.args;
    const ByteType x_type{std::is_signed_v<X>, std::numeric_limits<X>::max() - 90};
    const auto x = fill_bytes<X, int8_t>(made, x_type.zero);
    const auto packed = pack<int8_t>(made, nullptr);
    const auto count = static_cast<std::size_t>(made.p.outputs());
    const auto scales = random_floats(random_, channels_of(a), 1e-4F, 2e-3F);
    std::vector<int32_t> bias;
    for (int64_t i = 0; i < channels_of(a); ++i)
      bias.push_back(static_cast<int32_t>(random_() % 20000) - 10000);
    const auto residual = random_bytes<R>(random_, made.p.outputs());
    Int8ConvBytes out{.type = {std::is_signed_v<Y>, 3},
                      .relu = pick(random_, 0, 1) == 1,
                      .bias = pick(random_, 0, 1) == 1 ? bias.data() : nullptr,
                      .scales = scales.data()};
    if (pick(random_, 0, 1) == 1) {
      out.residual = {residual.data(), {std::is_signed_v<R>, -5}, 0.7F};
      out.own_scale = 0.4F;
      out.sum_type = {std::is_signed_v<Y>, 11};
      out.sum_relu = pick(random_, 0, 1) == 1;
    }
    std::vector<Y> y(count), want(count), alone(count);
    const auto run_on = [&](ThreadPool& pool, std::vector<Y>& into) {
      out.y = into.data();
      run({.conv = a, .x_bytes = x.data(), .x_type = x_type, .packed = packed->get(), .bytes = out},
          pool);
    };
    run_on(three_, y);
    run_on(one_, alone);
    const QuantizeKernels& quantize = cpu_kernels(CpuIsa::generic).quantize;
    std::vector<int32_t> sums;
    for (const double sum : expected(made.p)) sums.push_back(static_cast<int32_t>(sum));
    quantize.requantize({.rows = made.p.outputs() / channels_of(a),
                         .columns = channels_of(a),
                         .sums = sums.data(),
                         .bias = out.bias,
                         .scales = scales.data(),
                         .bytes = want.data(),
                         .type = out.type},
                        one_);
    const auto cut = [&](const ByteType& type) {
      for (Y& byte : want) byte = static_cast<Y>(std::max<int32_t>(byte, type.zero));
    };
    if (out.relu) cut(out.type);
    if (out.residual.bytes != nullptr) {
      const ByteAddend own{want.data(), out.type, out.own_scale};
      quantize.add({.count = made.p.outputs(),
                    .a = own,
                    .b = out.residual,
                    .y = want.data(),
                    .type = out.sum_type},
                   one_);
      if (out.sum_relu) cut(out.sum_type);
    }
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(y[i], want[i]) << i;
      ASSERT_EQ(alone[i], want[i]) << i;
    }
  }

  const ConvInt8Kernels& kernels_ = conv_int8_kernels(GetParam());
  std::mt19937 random_{20260214};
  int made_ = 0;
  ThreadPool one_{1};
  ThreadPool three_{3};
};

TEST_P(ConvInt8, SumsAreExact) {
  for (int i = 0; i < 8; ++i) {
    check_sums<uint8_t, int8_t>(problem(40, 12));
    check_sums<int8_t, int8_t>(problem(40, 12));
    check_sums<uint8_t, uint8_t>(problem(40, 12));
    check_sums<int8_t, uint8_t>(problem(40, 12));
  }
}

TEST_P(ConvInt8, BytesAreThoseOfSums) {
  for (int i = 0; i < 16; ++i) {
    check_bytes<uint8_t, uint8_t, uint8_t>(problem(40, 12));
    check_bytes<int8_t, int8_t, int8_t>(problem(40, 12));
    check_bytes<uint8_t, int8_t, uint8_t>(problem(40, 12));
  }
}

TEST_P(ConvInt8, DepthwiseSumsAreExact) {
  for (int64_t channels = 2; channels < 68; ++channels) {
    check_sums<uint8_t, int8_t>(depthwise(channels, 20));
    check_sums<int8_t, int8_t>(depthwise(channels, 20));
    check_sums<uint8_t, uint8_t>(depthwise(channels, 20));
    check_sums<int8_t, uint8_t>(depthwise(channels, 20));
  }
  // Several blocks of channels, several segments of a line.
  for (int i = 0; i < 4; ++i) check_sums<uint8_t, int8_t>(depthwise(301, 160));
}

TEST_P(ConvInt8, DepthwiseBytesAreThoseOfSums) {
  for (int64_t channels = 2; channels < 68; ++channels) {
    check_bytes<uint8_t, uint8_t, uint8_t>(depthwise(channels, 20));
    check_bytes<int8_t, int8_t, int8_t>(depthwise(channels, 20));
    check_bytes<uint8_t, int8_t, uint8_t>(depthwise(channels, 20));
  }
}

TEST_P(ConvInt8, QuantisesImagesAsTheTextSays) {
  const auto check = [&](const Int8ConvProblem& made, int i) {
    const auto packed = pack<int8_t>(made, made.scales.data());
    const auto got = run(made, made.p.args, *packed, three_);
    EXPECT_LT(error_of(got, expected(dequantized(made))), 1e-5) << "case " << i;
  };
  for (int i = 0; i < 24; ++i) check(problem(40, 12), i);
  // Several groups of panels, several chunks of an image.
  for (int i = 0; i < 3; ++i) check(problem(250, 24), 100 + i);
}

TEST_P(ConvInt8, ThreadsAndTheBatchChangeNoBit) {
  for (int i = 0; i < 12; ++i) {
    const Int8ConvProblem made = problem(90, 24);
    const auto packed = pack<int8_t>(made, made.scales.data());
    const auto all = run(made, made.p.args, *packed, three_);
    const auto again = run(made, made.p.args, *packed, one_);
    EXPECT_TRUE(same_bits(all.data(), again.data(), made.p.outputs())) << "case " << i;
    const auto alone = run(made, last_item(made.p), *packed, three_);
    const int64_t item = made.p.outputs() / made.p.args.batch;
    EXPECT_TRUE(same_bits(alone.data(), all.data() + made.p.outputs() - item, item))
        << "case " << i;
  }
}

TEST_P(ConvInt8, AnImageThatIsNotFiniteGivesNan) {
  Int8ConvProblem made = problem(20, 8);
  made.p.args.batch = 2;
  fill(made.p, random_);
  made.p.args.residual = nullptr;
  made.p.args.activation = made.p.args.last = Activation::none;
  const auto packed = pack<int8_t>(made, made.scales.data());
  const int64_t item = made.p.outputs() / 2;
  const auto before = run(made, made.p.args, *packed, three_);
  for (const float value : {kInfinity, -kInfinity, kNan}) {
    made.p.x.back() = value;
    const auto y = run(made, made.p.args, *packed, three_);
    EXPECT_TRUE(same_bits(y.data(), before.data(), item));
    for (int64_t i = item; i < 2 * item; ++i)
      ASSERT_TRUE(std::isnan(y[static_cast<std::size_t>(i)])) << value;
  }
}

TEST_P(ConvInt8, TakesEmptyBatches) {
  Int8ConvProblem made = problem(20, 8);
  made.p.args.batch = 0;
  made.p.args.residual = nullptr;
  const auto packed = pack<int8_t>(made, made.scales.data());
  run({.conv = made.p.args, .packed = packed->get()}, three_);
  made = depthwise(67, 8);
  made.p.args.batch = 0;
  const auto taps = pack<int8_t>(made, nullptr);
  run({.conv = made.p.args, .x_bytes = made.p.x.data(), .packed = taps->get()}, three_);
}

TEST_P(ConvInt8, TurnsImages) {
  for (const int64_t rows : {1, 7, 16, 35, 130}) {
    for (const int64_t columns : {1, 15, 16, 33, 64, 147}) {
      const auto x = random_bytes<uint8_t>(random_, 2 * rows * columns);
      std::vector<uint8_t> y(x.size());
      kernels_.transpose(x.data(), 2, rows, columns, y.data(), three_);
      for (int64_t i = 0; i < std::ssize(x); ++i) {
        const int64_t image = i / (rows * columns), row = i / columns % rows, column = i % columns;
        const int64_t at = (image * columns + column) * rows + row;
        ASSERT_EQ(y[static_cast<std::size_t>(at)], x[static_cast<std::size_t>(i)])
            << rows << " x " << columns;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, ConvInt8, testing::ValuesIn(cpu_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels

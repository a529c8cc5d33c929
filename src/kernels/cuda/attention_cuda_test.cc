#include <algorithm>
#include <functional>

#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

// Q, K and V as slices of one [rows, (q_heads + 2 kv_heads) size] array; each sequence by itself.
struct Problem {
  std::vector<int64_t> lengths;
  int64_t heads = 2, kv_heads = 2, size = 64;
  bool ragged = true, bias = false, keys = false, lengths_given = false;
  bool few_hidden = false;  // with keys: one in each sequence
  int64_t left = -1, right = -1, offset = 0;
  float softcap = 0;
};

class AttentionCuda : public FloatCudaTest {
 protected:
  void check(const Problem& p) {
    const Dtype type = GetParam();
    const auto batch = static_cast<int64_t>(p.lengths.size());
    const int64_t longest =
        p.lengths.empty() ? 0 : *std::max_element(p.lengths.begin(), p.lengths.end());
    std::vector<int64_t> offsets{0};
    for (const int64_t length : p.lengths)
      offsets.push_back(offsets.back() + (p.ragged ? length : longest));
    const int64_t rows = offsets.back(), width = (p.heads + 2 * p.kv_heads) * p.size;
    const Floats x(type, random(rows * width));
    const Floats bias(type, random(p.heads * longest * longest, -2, 2));
    std::vector<uint8_t> seen = random_integers<uint8_t>(batch * longest, 0, 1);
    if (p.few_hidden) {
      std::fill(seen.begin(), seen.end(), uint8_t{1});
      for (int64_t b = 0; b < batch; ++b) seen[b * longest + random_integer(0, longest - 1)] = 0;
    }
    const DeviceArray seen_array(seen), offsets_array(offsets), lengths_array(p.lengths);
    const DeviceArray error(std::vector<int>{0});
    const Floats out(type, rows * p.heads * p.size);

    AttentionArgs args;
    args.type = type;
    args.batch = batch;
    args.q_heads = p.heads;
    args.kv_heads = p.kv_heads;
    args.q_length = args.kv_length = longest;
    args.head_size = args.v_head_size = p.size;
    const std::size_t element = bytes_of(type, 1);
    const auto* base = x.get<char>();
    args.q = base;
    args.k = base + static_cast<std::size_t>(p.heads * p.size) * element;
    args.v = base + static_cast<std::size_t>((p.heads + p.kv_heads) * p.size) * element;
    args.out = out.get();
    args.q_strides = args.k_strides = args.v_strides = {longest * width, p.size, width};
    args.out_strides = {longest * p.heads * p.size, p.size, p.heads * p.size};
    args.scale = 0.2F;
    args.softcap = p.softcap;
    args.left_window = p.left;
    args.right_window = p.right;
    args.position_offset = p.offset;
    if (p.bias) {
      args.mask = bias.get();
      args.mask_head = longest * longest;
      args.mask_query = longest;
    }
    if (p.keys) {
      args.mask_bool = seen_array.get<uint8_t>();
      args.bool_batch = longest;
    }
    if (p.ragged) {
      args.offsets = offsets_array.get<int64_t>();
      args.rows = rows;
      args.error = error.get<int>();
    } else if (p.lengths_given) {
      args.kv_lengths = lengths_array.get<int64_t>();
    }
    attention(args, nullptr);
    EXPECT_EQ(error.values<int>()[0], 0);
    const auto result = out.read();

    for (int64_t b = 0; b < batch; ++b) {
      const int64_t queries = p.ragged ? p.lengths[b] : longest;
      const int64_t keys = p.ragged || p.lengths_given ? p.lengths[b] : longest;
      for (int64_t h = 0; h < p.heads; ++h) {
        const int64_t kv = h / (p.heads / p.kv_heads);
        for (int64_t i = 0; i < queries; i += std::max<int64_t>(1, queries / 40)) {
          std::vector<double> weights(keys, 0.0);
          double most = -INFINITY, sum = 0;
          const auto at = [&](int64_t row, int64_t head, int64_t c) {
            return x.values[(offsets[b] + row) * width + head * p.size + c];
          };
          for (int64_t j = 0; j < keys; ++j) {
            double score = 0;
            for (int64_t c = 0; c < p.size; ++c) score += at(i, h, c) * at(j, p.heads + kv, c);
            score *= 0.2F;
            if (p.softcap > 0) score = p.softcap * std::tanh(score / p.softcap);
            const int64_t place = i + p.offset;
            bool sees = !p.keys || seen[b * longest + j] != 0;
            sees = sees && (p.left < 0 || j >= place - p.left) &&
                   (p.right < 0 || j <= place + p.right);
            if (p.bias) score += bias.values[(h * longest + i) * longest + j];
            weights[j] = sees ? score : -INFINITY;
            most = std::max(most, weights[j]);
          }
          for (double& w : weights) sum += w = most == -INFINITY ? 0.0 : std::exp(w - most);
          for (int64_t c = 0; c < p.size; ++c) {
            double y = 0;
            for (int64_t j = 0; j < keys; ++j)
              y += sum == 0 ? 0 : weights[j] / sum * at(j, p.heads + p.kv_heads + kv, c);
            ASSERT_NEAR(result[((offsets[b] + i) * p.heads + h) * p.size + c], y,
                        3 * rounding(type) + 2e-6)
                << "sequence " << b << " head " << h << " query " << i << " column " << c;
          }
        }
      }
    }
  }
};
TERCEL_FLOAT_CUDA_SUITE(AttentionCuda);

TEST_P(AttentionCuda, HeadSizes) {
  for (const int64_t size : {1, 20, 32, 40, 64, 80, 96, 128, 192, 256})
    check({.lengths = {1, 70, 33}, .size = size});
}

TEST_P(AttentionCuda, RaggedLengths) {
  check({.lengths = {}});
  check({.lengths = {0}});
  check({.lengths = {0, 1, 64, 0, 63, 65, 129, 384, 7}, .size = 32});
  check({.lengths = {700}, .heads = 1, .kv_heads = 1});
}

TEST_P(AttentionCuda, PaddedWithLengthsAndMasks) {
  check({.lengths = {60, 100, 1}, .ragged = false});
  check({.lengths = {60, 100, 1}, .ragged = false, .lengths_given = true});
  check({.lengths = {60, 100, 33}, .ragged = false, .bias = true});
  check({.lengths = {60, 100, 33}, .ragged = false, .keys = true});
  check({.lengths = {60, 100, 33}, .bias = true, .keys = true});
  check({.lengths = {256, 256}, .keys = true, .few_hidden = true});
  check({.lengths = {256, 200}, .size = 192, .ragged = false, .keys = true, .few_hidden = true});
}

// A mask's lowest finite number is lower than any score: where it hides all keys they count alike.
TEST_P(AttentionCuda, ARowWhoseKeysAreAllHiddenIsTheirMean) {
  const int64_t length = 70, size = 64;
  const Dtype type = GetParam();
  const double lowest = type == Dtype::f16    ? -65504.0
                        : type == Dtype::bf16 ? -3.3895313892515355e38
                                              : -3.4028234663852886e38;
  const Floats q(type, random(length * size)), k(type, random(length * size));
  const Floats v(type, random(length * size)), out(type, length * size);
  const Floats mask(type, std::vector<double>(length, lowest));
  AttentionArgs args;
  args.type = type;
  args.batch = args.q_heads = args.kv_heads = 1;
  args.q_length = args.kv_length = length;
  args.head_size = args.v_head_size = size;
  args.q = q.get();
  args.k = k.get();
  args.v = v.get();
  args.out = out.get();
  args.q_strides = args.k_strides = args.v_strides = args.out_strides = {length * size, size, size};
  args.mask = mask.get();
  attention(args, nullptr);
  const auto result = out.read();
  for (int64_t c = 0; c < size; ++c) {
    double mean = 0;
    for (int64_t j = 0; j < length; ++j) mean += v.values[j * size + c] / length;
    for (const int64_t i : {int64_t{0}, length - 1})
      ASSERT_NEAR(result[i * size + c], mean, 3 * rounding(type) + 2e-6) << i << " " << c;
  }
}

TEST_P(AttentionCuda, WindowsCausalityAndGroups) {
  check({.lengths = {130, 64, 3}, .right = 0});
  check({.lengths = {200, 64, 3}, .left = 20, .right = 9});
  check({.lengths = {200, 3}, .left = 0, .right = 0});
  check({.lengths = {90, 90}, .ragged = false, .right = 0, .offset = 5});
  check({.lengths = {90, 31}, .right = 0, .offset = -40});  // some rows see nothing
  check({.lengths = {90, 31}, .heads = 6, .kv_heads = 2, .size = 40});
  check({.lengths = {90, 31}, .softcap = 0.7F});
}

TEST_P(AttentionCuda, AnswersDoNotDependOnTheBatch) {
  const int64_t size = 64, length = 100;
  const Floats x(GetParam(), random(3 * length * 3 * size));
  std::vector<double> alone;
  for (const std::vector<int64_t>& offsets :
       {std::vector<int64_t>{0, length}, {0, length, 150, 300}}) {
    const auto batch = static_cast<int64_t>(offsets.size()) - 1;
    const DeviceArray on_device(offsets);
    const Floats out(GetParam(), offsets.back() * size);
    AttentionArgs args{.type = GetParam(),
                       .batch = batch,
                       .q_heads = 1,
                       .kv_heads = 1,
                       .q_length = batch == 1 ? length : 150,
                       .kv_length = 150,
                       .head_size = size,
                       .v_head_size = size,
                       .q = x.get(),
                       .k = x.get(),
                       .v = x.get(),
                       .out = out.get()};
    args.q_strides = args.k_strides = args.v_strides = {0, size, 3 * size};
    args.out_strides = {0, size, size};
    args.offsets = on_device.get<int64_t>();
    args.rows = offsets.back();
    attention(args, nullptr);
    auto first = out.read();
    first.resize(length * size);
    if (alone.empty()) alone = first;
    EXPECT_EQ(first, alone);
  }
}

TEST_P(AttentionCuda, HostileOffsetsTouchNothingOutside) {
  const int64_t size = 32, rows = 50;
  const Floats x(GetParam(), random(rows * size)), out(GetParam(), rows * size);
  const DeviceArray offsets(std::vector<int64_t>{-5, 40, 10, int64_t{1} << 40, 50});
  const DeviceArray error(std::vector<int>{0});
  AttentionArgs args{.type = GetParam(),
                     .batch = 4,
                     .q_heads = 1,
                     .kv_heads = 1,
                     .q_length = 30,
                     .kv_length = 30,
                     .head_size = size,
                     .v_head_size = size,
                     .q = x.get(),
                     .k = x.get(),
                     .v = x.get(),
                     .out = out.get()};
  args.q_strides = args.k_strides = args.v_strides = args.out_strides = {0, size, size};
  args.offsets = offsets.get<int64_t>();
  args.rows = rows;
  args.error = error.get<int>();
  attention(args, nullptr);
  EXPECT_EQ(error.values<int>()[0], 1);
}

TEST_F(CudaTest, AttentionRefusesLongHeads) {
  AttentionArgs args{.batch = 1,
                     .q_heads = 1,
                     .kv_heads = 1,
                     .q_length = 1,
                     .kv_length = 1,
                     .head_size = 300,
                     .v_head_size = 300};
  EXPECT_THROW(attention(args, nullptr), Error);
}

TEST_P(AttentionCuda, Rotary) {
  const int64_t batch = 2, heads = 3, length = 5, size = 10, rotary = 6, half = rotary / 2;
  for (const bool interleaved : {false, true}) {
    const Floats x(GetParam(), random(batch * heads * length * size));
    const Floats cosines(GetParam(), random(20 * half)), sines(GetParam(), random(20 * half));
    const auto ids = random_integers<int64_t>(batch * length, 0, 19);
    const DeviceArray ids_array(ids);
    const HeadStrides strides{heads * length * size, length * size, size};
    const Floats y(GetParam(), batch * heads * length * size);
    rotary_embedding(
        {GetParam(), batch, heads, length, size, rotary, x.get(), y.get(), strides, strides,
         interleaved, cosines.get(), sines.get(), ids_array.get<int64_t>(), 20},
        nullptr);
    std::vector<double> expected = x.values;
    for (int64_t row = 0; row < batch * heads * length; ++row) {
      for (int64_t i = 0; i < half; ++i) {
        const int64_t id = ids[row / length / heads * length + row % length];
        const int64_t low = row * size + (interleaved ? 2 * i : i);
        const int64_t high = interleaved ? low + 1 : low + half;
        const double c = cosines.values[id * half + i], s = sines.values[id * half + i];
        expected[low] = c * x.values[low] - s * x.values[high];
        expected[high] = s * x.values[low] + c * x.values[high];
      }
    }
    expect_near(y.read(), expected, 2 * rounding(GetParam()), rounding(GetParam()));
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda

#include "src/kernels/cpu/attention.h"

#include <algorithm>
#include <functional>

#include "src/base/half.h"
#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

// The kernels of f32 on each instruction set, and those of bf16 where there are any.
class Attention : public PerIsa {
 protected:
  const bool bf16_ = attention_bf16_kernels(GetParam()) != nullptr;
  const AttentionKernels& attention_ =
      bf16_ ? *attention_bf16_kernels(GetParam()) : cpu_kernels(GetParam()).attention;
  const double tolerance_ = bf16_ ? 4e-3 : 2e-5;  // weights of the softmax are rounded
};

std::vector<CpuIsa> isas_of_attention() {
  std::vector<CpuIsa> isas = vector_isas();
  for (const CpuIsa isa : cpu_isas()) {
    if (attention_bf16_kernels(isa) != nullptr) isas.push_back(isa);
  }
  return isas;
}

// Q, K, V laid out [batch, row, head, size] as projections leave them, and the arguments for them.
struct AttentionProblem {
  int64_t batch, q_heads, kv_heads, q_length, kv_length, head_size, v_head_size;
  std::vector<float> q, k, v;

  AttentionArgs args() const {
    AttentionArgs args;
    args.batch = batch;
    args.q_heads = q_heads;
    args.kv_heads = kv_heads;
    args.q_length = q_length;
    args.kv_length = kv_length;
    args.head_size = head_size;
    args.v_head_size = v_head_size;
    args.q = q.data();
    args.k = k.data();
    args.v = v.data();
    args.q_strides = {q_length * q_heads * head_size, head_size, q_heads * head_size};
    args.k_strides = {kv_length * kv_heads * head_size, head_size, kv_heads * head_size};
    args.v_strides = {kv_length * kv_heads * v_head_size, v_head_size, kv_heads * v_head_size};
    args.out_strides = {q_length * q_heads * v_head_size, v_head_size, q_heads * v_head_size};
    args.scale = 1 / std::sqrt(static_cast<float>(head_size));
    return args;
  }
  int64_t outputs() const { return batch * q_length * q_heads * v_head_size; }
};

// Values that bf16 holds.
std::vector<float> random_bf16s(std::mt19937& random, int64_t count, float low = -1,
                                float high = 1) {
  auto values = random_floats(random, count, low, high);
  for (float& value : values) value = to_float(to_bf16(value));
  return values;
}

AttentionProblem make_problem(std::mt19937& random, int64_t batch, int64_t q_heads,
                              int64_t kv_heads, int64_t q_length, int64_t kv_length,
                              int64_t head_size, int64_t v_head_size) {
  AttentionProblem p{batch, q_heads, kv_heads, q_length, kv_length, head_size, v_head_size};
  p.q = random_bf16s(random, batch * q_length * q_heads * head_size, -3, 3);
  p.k = random_bf16s(random, batch * kv_length * kv_heads * head_size, -3, 3);
  p.v = random_bf16s(random, batch * kv_length * kv_heads * v_head_size);
  return p;
}

// The additive bias of query i and key j of head h: -inf where the key is not seen.
double bias_of(const AttentionArgs& args, int64_t b, int64_t h, int64_t i, int64_t j) {
  const int64_t offset =
      args.position_offsets != nullptr ? args.position_offsets[b] : args.position_offset;
  const int64_t position = i + offset;
  if (args.left_window >= 0 && j < position - args.left_window) return -kInfinity;
  if (args.right_window >= 0 && j > position + args.right_window) return -kInfinity;
  if (args.kv_lengths != nullptr && j >= args.kv_lengths[b]) return -kInfinity;
  const int64_t at =
      b * args.mask_batch + h * args.mask_head + i * args.mask_query + j * args.mask_key;
  if (args.mask != nullptr) return args.mask[at];
  if (args.mask_bool != nullptr && args.mask_bool[at] == 0) return -kInfinity;
  return 0;
}

std::vector<double> oracle_row(const AttentionArgs& args, int64_t b, int64_t h, int64_t i) {
  const int64_t kv_head = h / (args.q_heads / args.kv_heads);
  const auto at = [&](const HeadStrides& s, int64_t head, int64_t row) {
    return b * s.batch + head * s.head + row * s.row;
  };
  const float* q = args.q + at(args.q_strides, h, i);
  std::vector<double> score(args.kv_length);
  double top = -kInfinity;
  for (int64_t j = 0; j < args.kv_length; ++j) {
    const float* k = args.k + at(args.k_strides, kv_head, j);
    double dot = 0;
    for (int64_t d = 0; d < args.head_size; ++d) dot += static_cast<double>(q[d]) * k[d];
    dot *= args.scale;
    if (args.softcap > 0) dot = args.softcap * std::tanh(dot / args.softcap);
    score[j] = dot + bias_of(args, b, h, i, j);
    top = std::max(top, score[j]);
  }
  std::vector<double> out(args.v_head_size, 0.0);
  if (top == -kInfinity) return out;
  double sum = 0;
  for (double& value : score) sum += value = std::exp(value - top);
  for (int64_t j = 0; j < args.kv_length; ++j) {
    const float* v = args.v + at(args.v_strides, kv_head, j);
    for (int64_t d = 0; d < args.v_head_size; ++d) out[d] += score[j] / sum * v[d];
  }
  return out;
}

std::vector<float> run(const AttentionKernels& kernels, AttentionArgs args, int64_t outputs,
                       ThreadPool& pool) {
  std::vector<float> out(outputs, kNan);
  const Memory workspace(kernels.workspace(args, pool.size()));
  args.out = out.data();
  args.workspace = workspace.get();
  kernels.attention(args, pool);
  return out;
}

void expect_near_oracle(const AttentionKernels& kernels, const AttentionArgs& args, int64_t outputs,
                        ThreadPool& pool, double tolerance) {
  const auto out = run(kernels, args, outputs, pool);
  for (int64_t b = 0; b < args.batch; ++b) {
    for (int64_t h = 0; h < args.q_heads; ++h) {
      for (int64_t i = 0; i < args.q_length; ++i) {
        const auto expected = oracle_row(args, b, h, i);
        const float* row = out.data() + b * args.out_strides.batch + h * args.out_strides.head +
                           i * args.out_strides.row;
        for (int64_t d = 0; d < args.v_head_size; ++d) {
          ASSERT_NEAR(row[d], expected[d], tolerance) << b << ", " << h << ", " << i << ", " << d;
        }
      }
    }
  }
}

TEST_P(Attention, AgreesWithTheOracle) {
  for (const auto& p :
       {make_problem(random_, 2, 4, 4, 37, 37, 32, 32),
        make_problem(random_, 1, 6, 2, 15, 50, 64, 40),
        make_problem(random_, 3, 2, 1, 1, 800, 16, 48), make_problem(random_, 1, 1, 1, 29, 1, 5, 3),
        make_problem(random_, 1, 2, 2, 30, 391, 400, 7), make_problem(random_, 1, 1, 1, 4, 0, 8, 8),
        make_problem(random_, 1, 1, 1, 0, 4, 8, 8)}) {
    auto args = p.args();
    expect_near_oracle(attention_, args, p.outputs(), three_, tolerance_);
    args.softcap = 2;
    expect_near_oracle(attention_, args, p.outputs(), one_, tolerance_);
    args.right_window = 0;
    args.position_offset = std::max<int64_t>(0, p.kv_length - p.q_length);
    expect_near_oracle(attention_, args, p.outputs(), three_, tolerance_);
    args.left_window = 5;
    expect_near_oracle(attention_, args, p.outputs(), three_, tolerance_);
    args.position_offset = -3;  // the first queries see nothing
    expect_near_oracle(attention_, args, p.outputs(), three_, tolerance_);
    const std::vector<int64_t> lengths{p.kv_length / 2, 0, p.kv_length};
    args = p.args();
    args.kv_lengths = lengths.data();
    expect_near_oracle(attention_, args, p.outputs(), three_, tolerance_);
  }
}

TEST_P(Attention, MasksBroadcast) {
  const auto p = make_problem(random_, 2, 3, 3, 21, 45, 32, 32);
  auto mask = random_floats(random_, 2 * 3 * 21 * 45, -4, 4);
  std::vector<uint8_t> seen(mask.size());
  for (std::size_t i = 0; i < mask.size(); ++i) {
    seen[i] = random_() % 3 != 0;
    if (random_() % 4 == 0) mask[i] = -kInfinity;
  }
  struct Strides {
    int64_t batch, head, query, key;
  };
  for (const auto& [batch, head, query, key] : {Strides{3 * 21 * 45, 21 * 45, 45, 1},
                                                {45, 0, 0, 1},
                                                {0, 0, 45, 1},
                                                {0, 21, 1, 0},
                                                {0, 0, 1, 21}}) {
    for (const bool boolean : {false, true}) {
      auto args = p.args();
      args.mask = boolean ? nullptr : mask.data();
      args.mask_bool = boolean ? seen.data() : nullptr;
      args.mask_batch = batch;
      args.mask_head = head;
      args.mask_query = query;
      args.mask_key = key;
      expect_near_oracle(attention_, args, p.outputs(), three_, tolerance_);
    }
  }
}

TEST_P(Attention, ARowWithoutAKeyIsZeroAndNanStaysNan) {
  auto p = make_problem(random_, 1, 1, 1, 3, 20, 8, 8);
  p.q[1 * 8] = kNan;
  std::vector<uint8_t> seen(3 * 20, 1);
  std::fill_n(seen.begin() + 2 * 20, 20, 0);
  auto args = p.args();
  args.mask_bool = seen.data();
  args.mask_query = 20;
  const auto out = run(attention_, args, p.outputs(), one_);
  for (int d = 0; d < 8; ++d) {
    EXPECT_TRUE(std::isfinite(out[d]));
    EXPECT_TRUE(std::isnan(out[8 + d]));
    EXPECT_EQ(out[16 + d], 0);
  }
}

// Each sequence alone, without padding, then all in one padded batch under each kind of mask, and
// ragged: the same bits.
TEST_P(Attention, PaddingBatchAndThreadsChangeNoBit) {
  const int64_t longest = 410, heads = 2, size = 32, row = heads * size;
  const std::vector<int64_t> lengths{410, 1, 14, 33, 100, 385, 7};
  const auto batch = static_cast<int64_t>(lengths.size());
  const auto p = make_problem(random_, batch, heads, heads, longest, longest, size, size);
  std::vector<std::vector<float>> alone;
  for (int64_t b = 0; b < batch; ++b) {
    auto args = p.args();
    args.batch = 1;
    args.q_length = args.kv_length = lengths[b];
    args.q += b * longest * row;
    args.k += b * longest * row;
    args.v += b * longest * row;
    alone.push_back(run(attention_, args, lengths[b] * row, one_));
  }
  std::vector<float> additive(batch * longest, 0), large(batch * longest, 0);
  std::vector<uint8_t> seen(batch * longest, 1);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t j = lengths[b]; j < longest; ++j) {
      additive[b * longest + j] = -kInfinity;
      large[b * longest + j] = std::numeric_limits<float>::lowest();
      seen[b * longest + j] = 0;
    }
  }
  const std::vector<std::function<void(AttentionArgs&)>> maskings{
      [&](AttentionArgs& args) { args.mask = additive.data(); },
      [&](AttentionArgs& args) { args.mask = large.data(); },
      [&](AttentionArgs& args) { args.mask_bool = seen.data(); },
      [&](AttentionArgs& args) { args.kv_lengths = lengths.data(); }};
  for (const auto& masking : maskings) {
    for (ThreadPool* pool : {&one_, &three_}) {
      auto args = p.args();
      args.mask_batch = longest;
      masking(args);
      const auto out = run(attention_, args, p.outputs(), *pool);
      for (int64_t b = 0; b < batch; ++b) {
        EXPECT_TRUE(same_bits(out.data() + b * longest * row, alone[b].data(), lengths[b] * row));
      }
    }
  }
  std::vector<int64_t> offsets{0};
  AttentionProblem ragged = p;
  ragged.q.clear();
  ragged.k.clear();
  ragged.v.clear();
  std::vector<float> expected;
  for (int64_t b = 0; b < batch; ++b) {
    offsets.push_back(offsets.back() + lengths[b]);
    const auto take = [&](const std::vector<float>& from, std::vector<float>& to) {
      const auto begin = from.begin() + b * longest * row;
      to.insert(to.end(), begin, begin + lengths[b] * row);
    };
    take(p.q, ragged.q);
    take(p.k, ragged.k);
    take(p.v, ragged.v);
    expected.insert(expected.end(), alone[b].begin(), alone[b].end());
  }
  auto args = ragged.args();
  args.offsets = offsets.data();
  const auto out = run(attention_, args, offsets.back() * row, three_);
  EXPECT_TRUE(same_bits(out.data(), expected.data(), offsets.back() * row));
}

INSTANTIATE_TEST_SUITE_P(Cpu, Attention, testing::ValuesIn(isas_of_attention()), isa_name);

}  // namespace
}  // namespace tercel::kernels

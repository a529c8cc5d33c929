#include "src/kernels/cpu/attention.h"

#include "src/kernels/cpu/isa_tables.h"
#include "src/kernels/cpu/vmath.h"
#if defined(TERCEL_ISA_avx512_bf16) || defined(TERCEL_ISA_amx)
#include "src/kernels/cpu/attention_bf16.h"
#else
#include "src/kernels/cpu/attention_f32.h"
#endif

TERCEL_ISA_BEGIN

constexpr float kMinusInfinity = -__builtin_inff();
constexpr double kAttentionFlopsPerNanosecond = 40;
constexpr int kSums = 4;  // a key's lane is its number modulo kSums * kLanes, which divides kBlockK

// Elements of one thread's workspace: K and V packed, then the scores of one tile of queries in
// blocks of kBlockK keys, laid out as gemm_strip reads its A.
struct Layout {
  int64_t k, v, scores;

  explicit Layout(const AttentionArgs& args)
      : k(packed_keys(args.kv_length, args.head_size)),
        v(packed_values(args.kv_length, args.v_head_size)),
        scores(ceil_div(args.kv_length, kBlockK) * kTileRows * kStrideA) {}
};

std::size_t workspace(const AttentionArgs& args, int threads) {
  const int64_t columns = round_up(args.head_size + kPanel, kPanel) +
                          round_up(args.v_head_size, kPanel) + 2 * kTileRows;
  // More than the layout's, and checked: its own sums must not overflow.
  checked_bytes(threads, round_up(args.kv_length, kBlockK) + kBlockK,
                columns * static_cast<int64_t>(sizeof(float)));
  const Layout layout(args);
  return checked_bytes(threads, round_up(layout.k + layout.v + layout.scores, kPanel),
                       sizeof(float));
}

// One sequence and one head of queries.
struct Head {
  const float* q;
  float* out;
  const float* mask;
  const uint8_t* mask_bool;
  int64_t q_length, kv_length;
  int64_t first_position;  // of query 0

  // The keys that query i sees are [first, last).
  int64_t first(const AttentionArgs& args, int64_t i) const {
    if (args.left_window < 0) return 0;
    return least(kv_length, most<int64_t>(0, first_position + i - args.left_window));
  }
  int64_t last(const AttentionArgs& args, int64_t i) const {
    if (args.right_window < 0) return kv_length;
    return least(kv_length, most<int64_t>(0, first_position + i + args.right_window + 1));
  }
};

Vec masked_by(const float* mask, int64_t stride, int64_t left, Vec score) {
  Vec value;
  if (stride == 0) {
    value = splat(*mask);
  } else if (stride == 1) {
    value = left >= kLanes ? load(mask) : load_some(mask, left);
  } else {
    value = zeros();
    for (int64_t i = 0; i < least<int64_t>(left, kLanes); ++i) value[i] = mask[i * stride];
  }
  return select(value == splat(kMinusInfinity), splat(kMinusInfinity), score + value);
}

Vec masked_by(const uint8_t* mask, int64_t stride, int64_t left, Vec score) {
  typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
  Bytes seen{};
  if (stride == 1 && left >= kLanes) {
    copy_bytes(&seen, mask, sizeof(seen));
  } else {
    for (int64_t i = 0; i < least<int64_t>(left, kLanes); ++i) seen[i] = mask[i * stride];
  }
  return select(__builtin_convertvector(seen, Int) != 0, score, splat(kMinusInfinity));
}

// body(scores of keys [key, key + keys), key) for each block of the keys [begin, end) of a row.
template <class Body>
void for_blocks(float* row, int64_t begin, int64_t end, const Body& body) {
  for (int64_t key = begin; key < end; key += kBlockK)
    body(row + key / kBlockK * (kTileRows * kStrideA), key, least<int64_t>(kBlockK, end - key));
}

// body(place in the block of kLanes scores, number of their sum).
template <class Body>
void for_vectors(int64_t keys, const Body& body) {
  int64_t i = 0;
  for (; i + kSums * kLanes <= keys; i += kSums * kLanes) {
#pragma GCC unroll 4
    for (int part = 0; part < kSums; ++part) body(i + part * kLanes, part);
  }
  for (int part = 0; i < keys; ++part, i += kLanes) body(i, part);
}

// Keys [from, to) of a row count for nothing.
void hide(float* row, int64_t from, int64_t to) {
  while (from < to) {
    float* scores = row + from / kBlockK * (kTileRows * kStrideA) + from % kBlockK;
    const int64_t count = least(to - from, kBlockK - from % kBlockK);
    for (int64_t i = 0; i < count; ++i) scores[i] = kMinusInfinity;
    from += count;
  }
}

// The row of scores becomes weights, not yet divided by their sum, which is returned. `scores` is
// the row in the tile's block 0; keys [begin, end) have been computed, begin a multiple of kBlockK.
float weigh_row(const AttentionArgs& args, const Head& head, int64_t i, float* scores,
                int64_t begin, int64_t end) {
  const float* mask = head.mask == nullptr ? nullptr : head.mask + i * args.mask_query;
  const uint8_t* mask_bool =
      head.mask_bool == nullptr ? nullptr : head.mask_bool + i * args.mask_query;
  float scale = args.scale;
  // The greatest can be found before scores are scaled, unless more happens to them.
  if (mask != nullptr || mask_bool != nullptr || args.softcap > 0 || !(scale > 0)) {
    for_blocks(scores, begin, end, [&](float* block, int64_t first, int64_t keys) {
      for_vectors(keys, [&](int64_t k, int) {
        const int64_t key = first + k;
        Vec score = load(block + k) * splat(args.scale);
        if (args.softcap > 0) score = splat(args.softcap) * tanh(score / splat(args.softcap));
        if (mask != nullptr)
          score = masked_by(mask + key * args.mask_key, args.mask_key, end - key, score);
        if (mask_bool != nullptr)
          score = masked_by(mask_bool + key * args.mask_key, args.mask_key, end - key, score);
        store(block + k, score);
      });
    });
    scale = 1;
  }
  hide(scores, begin, least(end, head.first(args, i)));
  hide(scores, most(begin, least(end, head.last(args, i))), round_up(end, kLanes));
  Vec highest[kSums];
  for (Vec& value : highest) value = splat(kMinusInfinity);
  for_blocks(scores, begin, end, [&](const float* block, int64_t, int64_t keys) {
    for_vectors(keys, [&](int64_t k, int part) {
      highest[part] = greater(load(block + k), highest[part]);
    });
  });
  const float top =
      scale * across_max(greater(greater(highest[0], highest[1]), greater(highest[2], highest[3])));
  const Vec shift = splat(top == kMinusInfinity ? 0.0F : top);
  Vec sums[kSums] = {};
  for_blocks(scores, begin, end, [&](float* block, int64_t, int64_t keys) {
    for_vectors(keys, [&](int64_t k, int part) {
      const Vec weight = weight_of(load(block + k), splat(scale), shift);
      put_weights(block, k, weight);
      sums[part] += weight;
    });
    end_weights(block, keys);
  });
  return across_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

void divide_row(float* row, int64_t columns, float by) {
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) store(row + j, load(row + j) / splat(by));
  if (j < columns) store_some(row + j, load_some(row + j, columns - j) / splat(by), columns - j);
}

// Queries [i, i + rows) of one head.
void attend_tile(Tiles& tiles, const AttentionArgs& args, const Head& head, int64_t i, int rows,
                 const Factor* k_packed, const Factor* v_packed, float* scores) {
  const int64_t begin = head.first(args, i) / kBlockK * kBlockK;
  const int64_t end = head.last(args, i + rows - 1);
  QueryBlock q;
  for (int64_t d = 0; d < args.head_size || d == 0; d += kBlockK) {
    const int64_t depth = least<int64_t>(kBlockK, args.head_size - d);
    copy_queries(head.q + i * args.q_strides.row + d, args.q_strides.row, rows, depth, q);
    for (int64_t key = begin; key < end; key += kBlockK) {
      score_keys(tiles, rows, q, k_packed, args.head_size, d, depth, key,
                 least<int64_t>(kBlockK, end - key),
                 scores + key / kBlockK * (kTileRows * kStrideA));
    }
  }
  float sums[kTileRows];
  for (int r = 0; r < rows; ++r) {
    sums[r] = weigh_row(args, head, i + r, scores + r * kStrideA, begin, end);
  }
  float* out = head.out + i * args.out_strides.row;
  for (int64_t key = begin; key < end || key == begin; key += kBlockK) {
    const int64_t keys = most<int64_t>(0, least<int64_t>(kBlockK, end - key));
    add_values(tiles, rows, scores + key / kBlockK * (kTileRows * kStrideA), v_packed,
               head.kv_length, key, keys, out, args.out_strides.row, args.v_head_size,
               key == begin);
  }
  for (int r = 0; r < rows; ++r) {
    divide_row(out + r * args.out_strides.row, args.v_head_size, sums[r] == 0 ? 1.0F : sums[r]);
  }
}

struct Sequence {
  int64_t batch, row, q_length, kv_length;

  Sequence(const AttentionArgs& args, int64_t b)
      : batch(b), row(0), q_length(args.q_length), kv_length(args.kv_length) {
    if (args.offsets != nullptr) {
      batch = 0;
      row = args.offsets[b];
      q_length = kv_length = args.offsets[b + 1] - row;
    }
    if (args.kv_lengths != nullptr) {
      kv_length = most<int64_t>(0, least(kv_length, args.kv_lengths[b]));
    }
  }
  int64_t begin(const HeadStrides& strides, int64_t head) const {
    return batch * strides.batch + row * strides.row + head * strides.head;
  }
};

// Chunk `chunk` of `chunks` of the queries of all heads that share one head of K and V.
void attend(const AttentionArgs& args, int64_t b, int64_t kv_head, int64_t chunk, int64_t chunks,
            float* memory) {
  const Sequence sequence(args, b);
  const Layout layout(args);
  auto* k_packed = reinterpret_cast<Factor*>(memory);
  Factor* v_packed = k_packed + layout.k;
  float* scores = memory + layout.k + layout.v;
  const int64_t tiles = ceil_div(sequence.q_length, kTileRows);
  const int64_t from = tiles * chunk / chunks;
  const int64_t to = tiles * (chunk + 1) / chunks;
  if (from == to) return;
  pack_keys(args.k + sequence.begin(args.k_strides, kv_head), args.k_strides.row,
            sequence.kv_length, args.head_size, k_packed);
  pack_values(args.v + sequence.begin(args.v_strides, kv_head), args.v_strides.row,
              sequence.kv_length, args.v_head_size, v_packed);
  const int64_t group = args.q_heads / args.kv_heads;
  Tiles registers;
  for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    const int64_t mask = b * args.mask_batch + h * args.mask_head;
    const Head head{.q = args.q + sequence.begin(args.q_strides, h),
                    .out = args.out + sequence.begin(args.out_strides, h),
                    .mask = args.mask == nullptr ? nullptr : args.mask + mask,
                    .mask_bool = args.mask_bool == nullptr ? nullptr : args.mask_bool + mask,
                    .q_length = sequence.q_length,
                    .kv_length = sequence.kv_length,
                    .first_position = args.position_offsets == nullptr ? args.position_offset
                                                                       : args.position_offsets[b]};
    for (int64_t t = from; t < to; ++t) {
      const int64_t i = sequence.q_length * t / tiles;
      const int64_t end = sequence.q_length * (t + 1) / tiles;
      attend_tile(registers, args, head, i, static_cast<int>(end - i), k_packed, v_packed, scores);
    }
  }
}

void attention(const AttentionArgs& args, ThreadPool& pool) {
  const int64_t heads = args.batch * args.kv_heads;
  if (heads <= 0 || args.q_length <= 0 || args.v_head_size <= 0) return;
  const int64_t threads = pool_size(pool);
  const int64_t tiles = ceil_div(args.q_length, kTileRows);
  const int64_t chunks = heads >= 2 * threads ? 1 : least(tiles, ceil_div(2 * threads, heads));
  const int64_t slot_floats = static_cast<int64_t>(workspace(args, 1) / sizeof(float));
  const double cost = 2.0 * static_cast<double>(args.batch * args.q_heads * args.q_length) *
                      static_cast<double>(args.kv_length * (args.head_size + args.v_head_size)) /
                      kAttentionFlopsPerNanosecond;
  for_items(pool, heads * chunks, cost, [&](int64_t item, int64_t slot) {
    const int64_t head = item / chunks;
    attend(args, head / args.kv_heads, head % args.kv_heads, item % chunks, chunks,
           static_cast<float*>(args.workspace) + slot * slot_floats);
  });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(AttentionKernels, attention_kernels, workspace, attention)

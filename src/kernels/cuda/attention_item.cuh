#pragma once
// What a block of attention works on, and which keys its queries see.

#include <cfloat>

#include "src/kernels/cuda/attention.h"
#include "src/kernels/cuda/element.cuh"

namespace tercel::kernels::cuda {

// One head of one batch item, and the first of a block's queries.
template <class T>
struct AttentionItem {
  int64_t batch, head, first;
  int64_t q_length, kv_length, position;  // `position` of query 0
  const T* q;
  const T* k;
  const T* v;
  T* out;

  // Of the block, whose place in the grid is (query tile, head, batch item).
  __device__ AttentionItem(const AttentionArgs& args, int tile)
      : batch(blockIdx.z), head(blockIdx.y), first(static_cast<int64_t>(blockIdx.x) * tile) {
    q_length = args.q_length;
    kv_length = args.kv_length;
    int64_t kv_head = head;
    if (args.kv_heads != args.q_heads)
      kv_head = blockIdx.y / static_cast<uint32_t>(args.q_heads / args.kv_heads);
    int64_t row = 0, by_batch = batch;
    if (args.offsets != nullptr) {
      row = ragged(args);
      by_batch = 0;
    }
    if (args.kv_lengths != nullptr)
      kv_length = min(kv_length, max(args.kv_lengths[batch], int64_t{0}));
    position =
        args.position_offsets != nullptr ? args.position_offsets[batch] : args.position_offset;
    const auto at = [&](const HeadStrides& s, int64_t h) {
      return by_batch * s.batch + h * s.head + row * s.row;
    };
    q = static_cast<const T*>(args.q) + at(args.q_strides, head);
    k = static_cast<const T*>(args.k) + at(args.k_strides, kv_head);
    v = static_cast<const T*>(args.v) + at(args.v_strides, kv_head);
    out = static_cast<T*>(args.out) + at(args.out_strides, head);
  }

  // The keys that some query of the block may see, [begin, end); begin is a multiple of `tile`.
  __device__ void range(const AttentionArgs& args, int queries, int tile, int64_t& begin,
                        int64_t& end) const {
    begin = 0;
    end = kv_length;
    if (args.left_window >= 0) begin = max(first + position - args.left_window, int64_t{0});
    const int64_t last = min(first + queries, q_length) - 1;
    if (args.right_window >= 0) end = min(end, last + position + args.right_window + 1);
    begin = begin / tile * tile;
  }

  // A mask that is the same for every query.
  __device__ __forceinline__ const uint8_t* keys_seen(const AttentionArgs& args) const {
    return args.mask_bool + batch * args.bool_batch + head * args.bool_head;
  }
  // Whether it hides none of `Keys` keys. All lanes of a warp call it.
  template <int Keys>
  __device__ __forceinline__ bool sees_all(const AttentionArgs& args, int64_t key) const {
    const uint8_t* seen = keys_seen(args);
    bool all = true;
#pragma unroll
    for (int i = 0; i < Keys; i += 32)
      all = all && seen[(key + i + threadIdx.x % 32) * args.bool_key] != 0;
    return __all_sync(~0U, all) != 0;
  }

 private:
  // The sequence's first row; its length is set.
  __device__ int64_t ragged(const AttentionArgs& args) {
    const int64_t from = args.offsets[batch], to = args.offsets[batch + 1];
    const int64_t begin = min(max(from, int64_t{0}), args.rows);
    const int64_t length = min(min(max(to, begin), args.rows) - begin, args.q_length);
    if (args.error != nullptr && (begin != from || begin + length != to)) *args.error = 1;
    q_length = kv_length = length;
    return begin;
  }
};

// f16's lowest finite number is what is left of a lower one, beside which a score is nothing: a row
// that has no other then weighs all keys alike, as it does in f32.
template <class T>
__device__ __forceinline__ float mask_value(T mask) {
  const float value = widen(mask);
  return std::is_same_v<T, Half> && value == -65504.0F ? -FLT_MAX : value;
}

// Whether all queries of a sequence see the same of its keys, and nothing is added to a score.
__host__ __device__ __forceinline__ bool sees_alike(const AttentionArgs& args) {
  return args.softcap <= 0.0F && args.mask == nullptr && args.left_window < 0 &&
         args.right_window < 0 && args.scale > 0.0F &&
         (args.mask_bool == nullptr || args.bool_query == 0);
}

// The score of a query and a key by their places, -inf where the key is not seen.
template <class T>
__device__ __forceinline__ float masked_score(const AttentionArgs& args,
                                              const AttentionItem<T>& item, int64_t query,
                                              int64_t key, float score) {
  if (args.softcap > 0.0F) score = args.softcap * tanhf(score / args.softcap);
  const int64_t place = query + item.position;
  bool seen = key < item.kv_length && query < item.q_length;
  if (args.left_window >= 0) seen = seen && key >= place - args.left_window;
  if (args.right_window >= 0) seen = seen && key <= place + args.right_window;
  if (!seen) return -INFINITY;
  if (args.mask_bool != nullptr &&
      args.mask_bool[item.batch * args.bool_batch + item.head * args.bool_head +
                     query * args.bool_query + key * args.bool_key] == 0)
    return -INFINITY;
  if (args.mask != nullptr)
    score += mask_value(
        static_cast<const T*>(args.mask)[item.batch * args.mask_batch + item.head * args.mask_head +
                                         query * args.mask_query + key * args.mask_key]);
  return score;
}

// Where a row's exponents are taken from: 0 while it has seen no key.
__device__ __forceinline__ float exponent_base(float most) {
  return most == -INFINITY ? 0.0F : most;
}

constexpr float kLog2E = 1.44269504088896340736F;

constexpr int64_t kMostItems = 65535;  // of a batch, and heads, that a grid has

inline dim3 attention_blocks(const AttentionArgs& args, int tile) {
  return {static_cast<unsigned>((args.q_length + tile - 1) / tile),
          static_cast<unsigned>(args.q_heads), static_cast<unsigned>(args.batch)};
}

// attention_half.cu, attention_f32.cu
void attention_f16(const AttentionArgs& args, cudaStream_t stream);
void attention_bf16(const AttentionArgs& args, cudaStream_t stream);
void attention_f32(const AttentionArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda

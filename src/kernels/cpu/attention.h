#pragma once
// Scaled dot-product attention of f32 tensors, softmax(scale · Q Kᵀ + mask) V, with ONNX
// Attention's meaning. The scores of one block of queries are the most that is ever written.
//
// Order rule: a row's bits depend on its own query and on the keys it attends to in ascending
// order. Keys whose weight is exactly zero (masked by -inf, by a large negative number beside a
// finite score, by false, by causality or by length) change nothing wherever they are appended, so
// that a padded sequence equals the unpadded one as long as the padding of V is finite.
//
// A row that may attend to no key (an additive mask of -inf everywhere, false everywhere, no key in
// range) gives zeros, as ONNX's reference does. NaN in a query or in a key that it sees gives NaN.
//
// The kernels of attention_bf16_kernels (kernels.h) round Q, K, V and the softmax's weights to bf16
// before they multiply them, and sum in f32; the softmax itself is f32, its exp within 7.5e-5.

#include <cstddef>
#include <cstdint>

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

// Elements from one batch item, head and row to the next; the head dimension is contiguous.
struct HeadStrides {
  int64_t batch = 0, head = 0, row = 0;
};

struct AttentionArgs {
  int64_t batch = 0, q_heads = 0, kv_heads = 0;  // q_heads is a multiple of kv_heads
  int64_t q_length = 0, kv_length = 0;
  int64_t head_size = 0, v_head_size = 0;
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  float* out = nullptr;  // v_head_size elements a row
  HeadStrides q_strides, k_strides, v_strides, out_strides;

  float scale = 1.0F;
  float softcap = 0.0F;  // > 0: softcap · tanh(score / softcap), before the mask

  // Query i stands at position p = i + position_offset (the keys that came before query 0) and sees
  // the keys j with p - left_window <= j <= p + right_window; -1 is no bound, causal is
  // right_window = 0. With position_offsets, each batch item has its own.
  int64_t left_window = -1, right_window = -1;
  int64_t position_offset = 0;
  const int64_t* position_offsets = nullptr;  // [batch]

  // At most one of the two; strides in elements, 0 broadcasts.
  const float* mask = nullptr;         // added to the score
  const uint8_t* mask_bool = nullptr;  // 0: the key is not seen
  int64_t mask_batch = 0, mask_head = 0, mask_query = 0, mask_key = 1;

  const int64_t* kv_lengths = nullptr;  // [batch], each <= kv_length: keys beyond are not seen

  // Ragged batches: sequence b is rows [offsets[b], offsets[b + 1]) of q, k, v and out, whose batch
  // strides are not used; q_length and kv_length are then the longest sequence's.
  const int64_t* offsets = nullptr;  // [batch + 1]

  void* workspace = nullptr;  // workspace() bytes, 64-byte aligned
};

struct AttentionKernels {
  // Bytes for these sizes and a pool of `threads`; pointers are not looked at.
  std::size_t (*workspace)(const AttentionArgs& args, int threads);
  void (*attention)(const AttentionArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels

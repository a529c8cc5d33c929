#pragma once
// Scaled dot-product attention softmax(scale · Q Kᵀ + mask) V with ONNX Attention's meaning, by
// online softmax: scores are never written to memory. f32, f16 and bf16; f16 and bf16 multiply on
// tensor cores and round the softmax's weights to the element type, as is usual; sums and the
// softmax are f32. Heads of up to 256 elements; those of f16 and bf16 are fastest at 32, 64, 80,
// 96, 128 and 256, rows 16-byte aligned.
//
// A row that may attend to no key gives zeros. A row's bits depend on its own query and the keys it
// attends to in ascending order, never on the batch.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// Elements from one batch item, head and row to the next; the head dimension is contiguous.
struct HeadStrides {
  int64_t batch = 0, head = 0, row = 0;
};

struct AttentionArgs {
  Dtype type = Dtype::f32;                       // of q, k, v, out and mask
  int64_t batch = 0, q_heads = 0, kv_heads = 0;  // q_heads is a multiple of kv_heads
  int64_t q_length = 0, kv_length = 0;
  int64_t head_size = 0, v_head_size = 0;
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* out = nullptr;  // v_head_size elements a row
  HeadStrides q_strides, k_strides, v_strides, out_strides;

  float scale = 1.0F;
  float softcap = 0.0F;  // > 0: softcap · tanh(score / softcap), before the mask

  // Query i stands at position p = i + position_offset and sees the keys j with
  // p - left_window <= j <= p + right_window; -1 is no bound, causal is right_window = 0. With
  // position_offsets, each batch item has its own.
  int64_t left_window = -1, right_window = -1;
  int64_t position_offset = 0;
  const int64_t* position_offsets = nullptr;  // [batch], on the device

  // Strides in elements, 0 broadcasts; both may be given.
  // Of `type`, added to the score. f16's lowest finite number hides a key as f32's does.
  const void* mask = nullptr;
  int64_t mask_batch = 0, mask_head = 0, mask_query = 0, mask_key = 1;
  const uint8_t* mask_bool = nullptr;  // 0: the key is not seen
  int64_t bool_batch = 0, bool_head = 0, bool_query = 0, bool_key = 1;

  const int64_t* kv_lengths = nullptr;  // [batch], on the device: keys beyond are not seen

  // Ragged batches: sequence b is rows [offsets[b], offsets[b + 1]) of q, k, v and out, whose batch
  // strides are not used; q_length and kv_length are then the longest sequence's, or more. Offsets
  // outside [0, rows], not ascending, or further apart than q_length are clamped and set *error.
  const int64_t* offsets = nullptr;  // [batch + 1], on the device
  int64_t rows = 0;
  int* error = nullptr;
};

void attention(const AttentionArgs& args, cudaStream_t stream);

// Rotates pairs of elements of each head by its position's angle (ONNX RotaryEmbedding): the first
// `rotary` elements of a head are pairs (i, i + rotary / 2), or (2 i, 2 i + 1) when interleaved;
// the rest is copied. x and y may be the same.
struct RotaryArgs {
  Dtype type = Dtype::f32;  // of x, y and the caches
  int64_t batch = 0, heads = 0, length = 0, head_size = 0, rotary = 0;
  const void* x = nullptr;
  void* y = nullptr;
  HeadStrides x_strides, y_strides;
  bool interleaved = false;
  const void* cosines =
      nullptr;  // [positions, rotary / 2]; [batch, length, rotary / 2] without ids
  const void* sines = nullptr;
  const int64_t* position_ids = nullptr;  // [batch, length] or null
  int64_t positions = 0;
  int* error = nullptr;
};
void rotary_embedding(const RotaryArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda

#include "src/kernels/cuda/attention.h"
#include "src/kernels/cuda/attention_item.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr int64_t kLongestHead = 256;

template <class T>
__global__ void rotary_kernel(RotaryArgs args) {
  const int64_t half = args.rotary / 2;
  const int64_t pairs = (args.head_size - args.rotary) + half;  // single elements behind the pairs
  const int64_t count = args.batch * args.heads * args.length * pairs;
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t pair = i % pairs, row = i / pairs % args.length;
    const int64_t head = i / pairs / args.length % args.heads;
    const int64_t batch = i / pairs / args.length / args.heads;
    const T* x = static_cast<const T*>(args.x) + batch * args.x_strides.batch +
                 head * args.x_strides.head + row * args.x_strides.row;
    T* y = static_cast<T*>(args.y) + batch * args.y_strides.batch + head * args.y_strides.head +
           row * args.y_strides.row;
    if (pair >= half) {
      const int64_t at = args.rotary + pair - half;
      y[at] = x[at];
      continue;
    }
    int64_t position = batch * args.length + row;
    if (args.position_ids != nullptr) {
      position = args.position_ids[position];
      if (position < 0 || position >= args.positions) {
        if (args.error != nullptr) *args.error = 1;
        position = -1;
      }
    }
    const int64_t low = args.interleaved ? 2 * pair : pair;
    const int64_t high = args.interleaved ? low + 1 : pair + half;
    const float a = widen(x[low]), b = widen(x[high]);
    float cosine = 0.0F, sine = 0.0F;
    if (position >= 0) {
      cosine = widen(static_cast<const T*>(args.cosines)[position * half + pair]);
      sine = widen(static_cast<const T*>(args.sines)[position * half + pair]);
    }
    y[low] = narrow<T>(cosine * a - sine * b);
    y[high] = narrow<T>(sine * a + cosine * b);
  }
}

// Items [from, from + count) of the batch.
AttentionArgs part_of(const AttentionArgs& args, int64_t from, int64_t count) {
  AttentionArgs part = args;
  part.batch = count;
  const auto element = static_cast<int64_t>(bytes_of(args.type, 1));
  const auto advance = [&](const void* pointer, int64_t stride) -> const void* {
    return pointer == nullptr ? nullptr
                              : static_cast<const char*>(pointer) + from * stride * element;
  };
  if (args.offsets != nullptr) {
    part.offsets += from;
  } else {
    part.q = advance(args.q, args.q_strides.batch);
    part.k = advance(args.k, args.k_strides.batch);
    part.v = advance(args.v, args.v_strides.batch);
    part.out = const_cast<void*>(advance(args.out, args.out_strides.batch));
  }
  part.mask = advance(args.mask, args.mask_batch);
  if (args.mask_bool != nullptr) part.mask_bool += from * args.bool_batch;
  if (args.position_offsets != nullptr) part.position_offsets += from;
  if (args.kv_lengths != nullptr) part.kv_lengths += from;
  return part;
}

}  // namespace

void attention(const AttentionArgs& args, cudaStream_t stream) {
  const int64_t size = std::max(args.head_size, args.v_head_size);
  if (size > kLongestHead) unsupported_size("attention", "head size", size);
  if (args.q_heads > kMostItems) unsupported_size("attention", "number of heads", args.q_heads);
  if (args.q_length > INT32_MAX) unsupported_size("attention", "length", args.q_length);
  const bool empty = args.q_length == 0 || args.q_heads == 0 || args.v_head_size == 0;
  for (int64_t from = 0; from < args.batch; from += kMostItems) {
    const AttentionArgs part = part_of(args, from, std::min(args.batch - from, kMostItems));
    switch (args.type) {
      case Dtype::f32:
        if (!empty) attention_f32(part, stream);
        break;
      case Dtype::f16:
        if (!empty) attention_f16(part, stream);
        break;
      case Dtype::bf16:
        if (!empty) attention_bf16(part, stream);
        break;
      default:
        unsupported_type("attention", args.type);
    }
  }
}

void rotary_embedding(const RotaryArgs& args, cudaStream_t stream) {
  const int64_t count = args.batch * args.heads * args.length * args.head_size;
  if (count == 0) return;
  with_float_type("rotary_embedding", args.type, [&](auto tag) {
    rotary_kernel<typename decltype(tag)::type><<<blocks_for(count), kThreads, 0, stream>>>(args);
  });
  check_launch("rotary_embedding");
}

}  // namespace tercel::kernels::cuda

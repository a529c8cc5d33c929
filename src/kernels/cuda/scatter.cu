#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/indexing.h"

namespace tercel::kernels::cuda {
namespace {

template <class C>
__device__ C combined(ScatterOp op, C old, C update) {
  switch (op) {
    case ScatterOp::add:
      return old + update;
    case ScatterOp::mul:
      return old * update;
    case ScatterOp::max:
      return old < update || update != update ? update : old;
    case ScatterOp::min:
      return update < old || update != update ? update : old;
    case ScatterOp::none:
      break;
  }
  return update;
}

// Replaces the element at `to` by compare and swap of the 4 or 8 bytes that hold it.
template <class T>
__device__ void update(ScatterOp op, T* to, T value) {
  using Word = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned int>;
  const auto address = reinterpret_cast<uintptr_t>(to);
  auto* word = reinterpret_cast<Word*>(address / sizeof(Word) * sizeof(Word));
  const int shift = static_cast<int>(address % sizeof(Word)) * 8;
  const Word mask = sizeof(T) == sizeof(Word) ? ~Word{0} : ((Word{1} << (8 * sizeof(T) % 32)) - 1);
  union Bits {
    T element;
    Word word;
    __device__ Bits() : word(0) {}
  } bits;
  Word seen = *word;
  Word expected;
  do {
    expected = seen;
    bits.word = (expected >> shift) & mask;
    bits.element = narrow<T>(combined<Wide<T>>(op, widen(bits.element), widen(value)));
    const Word wanted = (expected & ~(mask << shift)) | ((bits.word & mask) << shift);
    seen = atomicCAS(word, expected, wanted);
  } while (seen != expected);
}

template <class T>
__device__ void put(ScatterOp op, T* to, T value) {
  if constexpr (std::is_same_v<T, Bytes16>) {
    *to = value;
  } else {
    if (op == ScatterOp::none)
      *to = value;
    else
      update(op, to, value);
  }
}

template <class T, class Index>
__global__ void scatter_elements_kernel(ScatterElementsArgs args, int64_t count) {
  const auto* indices = static_cast<const Index*>(args.indices);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t place = checked_index(indices[i], args.out_dims.at[args.axis], args.error);
    if (place < 0) continue;
    int64_t at = 0, stride = 1, rest = i;
    for (int d = args.index_dims.rank - 1; d >= 0; --d) {
      const int64_t up = rest / args.index_dims.at[d];
      at += (d == args.axis ? place : rest - up * args.index_dims.at[d]) * stride;
      stride *= args.out_dims.at[d];
      rest = up;
    }
    put(args.op, static_cast<T*>(args.out) + at, static_cast<const T*>(args.updates)[i]);
  }
}

template <class T, class Index>
__global__ void scatter_nd_kernel(ScatterNdArgs args) {
  const auto* indices = static_cast<const Index*>(args.indices);
  for (int64_t i = global_thread(); i < args.count * args.slice; i += all_threads()) {
    const int64_t row = i / args.slice;
    int64_t at = 0;
    for (int d = 0; d < args.depth && at >= 0; ++d) {
      const int64_t place =
          checked_index(indices[row * args.depth + d], args.dims.at[d], args.error);
      at = place < 0 ? -1 : at * args.dims.at[d] + place;
    }
    if (at < 0) continue;
    put(args.op, static_cast<T*>(args.out) + at * args.slice + i - row * args.slice,
        static_cast<const T*>(args.updates)[i]);
  }
}

// Numbers for what computes; for the rest any type of the element's size.
template <class Body>
void with_scatter_type(const char* kernel, ScatterOp op, Dtype type, Body&& body) {
  if (op == ScatterOp::none) return with_element(kernel, bits_of(type) / 8, body);
  if (type == Dtype::boolean) unsupported_type(kernel, type);
  with_numeric_type(kernel, type, body);
}

}  // namespace

void scatter_elements(const ScatterElementsArgs& args, cudaStream_t stream) {
  const int64_t count = count_of(args.index_dims);
  if (count == 0) return;
  with_index_type("scatter_elements", args.index_type, [&](auto index) {
    with_scatter_type("scatter_elements", args.op, args.type, [&](auto tag) {
      scatter_elements_kernel<typename decltype(tag)::type, typename decltype(index)::type>
          <<<blocks_for(count), kThreads, 0, stream>>>(args, count);
    });
  });
  check_launch("scatter_elements");
}

void scatter_nd(const ScatterNdArgs& args, cudaStream_t stream) {
  const int64_t count = args.count * args.slice;
  if (count == 0) return;
  with_index_type("scatter_nd", args.index_type, [&](auto index) {
    with_scatter_type("scatter_nd", args.op, args.type, [&](auto tag) {
      scatter_nd_kernel<typename decltype(tag)::type, typename decltype(index)::type>
          <<<blocks_for(count), kThreads, 0, stream>>>(args);
    });
  });
  check_launch("scatter_nd");
}

}  // namespace tercel::kernels::cuda

#pragma once
// What CPU kernels of many operators share: element types as template arguments, broadcasting over
// contiguous tensors, and small kernels written as a lambda.

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "src/base/function_ref.h"
#include "src/base/half.h"
#include "src/ops/cpu.h"

namespace tercel::ops {

// --- Element types -------------------------------------------------------------------------------

template <class T>
constexpr Dtype element_dtype() {
  if constexpr (std::is_same_v<T, f16>)
    return Dtype::f16;
  else if constexpr (std::is_same_v<T, bf16>)
    return Dtype::bf16;
  else
    return dtype_of<T>();
}

// A half-precision element is computed with in f32 and rounded once; all others as they are.
template <class T>
inline constexpr bool is_half_type = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;
template <class T>
using ComputeType = std::conditional_t<is_half_type<T>, float, T>;

template <class T>
ComputeType<T> load(T value) {
  if constexpr (is_half_type<T>)
    return to_float(value);
  else
    return value;
}
template <class T>
T store(ComputeType<T> value) {
  if constexpr (std::is_same_v<T, f16>)
    return to_f16(value);
  else if constexpr (std::is_same_v<T, bf16>)
    return to_bf16(value);
  else
    return value;
}

// The widest type of the same kind, in which one function serves all element types of the kind:
// f64, i64 or u64 (for booleans too).
template <class T>
using WideType = std::conditional_t<is_half_type<T> || std::is_floating_point_v<T>, double,
                                    std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
template <class T>
WideType<T> widen(T value) {
  return static_cast<WideType<T>>(load(value));
}
template <class T>
T narrow(WideType<T> value) {
  return store<T>(static_cast<ComputeType<T>>(value));
}

template <class... Ts>
struct Types {};
template <class... As, class... Bs>
constexpr Types<As..., Bs...> operator+(Types<As...>, Types<Bs...>) {
  return {};
}

using FloatTypes = Types<float, double, f16, bf16>;
using SignedTypes = Types<int8_t, int16_t, int32_t, int64_t>;
using UnsignedTypes = Types<uint8_t, uint16_t, uint32_t, uint64_t>;
using IntegerTypes = decltype(SignedTypes{} + UnsignedTypes{});
using NumericTypes = decltype(FloatTypes{} + IntegerTypes{});
using BooleanTypes = Types<bool>;
using AllTypes = decltype(NumericTypes{} + BooleanTypes{});  // all but strings and packed types

template <class... Ts>
bool contains(Types<Ts...>, Dtype dtype) {
  return ((element_dtype<Ts>() == dtype) || ...);
}

template <class T>
struct Tag {
  using type = T;
};

// Calls body(Tag<T>{}) with the element type of `dtype`, which must be one of Ts:
//   dispatch_dtype(NumericTypes{}, dtype, [&](auto tag) { using T = typename decltype(tag)::type;
//   });
template <class... Ts, class Body>
void dispatch_dtype(Types<Ts...>, Dtype dtype, Body&& body) {
  const bool found = ((element_dtype<Ts>() == dtype && (body(Tag<Ts>{}), true)) || ...);
  if (!found) fail(Errc::internal, "no kernel for elements of type {}", to_string(dtype));
}
template <class Body>
void dispatch_dtype(Dtype dtype, Body&& body) {
  dispatch_dtype(AllTypes{}, dtype, std::forward<Body>(body));
}

// Elements of a tensor whose dtype the caller knows to be T's.
template <class T>
const T* elements(const Tensor& tensor) {
  return static_cast<const T*>(tensor.data());
}
template <class T>
T* elements(Tensor& tensor) {
  return static_cast<T*>(tensor.data());
}

// --- Refusals ------------------------------------------------------------------------------------

// "takes f32, f16; the input has i64"; empty when `dtype` is one of Ts.
std::string refuse_dtype(std::span<const Dtype> accepted, Dtype dtype);
template <class... Ts>
std::string refuse_dtype(Types<Ts...>, Dtype dtype) {
  static constexpr std::array kAccepted{element_dtype<Ts>()...};
  return refuse_dtype(kAccepted, dtype);
}
// A CpuImplementation::refuse that looks at the type of input 0 alone.
template <class Set>
std::string refuse_input0(const KernelContext& context) {
  return refuse_dtype(Set{}, context.input_dtype(0));
}
std::string refuse_unless_f32(const KernelContext& context);  // of input 0
inline std::string refuse_nothing(const KernelContext&) { return {}; }

// A CpuImplementation::create for a kernel made from its context.
template <class Kernel>
std::unique_ptr<CpuKernel> create_kernel(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

// --- Memory --------------------------------------------------------------------------------------

// A piece of workspace that another one can follow.
constexpr std::size_t workspace_bytes(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// --- Work sharing --------------------------------------------------------------------------------

// Elements that one thread should take at least of an operation that costs about a nanosecond each.
inline constexpr int64_t kGrain = 16384;

// The number of rows of `row` elements that make a grain, at least one.
constexpr int64_t rows_per_grain(int64_t row) { return row >= kGrain ? 1 : kGrain / (row + 1) + 1; }

// --- Shapes --------------------------------------------------------------------------------------

// Product of the dimensions [begin, end). Throws Errc::invalid_argument when it overflows, as it
// can where another dimension is 0.
int64_t product(const Shape& shape, int begin, int end);

// A shape around one axis: [outer, axis, inner].
struct AxisView {
  int64_t outer = 1, axis = 1, inner = 1;
};
// Negative axes count from the end. Throws Errc::invalid_argument when there is no such axis.
AxisView view_axis(const Shape& shape, int64_t axis);

// A loop over the elements of a row-major output of up to kMaxOperands inputs that broadcast to
// it. Dimensions over which every operand goes on contiguously are merged, so that the innermost
// one is as long as can be; along it an operand's step is 0 or 1.
struct BroadcastLoop {
  static constexpr int kMaxDims = 16;
  static constexpr int kMaxOperands = 3;

  int rank = 1;  // after merging, at least 1
  int operands = 0;
  int64_t size = 1;  // elements of the output
  std::array<int64_t, kMaxDims> dims{};
  std::array<std::array<int64_t, kMaxDims>, kMaxOperands> strides{};

  int64_t inner() const { return dims[static_cast<std::size_t>(rank) - 1]; }
  int64_t step(int operand) const {
    return strides[static_cast<std::size_t>(operand)][static_cast<std::size_t>(rank) - 1];
  }
  // Where each operand stands at element `index` of the output.
  std::array<int64_t, kMaxOperands> locate(int64_t index) const;
};
BroadcastLoop broadcast_loop(const Shape& out, std::initializer_list<const Shape*> inputs);

// Calls body(out, offsets, count) for runs of `count` consecutive outputs that begin at element
// `out`: operand i's element j is at offsets[i] + j * loop.step(i). Shared out over the pool.
void for_each_run(const BroadcastLoop& loop, ThreadPool& pool,
                  FunctionRef<void(int64_t, const int64_t*, int64_t)> body);

// out[i] = function(a[i], b[i]) with broadcasting; the function takes and gives compute types.
template <class A, class B, class Out, class Function>
void map_binary(const Tensor& a, const Tensor& b, Tensor& out, ThreadPool& pool,
                Function function) {
  const A* x = elements<A>(a);
  const B* y = elements<B>(b);
  Out* z = elements<Out>(out);
  const BroadcastLoop loop = broadcast_loop(out.shape(), {&a.shape(), &b.shape()});
  const int64_t dx = loop.step(0);
  const int64_t dy = loop.step(1);
  for_each_run(loop, pool, [&](int64_t at, const int64_t* offsets, int64_t count) {
    const A* p = x + offsets[0];
    const B* q = y + offsets[1];
    for (int64_t i = 0; i < count; ++i)
      z[at + i] = store<Out>(function(load(p[i * dx]), load(q[i * dy])));
  });
}

// out[i] = function(in[i]).
template <class In, class Out, class Function>
void map_unary(const Tensor& in, Tensor& out, ThreadPool& pool, Function function) {
  const In* x = elements<In>(in);
  Out* y = elements<Out>(out);
  pool.parallel_for(out.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = store<Out>(function(load(x[i])));
  });
}

// The one number of an integer tensor of one element (i32 or i64).
int64_t integer_value(const Tensor& tensor);
// The numbers of an integer tensor (i32 or i64).
std::vector<int64_t> integer_values(const Tensor& tensor);

}  // namespace tercel::ops

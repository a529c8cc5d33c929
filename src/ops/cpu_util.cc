#include "src/ops/cpu_util.h"

#include <algorithm>

#include "src/base/checked.h"

namespace tercel::ops {
namespace {

struct Dimension {
  int64_t size;
  std::array<int64_t, BroadcastLoop::kMaxOperands> strides;
};

// The loop is built from the innermost dimension outwards and turned round at the end.
void append(BroadcastLoop& loop, int& rank, const Dimension& next) {
  const auto operands = static_cast<std::size_t>(loop.operands);
  if (rank > 0) {
    const auto last = static_cast<std::size_t>(rank) - 1;
    bool mergeable = true;
    for (std::size_t i = 0; i < operands; ++i)
      mergeable = mergeable && next.strides[i] == loop.strides[i][last] * loop.dims[last];
    if (mergeable) {
      loop.dims[last] *= next.size;
      return;
    }
  }
  if (rank == BroadcastLoop::kMaxDims) {
    fail(Errc::unsupported, "broadcasting over more than {} dimensions is not supported",
         BroadcastLoop::kMaxDims);
  }
  const auto at = static_cast<std::size_t>(rank++);
  loop.dims[at] = next.size;
  for (std::size_t i = 0; i < operands; ++i) loop.strides[i][at] = next.strides[i];
}

}  // namespace

std::string refuse_dtype(std::span<const Dtype> accepted, Dtype dtype) {
  if (std::find(accepted.begin(), accepted.end(), dtype) != accepted.end()) return {};
  std::string names;
  for (const Dtype one : accepted) {
    if (!names.empty()) names += ", ";
    names += to_string(one);
  }
  return fmt::format("takes {}; the input has {}", names, to_string(dtype));
}

std::string refuse_unless_f32(const KernelContext& context) {
  return refuse_input0<Types<float>>(context);
}

int64_t product(const Shape& shape, int begin, int end) {
  int64_t result = 1;
  for (int i = begin; i < end; ++i)
    result = checked_mul(result, shape[static_cast<std::size_t>(i)]);
  return result;
}

AxisView view_axis(const Shape& shape, int64_t axis) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < -rank || axis >= rank)
    fail(Errc::invalid_argument, "axis {} is out of range for rank {}", axis, rank);
  const auto at = static_cast<int>(axis < 0 ? axis + rank : axis);
  return {product(shape, 0, at), shape[static_cast<std::size_t>(at)],
          product(shape, at + 1, static_cast<int>(rank))};
}

std::array<int64_t, BroadcastLoop::kMaxOperands> BroadcastLoop::locate(int64_t index) const {
  std::array<int64_t, kMaxOperands> offsets{};
  for (int d = rank - 1; d >= 0; --d) {
    const auto at = static_cast<std::size_t>(d);
    const int64_t coordinate = index % dims[at];
    index /= dims[at];
    for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] += coordinate * strides[i][at];
  }
  return offsets;
}

BroadcastLoop broadcast_loop(const Shape& out, std::initializer_list<const Shape*> inputs) {
  BroadcastLoop loop;
  loop.operands = static_cast<int>(inputs.size());
  TERCEL_CHECK(loop.operands <= BroadcastLoop::kMaxOperands);
  loop.size = element_count(out);
  std::array<int64_t, BroadcastLoop::kMaxOperands> spans{1, 1, 1};
  int rank = 0;
  for (std::size_t back = 0; back < out.size() && loop.size > 0; ++back) {
    const int64_t size = out[out.size() - 1 - back];
    Dimension next{size, {}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Shape& shape = *inputs.begin()[i];
      const int64_t own = back < shape.size() ? shape[shape.size() - 1 - back] : 1;
      TERCEL_CHECK(own == size || own == 1);
      next.strides[i] = own == 1 ? 0 : spans[i];
      spans[i] *= own;
    }
    if (size != 1) append(loop, rank, next);
  }
  if (rank == 0) {
    loop.dims[0] = loop.size;
    rank = 1;
  }
  std::reverse(loop.dims.begin(), loop.dims.begin() + rank);
  for (auto& strides : loop.strides) std::reverse(strides.begin(), strides.begin() + rank);
  loop.rank = rank;
  return loop;
}

void for_each_run(const BroadcastLoop& loop, ThreadPool& pool,
                  FunctionRef<void(int64_t, const int64_t*, int64_t)> body) {
  const int64_t inner = loop.inner();
  pool.parallel_for(loop.size, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t count = std::min(end - begin, inner - begin % inner);
      const auto offsets = loop.locate(begin);
      body(begin, offsets.data(), count);
      begin += count;
    }
  });
}

int64_t integer_value(const Tensor& tensor) {
  if (tensor.size() != 1) {
    fail(Errc::invalid_argument, "expects one number; the tensor that holds it has {} elements",
         tensor.size());
  }
  return tensor.dtype() == Dtype::i32 ? tensor.values<int32_t>()[0] : tensor.values<int64_t>()[0];
}

std::vector<int64_t> integer_values(const Tensor& tensor) {
  std::vector<int64_t> values;
  if (tensor.dtype() == Dtype::i32)
    values.assign(tensor.values<int32_t>().begin(), tensor.values<int32_t>().end());
  else
    values.assign(tensor.values<int64_t>().begin(), tensor.values<int64_t>().end());
  return values;
}

}  // namespace tercel::ops

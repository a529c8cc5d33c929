#include "src/ops/tensor/move_cpu.h"

#include <cstring>

namespace tercel::ops {
namespace {

constexpr int64_t kTile = 16;  // of a transposition: both sides stay in the L1 cache

// Dimensions of one element are dropped, and neighbours that run on in both arrays become one.
void merge(std::vector<int64_t>& dims, std::vector<int64_t>& strides) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (kept > 0 && strides[kept - 1] == strides[i] * dims[i]) {
      dims[kept - 1] *= dims[i];
      strides[kept - 1] = strides[i];
      continue;
    }
    dims[kept] = dims[i];
    strides[kept] = strides[i];
    ++kept;
  }
  dims.resize(kept);
  strides.resize(kept);
}

template <class T>
void copy_row(const T* from, int64_t stride, int64_t count, T* to) {
  if (stride == 1) {
    std::copy_n(from, count, to);
  } else if (stride == 0) {
    std::fill_n(to, count, *from);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
  }
}

// out[r, c] = from[r * row + c * column], by tiles.
template <class T>
void copy_plane(const T* from, const int64_t* dims, const int64_t* strides, T* to) {
  for (int64_t r0 = 0; r0 < dims[0]; r0 += kTile) {
    const int64_t r1 = std::min(r0 + kTile, dims[0]);
    for (int64_t c0 = 0; c0 < dims[1]; c0 += kTile) {
      const int64_t c1 = std::min(c0 + kTile, dims[1]);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c)
          to[r * dims[1] + c] = from[r * strides[0] + c * strides[1]];
      }
    }
  }
}

int64_t locate(int64_t index, const std::vector<int64_t>& dims, const std::vector<int64_t>& strides,
               std::size_t outer) {
  int64_t at = 0;
  for (std::size_t d = outer; d-- > 0;) {
    at += index % dims[d] * strides[d];
    index /= dims[d];
  }
  return at;
}

// The innermost dimension (two when they are transposed) is a row; rows are shared out.
template <class T>
void copy_typed(const T* from, const std::vector<int64_t>& dims,
                const std::vector<int64_t>& strides, T* to, ThreadPool& pool) {
  const std::size_t rank = dims.size();
  const bool plane = rank >= 2 && strides[rank - 1] != 1 && strides[rank - 2] == 1;
  const std::size_t outer = rank - (plane ? 2 : 1);
  int64_t rows = 1;
  for (std::size_t d = 0; d < outer; ++d) rows *= dims[d];
  const int64_t row = plane ? dims[outer] * dims[outer + 1] : dims[outer];
  // One long row is cut as well.
  if (rows == 1 && !plane) {
    pool.parallel_for(row, kGrain, [&](int64_t begin, int64_t end) {
      copy_row(from + begin * strides[outer], strides[outer], end - begin, to + begin);
    });
    return;
  }
  pool.parallel_for(rows, rows_per_grain(row), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* source = from + locate(i, dims, strides, outer);
      if (plane)
        copy_plane(source, dims.data() + outer, strides.data() + outer, to + i * row);
      else
        copy_row(source, strides[outer], row, to + i * row);
    }
  });
}

}  // namespace

std::size_t element_bytes(Dtype dtype) {
  if (dtype == Dtype::string) return sizeof(std::string);
  const int bits = bits_of(dtype);
  return bits % 8 == 0 ? static_cast<std::size_t>(bits / 8) : 0;
}

std::string refuse_packed(const KernelContext& context) {
  const Dtype dtype = context.output_dtype(0);
  if (dtype == Dtype::undefined) return "the element type is not known";
  return element_bytes(dtype) == 0 ? fmt::format("elements of {} are packed", to_string(dtype))
                                   : std::string();
}

std::vector<int64_t> row_major(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

void copy_strided(const StridedSource& source, void* out, Dtype dtype, ThreadPool& pool) {
  std::vector<int64_t> dims = source.dims;
  std::vector<int64_t> strides = source.strides;
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return;
  merge(dims, strides);
  if (dims.empty()) {
    dims = {1};
    strides = {1};
  }
  dispatch_element(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    copy_typed(static_cast<const T*>(source.data) + source.offset, dims, strides,
               static_cast<T*>(out), pool);
  });
}

void copy_all(const Tensor& from, Tensor& to, ThreadPool& pool) {
  if (from.data() == to.data() || from.size() == 0) return;
  copy_strided({from.data(), 0, {from.size()}, {1}}, to.data(), from.dtype(), pool);
}

int64_t checked_index(int64_t index, int64_t size, const std::string& label) {
  const int64_t position = index < 0 ? index + size : index;
  if (position < 0 || position >= size) {
    fail(Errc::invalid_argument, "{} index {} is out of range: the axis has {} elements", label,
         index, size);
  }
  return position;
}

}  // namespace tercel::ops

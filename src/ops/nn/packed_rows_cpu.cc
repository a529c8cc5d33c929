// From a padding mask to the rows of real tokens, and back from rows to the padded shape.

#include <algorithm>
#include <cstring>
#include <numeric>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

// valid = mask != 0.
void read_mask(const Tensor& mask, Tensor& valid) {
  dispatch_dtype(mask.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = elements<T>(mask);
    bool* to = elements<bool>(valid);
    for (int64_t i = 0; i < mask.size(); ++i) to[i] = load(from[i]) != 0;
  });
}

// Where the sequences begin among the rows of real tokens; among all places where a sequence is not
// one or more ones, then zeros.
void find_offsets(const Tensor& valid, std::span<int64_t> offsets) {
  const int64_t length = valid.shape()[1];
  const auto size = static_cast<std::size_t>(length);
  const bool* sequence = elements<bool>(valid);
  bool plain = length > 0;
  offsets[0] = 0;
  for (std::size_t b = 0; plain && b + 1 < offsets.size(); ++b, sequence += length) {
    const void* end = std::memchr(sequence, 0, size);
    const int64_t tokens = end == nullptr ? length : static_cast<const bool*>(end) - sequence;
    plain = tokens > 0 &&
            std::memchr(sequence + tokens, 1, static_cast<std::size_t>(length - tokens)) == nullptr;
    offsets[b + 1] = offsets[b] + tokens;
  }
  for (std::size_t b = 0; !plain && b < offsets.size(); ++b)
    offsets[b] = static_cast<int64_t>(b) * length;
}

// A few numbers of rows stand for all, so that batches share plans, recordings and the choice of
// kernels: multiples of 64 below 2,048, then steps of a sixteenth to a thirty-second. A row for
// every place is left to a batch of which each is real.
int64_t rows_on_device(int64_t tokens, int64_t places) {
  int64_t step = 64;
  while (32 * step <= tokens) step *= 2;
  const int64_t rows = (tokens + step - 1) / step * step;
  return tokens == places ? tokens : std::min(rows, places - 1);
}

// For a device there may be rows behind those of the last sequence: they repeat its last, and
// nothing reads what becomes of them.
class PackKernel final : public CpuKernel {
 public:
  explicit PackKernel(const KernelContext& context) : for_device_(context.device != nullptr) {}
  bool allocates_outputs() const override { return true; }

  void run(const KernelRun& run) const override {
    const Tensor& mask = run.inputs[0];
    const int64_t batch = mask.shape()[0];
    const int64_t length = mask.shape()[1];
    Tensor valid = make(run, Dtype::boolean, mask.shape());
    read_mask(mask, valid);
    Tensor offsets = make(run, Dtype::i64, {batch + 1});
    const std::span begins = offsets.values<int64_t>();
    find_offsets(valid, begins);
    const int64_t tokens = begins.back();
    const int64_t count = for_device_ ? rows_on_device(tokens, valid.size()) : tokens;
    Tensor rows = make(run, Dtype::i64, {count});
    Tensor positions = make(run, Dtype::i64, {count});
    Tensor first = make(run, Dtype::i64, {batch});
    std::copy_n(begins.begin(), batch, elements<int64_t>(first));
    auto* row = elements<int64_t>(rows);
    auto* position = elements<int64_t>(positions);
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t begin = elements<int64_t>(offsets)[b];
      const int64_t of_sequence = elements<int64_t>(offsets)[b + 1] - begin;
      std::iota(row + begin, row + begin + of_sequence, b * length);
      std::iota(position + begin, position + begin + of_sequence, 0);
    }
    for (int64_t i = tokens; i < count; ++i) {
      row[i] = row[i - 1];
      position[i] = position[i - 1];
    }
    run.outputs[0] = std::move(rows);
    run.outputs[1] = std::move(offsets);
    run.outputs[2] = std::move(positions);
    run.outputs[3] = std::move(first);
    run.outputs[4] = std::move(valid);
  }

 private:
  static Tensor make(const KernelRun& run, Dtype dtype, const Shape& shape) {
    return allocate_tensor(dtype, shape, run.memory, "the index of packed rows");
  }

  bool for_device_;
};

class UnpackKernel final : public CpuKernel {
 public:
  explicit UnpackKernel(const KernelContext& context) : label_(context.node.label()) {}
  bool in_place(int input) const override { return input == 0; }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const bool* valid = elements<bool>(run.inputs[2]);
    const int64_t places = run.inputs[2].size();
    const auto rows = run.inputs[1].values<int64_t>();
    check(rows, x.shape()[0], places);
    const std::size_t bytes = bytes_of(x.dtype(), product(x.shape(), 1, x.rank()));
    const auto* from = static_cast<const std::byte*>(x.data());
    auto* to = static_cast<std::byte*>(run.outputs[0].data());
    const int64_t grain = rows_per_grain(static_cast<int64_t>(bytes));
    run.pool.parallel_for(places, grain, [&](int64_t begin, int64_t end) {
      const auto next = std::lower_bound(rows.begin(), rows.end(), begin);
      auto row = static_cast<std::size_t>(next - rows.begin());
      for (int64_t place = begin; place < end; ++place) {
        std::byte* out = to + static_cast<std::size_t>(place) * bytes;
        const bool found = row < rows.size() && rows[row] == place;
        if (!found || !valid[place])
          std::memset(out, 0, bytes);
        else if (out != from + row * bytes)
          std::memcpy(out, from + row * bytes, bytes);
        row += found ? 1 : 0;
      }
    });
  }

 private:
  // With as many rows as places, x may lie where the output does: each row is then at its own. With
  // fewer, the last row may be repeated.
  void check(std::span<const int64_t> rows, int64_t count, int64_t places) const {
    bool fits = static_cast<int64_t>(rows.size()) == count;
    for (std::size_t i = 0; fits && i < rows.size(); ++i) {
      const int64_t before = i == 0 ? -1 : rows[i - 1];
      const bool repeated = i > 0 && rows[i] == before && rows[i] == rows.back() && count < places;
      fits = (rows[i] > before || repeated) && rows[i] < places;
    }
    if (!fits) {
      fail(Errc::invalid_argument, "{} has {} rows; its {} indices are not theirs among {} places",
           label_, count, rows.size(), places);
    }
  }

  std::string label_;
};

constexpr CpuImplementation kPack[] = {
    {"packed_rows", refuse_input0<AllTypes>, create_kernel<PackKernel>}};
constexpr CpuImplementation kUnpack[] = {
    {"unpacked_rows", refuse_input0<AllTypes>, create_kernel<UnpackKernel>}};
constexpr CpuOp kPackedRowsOps[] = {{"tercel", "PackedRows", kPack},
                                    {"tercel", "UnpackedRows", kUnpack}};

}  // namespace

CpuFamily packed_rows_cpu_ops() { return kPackedRowsOps; }

}  // namespace tercel::ops

#include "src/ops/rnn/recurrent_cpu.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "src/base/checked.h"

namespace tercel::ops {
namespace {

const float* floats_or_null(const KernelRun& run, std::size_t index) {
  return index < run.inputs.size() && run.inputs[index].defined()
             ? elements<float>(run.inputs[index])
             : nullptr;
}

float* output_or_null(const KernelRun& run, std::size_t index) {
  return index < run.outputs.size() && run.outputs[index].defined()
             ? elements<float>(run.outputs[index])
             : nullptr;
}

std::size_t float_bytes(int64_t a, int64_t b, int64_t c = 1) {
  return workspace_bytes(bytes_of(Dtype::f32, checked_mul(checked_mul(a, b), c)));
}

}  // namespace

RecurrentKernel::RecurrentKernel(const KernelContext& context, std::vector<int> parts)
    : gates_(std::accumulate(parts.begin(), parts.end(), 0)),
      kernels_(kernels::cpu_kernels(context.isa)),
      label_(context.node.label()),
      parts_(std::move(parts)),
      layout_(context.node.int_or("layout", 0)),
      direction_(context.node.string_or("direction", "forward")),
      clip_(context.node.float_or("clip", 0.0F)),
      constant_(context.constant(1) != nullptr && context.constant(2) != nullptr) {
  if (!constant_) return;
  const Shape& w = context.constant(1)->shape();
  packed_sizes_ = {.input = w[2], .hidden = w[1] / gates_, .directions = w[0]};
  const auto bytes = factor_bytes(packed_sizes_);
  const std::size_t each = std::accumulate(bytes.begin(), bytes.end(), std::size_t{0});
  packed_ = context.memory.allocate(each * static_cast<std::size_t>(packed_sizes_.directions),
                                    "packed weight");
  pack(elements<float>(*context.constant(1)), elements<float>(*context.constant(2)), packed_sizes_,
       packed_->data(), context.pool);
}

std::vector<std::size_t> RecurrentKernel::factor_bytes(const Sizes& sizes) const {
  const auto bytes = [&](int64_t k, int64_t n) {
    return workspace_bytes(kernels_.gemm.packed_bytes(k, n, Dtype::f32));
  };
  std::vector<std::size_t> all{bytes(sizes.input, gates_ * sizes.hidden)};
  for (const int part : parts_) all.push_back(bytes(sizes.hidden, part * sizes.hidden));
  return all;
}

void RecurrentKernel::pack(const float* w, const float* r, const Sizes& sizes, std::byte* to,
                           ThreadPool& pool) const {
  const auto bytes = factor_bytes(sizes);
  const auto factor = [&](const float* from, int64_t k, int64_t n, std::size_t index) {
    kernels_.gemm.pack_b({.k = k, .n = n, .b = from, .k_stride = 1, .n_stride = k, .out = to},
                         pool);
    to += bytes[index];
    return from + k * n;
  };
  for (int64_t d = 0; d < sizes.directions; ++d) {
    w = factor(w, sizes.input, gates_ * sizes.hidden, 0);
    for (std::size_t i = 0; i < parts_.size(); ++i)
      r = factor(r, sizes.hidden, parts_[i] * sizes.hidden, i + 1);
  }
}

RecurrentKernel::Sizes RecurrentKernel::sizes_of(std::span<const Shape> inputs) const {
  Sizes sizes = packed_sizes_;
  sizes.steps = inputs[0][layout_ == 0 ? 0 : 1];
  sizes.batch = inputs[0][layout_ == 0 ? 1 : 0];
  sizes.input = inputs[0][2];
  if (!constant_) {
    sizes.hidden = inputs[2][2];
    sizes.directions = inputs[2][0];
  }
  return sizes;
}

std::size_t RecurrentKernel::workspace(std::span<const Shape> inputs, std::span<const Shape>,
                                       int) const {
  const Sizes sizes = sizes_of(inputs);
  const int64_t row = checked_mul(gates_, sizes.hidden);
  std::size_t bytes = float_bytes(checked_mul(sizes.steps, sizes.batch), row) +
                      float_bytes(sizes.batch, row) + 3 * float_bytes(sizes.batch, sizes.hidden);
  if (constant_) return bytes;
  for (const std::size_t factor : factor_bytes(sizes))
    bytes += factor * static_cast<std::size_t>(sizes.directions);
  return bytes;
}

void RecurrentKernel::run(const KernelRun& run) const {
  std::vector<Shape> shapes;
  for (const Tensor& input : run.inputs) shapes.push_back(input.shape());
  const Sizes sizes = sizes_of(shapes);
  std::byte* free = run.workspace;
  const auto take = [&](std::size_t bytes) {
    std::byte* taken = free;
    free += bytes;
    return reinterpret_cast<float*>(taken);
  };
  const int64_t row = gates_ * sizes.hidden;
  float* projected = take(float_bytes(sizes.steps * sizes.batch, row));
  float* recurrent = take(float_bytes(sizes.batch, row));
  float* hidden = take(float_bytes(sizes.batch, sizes.hidden));
  float* cell = take(float_bytes(sizes.batch, sizes.hidden));
  float* scratch = take(float_bytes(sizes.batch, sizes.hidden));
  const std::byte* factors = constant_ ? packed_->data() : free;
  if (!constant_)
    pack(elements<float>(run.inputs[1]), elements<float>(run.inputs[2]), sizes, free, run.pool);
  if (float* y = output_or_null(run, 0)) std::fill_n(y, run.outputs[0].size(), 0.0F);

  const auto bytes = factor_bytes(sizes);
  const float* bias = floats_or_null(run, 3);
  for (int d = 0; d < static_cast<int>(sizes.directions); ++d) {
    Pass pass{run,    sizes,     d,         {},     bias != nullptr ? bias + d * 2 * row : nullptr,
              {},     projected, recurrent, hidden, cell,
              scratch};
    for (const std::size_t size : bytes) {
      pass.factors.push_back(factors);
      factors += size;
    }
    project(pass);
    walk(pass, direction_ == "reverse" || d == 1);
  }
}

void RecurrentKernel::project(Pass& pass) const {
  const Sizes& sizes = pass.sizes;
  const int64_t row = gates_ * sizes.hidden;
  if (pass.bias != nullptr) {
    pass.summed.assign(pass.bias, pass.bias + row);
    for (int64_t i = 0; i < apart_from() * sizes.hidden; ++i)
      pass.summed[static_cast<std::size_t>(i)] += pass.bias[row + i];
  }
  kernels_.gemm.gemm({.m = sizes.steps * sizes.batch,
                      .n = row,
                      .k = sizes.input,
                      .a = elements<float>(pass.run.inputs[0]),
                      .a_row = sizes.input,
                      .packed_b = pass.factors[0],
                      .c = pass.projected,
                      .c_row = row,
                      .epilogue = {.bias = pass.bias != nullptr ? pass.summed.data() : nullptr}},
                     pass.run.pool);
}

void RecurrentKernel::multiply(const Pass& pass, std::size_t part, const float* from) const {
  const int64_t hidden = pass.sizes.hidden;
  const int64_t before =
      std::accumulate(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(part), 0);
  kernels_.gemm.gemm({.m = pass.sizes.batch,
                      .n = parts_[part] * hidden,
                      .k = hidden,
                      .a = from,
                      .a_row = hidden,
                      .packed_b = pass.factors[part + 1],
                      .c = pass.recurrent + before * hidden,
                      .c_row = gates_ * hidden},
                     pass.run.pool);
}

void RecurrentKernel::clip(float* x, int64_t count) const {
  if (clip_ <= 0) return;
  for (int64_t i = 0; i < count; ++i) x[i] = std::clamp(x[i], -clip_, clip_);
}

int64_t RecurrentKernel::length_of(const KernelRun& run, const Sizes& sizes,
                                   int64_t sequence) const {
  if (run.inputs.size() <= 4 || !run.inputs[4].defined()) return sizes.steps;
  const int64_t length = run.inputs[4].values<int32_t>()[static_cast<std::size_t>(sequence)];
  if (length < 0 || length > sizes.steps) {
    fail(Errc::invalid_argument, "{} sequence_lens has {}; expected 0 to {}", label_, length,
         sizes.steps);
  }
  return length;
}

void RecurrentKernel::walk(const Pass& pass, bool backwards) const {
  const Sizes& s = pass.sizes;
  const bool by_step = layout_ == 0;
  const int64_t d = pass.direction;
  const auto state = [&](int64_t b) {
    return (by_step ? d * s.batch + b : b * s.directions + d) * s.hidden;
  };
  const auto size = static_cast<std::size_t>(s.hidden) * sizeof(float);
  const auto load_state = [&](const float* from, float* to) {
    for (int64_t b = 0; b < s.batch; ++b) {
      if (from != nullptr)
        std::memcpy(to + b * s.hidden, from + state(b), size);
      else
        std::memset(to + b * s.hidden, 0, size);
    }
  };
  load_state(floats_or_null(pass.run, 5), pass.hidden);
  load_state(floats_or_null(pass.run, 6), pass.cell);

  float* y = output_or_null(pass.run, 0);
  std::vector<Row> rows;
  for (int64_t i = 0; i < s.steps; ++i) {
    rows.clear();
    std::vector<float*> targets;
    for (int64_t b = 0; b < s.batch; ++b) {
      const int64_t length = length_of(pass.run, s, b);
      if (i >= length) continue;
      const int64_t t = backwards ? length - 1 - i : i;
      const int64_t row = by_step ? t * s.batch + b : b * s.steps + t;
      rows.push_back({pass.projected + row * gates_ * s.hidden,
                      pass.recurrent + b * gates_ * s.hidden, pass.hidden + b * s.hidden,
                      pass.cell + b * s.hidden});
      const int64_t place =
          by_step ? (t * s.directions + d) * s.batch + b : (b * s.steps + t) * s.directions + d;
      targets.push_back(y != nullptr ? y + place * s.hidden : nullptr);
    }
    if (rows.empty()) break;
    step(pass, rows);
    for (std::size_t j = 0; j < rows.size(); ++j) {
      if (targets[j] != nullptr) std::memcpy(targets[j], rows[j].hidden, size);
    }
  }
  const auto keep = [&](const float* from, float* to) {
    for (int64_t b = 0; to != nullptr && b < s.batch; ++b)
      std::memcpy(to + state(b), from + b * s.hidden, size);
  };
  keep(pass.hidden, output_or_null(pass.run, 1));
  keep(pass.cell, output_or_null(pass.run, 2));
}

}  // namespace tercel::ops

#include "src/ops/nn/attention_problem_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tercel::ops {
namespace {

using kernels::AttentionArgs;
using kernels::HeadStrides;

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// One of Q, K, V as [batch, heads, length, size].
struct Heads {
  int64_t batch, heads, length, size;
  HeadStrides strides;

  Heads(const Shape& shape, int64_t given_heads) {
    batch = shape[0];
    if (shape.size() == 4) {
      heads = shape[1];
      length = shape[2];
      size = shape[3];
      strides = {heads * length * size, length * size, size};
    } else {
      heads = given_heads;
      length = shape[1];
      size = shape[2] / heads;
      strides = {length * shape[2], size, shape[2]};
    }
  }
};

const Tensor* optional_input(const KernelRun& run, std::size_t index) {
  return run.inputs.size() > index && run.inputs[index].defined() ? &run.inputs[index] : nullptr;
}
Tensor* optional_output(const KernelRun& run, std::size_t index) {
  return run.outputs.size() > index && run.outputs[index].defined() ? &run.outputs[index] : nullptr;
}

// present[b, h] = past[b, h] then the new rows.
void append_rows(const Tensor* past, const Tensor& fresh, const Heads& heads, std::byte* present) {
  const std::size_t element = bytes_of(fresh.dtype(), 1);
  const auto row = static_cast<std::size_t>(heads.size) * element;
  const int64_t before = past != nullptr ? past->shape()[2] : 0;
  const auto* from = static_cast<const std::byte*>(fresh.data());
  if (row == 0) return;
  for (int64_t item = 0; item < heads.batch * heads.heads; ++item) {
    if (before > 0) {
      const auto bytes = static_cast<std::size_t>(before) * row;
      std::memcpy(
          present,
          static_cast<const std::byte*>(past->data()) + static_cast<std::size_t>(item) * bytes,
          bytes);
      present += bytes;
    }
    const int64_t start =
        item / heads.heads * heads.strides.batch + item % heads.heads * heads.strides.head;
    for (int64_t i = 0; i < heads.length; ++i, present += row) {
      const int64_t at = start + i * heads.strides.row;
      std::memcpy(present, from + static_cast<std::size_t>(at) * element, row);
    }
  }
}

void set_mask(const AttentionAttributes& attributes, const Tensor& mask,
              AttentionProblem& problem) {
  AttentionArgs& args = problem.args;
  const Shape& shape = mask.shape();
  const int64_t full[4] = {args.batch, args.q_heads, args.q_length, args.kv_length};
  int64_t strides[4] = {};
  int64_t stride = 1;
  const auto clash = [&] {
    fail(Errc::invalid_argument, "{} a mask of shape {} does not fit scores of shape {}x{}x{}x{}",
         attributes.label, to_string(shape), full[0], full[1], full[2], full[3]);
  };
  if (shape.size() > 4 || shape.empty()) clash();
  for (std::size_t back = 0; back < shape.size(); ++back) {
    const int64_t size = shape[shape.size() - 1 - back];
    const std::size_t at = 3 - back;
    // The keys beyond a mask that is shorter than they are masked.
    if (back == 0 ? size > full[at] : size != full[at] && size != 1) clash();
    strides[at] = size == 1 && back > 0 ? 0 : stride;
    stride *= size;
  }
  args.kv_length = shape.back();
  args.mask_batch = strides[0];
  args.mask_head = strides[1];
  args.mask_query = strides[2];
  args.mask_key = 1;
  problem.mask = mask.data();
  problem.mask_is_boolean = mask.dtype() == Dtype::boolean;
}

void set_lengths(const AttentionAttributes& attributes, const Tensor& lengths, AttentionArgs& args,
                 std::byte* workspace) {
  const auto values = lengths.values<int64_t>();
  if (lengths.size() != args.batch)
    fail(Errc::invalid_argument, "{} nonpad_kv_seqlen has {} elements for a batch of {}",
         attributes.label, lengths.size(), args.batch);
  auto* kept = reinterpret_cast<int64_t*>(workspace);
  int64_t* offsets = kept + args.batch;
  for (std::size_t b = 0; b < values.size(); ++b) {
    if (values[b] < 0)
      fail(Errc::invalid_argument, "{} nonpad_kv_seqlen has {}", attributes.label, values[b]);
    kept[b] = std::min(values[b], args.kv_length);
    offsets[b] = values[b] - args.q_length;
  }
  args.kv_lengths = kept;
  args.position_offsets = offsets;
}

void set_cache(const KernelRun& run, const AttentionAttributes& attributes,
               AttentionProblem& problem, std::byte* workspace) {
  const std::size_t element = bytes_of(run.inputs[1].dtype(), 1);
  AttentionArgs& args = problem.args;
  for (std::size_t i = 0; i < 2; ++i) {  // key, value
    const Heads heads(run.inputs[1 + i].shape(), attributes.kv_heads);
    const Tensor* past = optional_input(run, 4 + i);
    const Shape expected{heads.batch, heads.heads, args.position_offset, heads.size};
    if (past != nullptr && past->shape() != expected)
      fail(Errc::invalid_argument, "{} input {} has shape {}; expected {}", attributes.label, 4 + i,
           to_string(past->shape()), to_string(expected));
    Tensor* present = optional_output(run, 1 + i);
    auto* to = present != nullptr ? static_cast<std::byte*>(present->data()) : workspace;
    append_rows(past, run.inputs[1 + i], heads, to);
    const int64_t plane = args.kv_length * heads.size;
    (i == 0 ? problem.k : problem.v) = to;
    (i == 0 ? args.k_strides : args.v_strides) = {heads.heads * plane, plane, heads.size};
    workspace += aligned(static_cast<std::size_t>(heads.batch * heads.heads * plane) * element);
  }
}

}  // namespace

AttentionAttributes::AttentionAttributes(const ir::Node& node)
    : q_heads(node.int_or("q_num_heads", 0)),
      kv_heads(node.int_or("kv_num_heads", 0)),
      softcap(node.float_or("softcap", 0.0F)),
      causal(node.int_or("is_causal", 0) != 0),
      left_window(node.int_or("left_window_size", -1)),
      right_window(node.int_or("right_window_size", -1)),
      scores_mode(node.int_or("qk_matmul_output_mode", 0)),
      label(node.label()) {
  if (node.has_attribute("scale")) scale = node.float_or("scale", 1.0F);
}

AttentionArgs attention_sizes(const AttentionAttributes& attributes, const Shape& q, const Shape& k,
                              const Shape& v, const Shape& past_key) {
  const Heads queries(q, attributes.q_heads);
  const Heads keys(k, attributes.kv_heads);
  const Heads values(v, attributes.kv_heads);
  AttentionArgs args;
  args.batch = queries.batch;
  args.q_heads = queries.heads;
  args.kv_heads = keys.heads;
  args.q_length = queries.length;
  args.position_offset = past_key.size() == 4 ? past_key[2] : 0;
  args.kv_length = args.position_offset + keys.length;
  args.head_size = queries.size;
  args.v_head_size = values.size;
  args.q_strides = queries.strides;
  args.k_strides = keys.strides;
  args.v_strides = values.strides;
  Shape out = q;
  out.back() = q.size() == 3 ? queries.heads * values.size : values.size;
  args.out_strides = Heads(out, attributes.q_heads).strides;
  args.scale = attributes.scale.value_or(1.0F / std::sqrt(static_cast<float>(queries.size)));
  args.softcap = attributes.softcap;
  args.left_window = attributes.left_window;
  args.right_window = attributes.right_window;
  if (attributes.causal) args.right_window = 0;
  return args;
}

std::size_t attention_problem_bytes(const AttentionArgs& sizes, std::size_t element, bool cache) {
  const std::size_t lengths = aligned(2 * static_cast<std::size_t>(sizes.batch) * sizeof(int64_t));
  if (!cache) return lengths;
  const auto rows = static_cast<std::size_t>(sizes.batch * sizes.kv_heads * sizes.kv_length);
  return lengths + aligned(rows * static_cast<std::size_t>(sizes.head_size) * element) +
         aligned(rows * static_cast<std::size_t>(sizes.v_head_size) * element);
}

AttentionProblem attention_problem(const AttentionAttributes& attributes, const KernelRun& run,
                                   std::byte* workspace) {
  const Tensor* past = optional_input(run, 4);
  AttentionProblem problem;
  problem.q = run.inputs[0].data();
  problem.k = run.inputs[1].data();
  problem.v = run.inputs[2].data();
  problem.args = attention_sizes(attributes, run.inputs[0].shape(), run.inputs[1].shape(),
                                 run.inputs[2].shape(), past != nullptr ? past->shape() : Shape());
  const std::size_t lengths = attention_problem_bytes(problem.args, 0, false);
  if (past != nullptr || optional_output(run, 1) != nullptr || optional_output(run, 2) != nullptr)
    set_cache(run, attributes, problem, workspace + lengths);
  if (const Tensor* mask = optional_input(run, 3)) set_mask(attributes, *mask, problem);
  if (const Tensor* valid = optional_input(run, 6))
    set_lengths(attributes, *valid, problem.args, workspace);
  return problem;
}

}  // namespace tercel::ops

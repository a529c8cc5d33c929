// Attention, over padded batches and over packed rows; rotary position embeddings.

#include <cmath>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"

namespace tercel::ops {
namespace {

// One of Q, K, V or the output as [batch, heads, length, size].
struct Heads {
  int64_t batch, heads, length, size;
  cuda::HeadStrides strides;

  Heads(const Shape& shape, int64_t given_heads) : batch(shape[0]) {
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

// No cache and no lengths: what encoders use.
class AttentionKernel final : public Kernel {
 public:
  explicit AttentionKernel(const KernelContext& context) : label_(context.node.label()) {
    const ir::Node& node = context.node;
    q_heads_ = node.int_or("q_num_heads", 0);
    kv_heads_ = node.int_or("kv_num_heads", 0);
    scale_ = node.float_or("scale", 0.0F);
    has_scale_ = node.has_attribute("scale");
    softcap_ = node.float_or("softcap", 0.0F);
    left_window_ = node.int_or("left_window_size", -1);
    right_window_ = node.int_or("right_window_size", -1);
    if (node.int_or("is_causal", 0) != 0) right_window_ = 0;
  }

  void run(const KernelRun& run) const override {
    const Heads q(run.inputs[0].shape(), q_heads_);
    const Heads k(run.inputs[1].shape(), kv_heads_);
    const Heads v(run.inputs[2].shape(), kv_heads_);
    cuda::AttentionArgs args;
    args.type = run.inputs[0].dtype();
    args.batch = q.batch;
    args.q_heads = q.heads;
    args.kv_heads = k.heads;
    args.q_length = q.length;
    args.kv_length = k.length;
    args.head_size = q.size;
    args.v_head_size = v.size;
    args.q = run.inputs[0].data();
    args.k = run.inputs[1].data();
    args.v = run.inputs[2].data();
    args.out = run.outputs[0].data();
    args.q_strides = q.strides;
    args.k_strides = k.strides;
    args.v_strides = v.strides;
    args.out_strides = Heads(run.outputs[0].shape(), q_heads_).strides;
    args.scale = has_scale_ ? scale_ : 1.0F / std::sqrt(static_cast<float>(q.size));
    args.softcap = softcap_;
    args.left_window = left_window_;
    args.right_window = right_window_;
    if (const Tensor* mask = input_of(run, 3)) set_mask(*mask, args);
    cuda::attention(args, stream_of(run));
  }

 private:
  void set_mask(const Tensor& mask, cuda::AttentionArgs& args) const {
    const Shape& shape = mask.shape();
    const int64_t full[4] = {args.batch, args.q_heads, args.q_length, args.kv_length};
    int64_t strides[4] = {};
    int64_t stride = 1;
    bool fits = !shape.empty() && shape.size() <= 4;
    for (std::size_t back = 0; fits && back < shape.size(); ++back) {
      const int64_t size = shape[shape.size() - 1 - back];
      const std::size_t at = 3 - back;
      // The keys beyond a mask that is shorter than they are masked.
      fits = back == 0 ? size <= full[at] : size == full[at] || size == 1;
      strides[at] = size == 1 && back > 0 ? 0 : stride;
      stride *= size;
    }
    if (!fits) {
      fail(Errc::invalid_argument, "{} a mask of shape {} does not fit scores of shape {}x{}x{}x{}",
           label_, to_string(shape), full[0], full[1], full[2], full[3]);
    }
    args.kv_length = shape.back();
    if (mask.dtype() == Dtype::boolean) {
      args.mask_bool = static_cast<const uint8_t*>(mask.data());
      args.bool_batch = strides[0];
      args.bool_head = strides[1];
      args.bool_query = strides[2];
    } else {
      args.mask = mask.data();
      args.mask_batch = strides[0];
      args.mask_head = strides[1];
      args.mask_query = strides[2];
    }
  }

  std::string label_;
  int64_t q_heads_, kv_heads_;
  float scale_, softcap_;
  bool has_scale_;
  int64_t left_window_, right_window_;
};

std::string refuse_attention(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  const ir::Node& node = context.node;
  for (const int input : {1, 2}) {
    if (context.input_dtype(input) != context.input_dtype(0)) return "Q, K and V differ in type";
  }
  const Dtype mask = context.input_dtype(3);
  if (mask != Dtype::undefined && mask != Dtype::boolean && mask != context.input_dtype(0))
    return "the mask has another type than Q";
  if (node.input(4) != nullptr || node.output(1) != nullptr || node.output(2) != nullptr)
    return "has a cache of keys and values";
  if (node.input(6) != nullptr) return "has lengths of its keys";
  if (node.output(3) != nullptr) return "gives its scores";
  return {};
}

// Sequences of rows, one behind the other.
class PackedAttentionKernel final : public Kernel {
 public:
  explicit PackedAttentionKernel(const KernelContext& context) : label_(context.node.label()) {
    const ir::Node& node = context.node;
    base_.type = context.input_dtype(0);
    base_.q_heads = node.int_or("q_num_heads", 1);
    base_.kv_heads = node.int_or("kv_num_heads", 1);
    base_.scale = node.float_or("scale", 1.0F);
    base_.softcap = node.float_or("softcap", 0.0F);
    base_.left_window = window(node, "left_window");
    base_.right_window = window(node, "right_window");
  }

  void run(const KernelRun& run) const override {
    const Shape& q = run.inputs[0].shape();
    const Shape& valid = run.inputs[5].shape();
    const Tensor& bias = run.inputs[6];
    cuda::AttentionArgs args = base_;
    args.batch = valid[0];
    args.q_length = args.kv_length = valid[1];
    args.head_size = q[1] / args.q_heads;
    args.v_head_size = run.inputs[2].shape()[1] / args.kv_heads;
    args.q_strides = {0, args.head_size, q[1]};
    args.k_strides = {0, args.head_size, run.inputs[1].shape()[1]};
    args.v_strides = {0, args.v_head_size, run.inputs[2].shape()[1]};
    args.out_strides = {0, args.v_head_size, args.v_head_size * args.q_heads};
    args.q = run.inputs[0].data();
    args.k = run.inputs[1].data();
    args.v = run.inputs[2].data();
    args.out = run.outputs[0].data();
    args.offsets = elements<int64_t>(run.inputs[3]);
    args.rows = q[0];
    args.error = run.fault;
    if (run.inputs[1].shape()[0] != q[0] || run.inputs[2].shape()[0] != q[0] ||
        run.inputs[3].size() != args.batch + 1) {
      fail(Errc::invalid_argument, "{} its offsets are not those of {} sequences of {} rows in all",
           label_, args.batch, q[0]);
    }
    if (bias.size() > 1) set_bias(bias, args);
    // With a row for every place, some may be no token's.
    if (q[0] == run.inputs[5].size()) {
      args.mask_bool = static_cast<const uint8_t*>(run.inputs[5].data());
      args.bool_batch = valid[1];
    }
    cuda::attention(args, stream_of(run));
  }

 private:
  static int64_t window(const ir::Node& node, const char* name) {
    const int64_t given = node.int_or(name, INT32_MAX);
    return given < 0 || given >= INT32_MAX ? -1 : given;
  }

  void set_bias(const Tensor& bias, cuda::AttentionArgs& args) const {
    const Shape& shape = bias.shape();
    if (shape.size() != 4 || shape[0] != 1 || (shape[1] != 1 && shape[1] != args.q_heads) ||
        shape[2] != args.q_length || shape[3] != args.kv_length) {
      fail(Errc::invalid_argument, "{} a bias of shape {} does not fit {} heads and {} places",
           label_, to_string(shape), args.q_heads, args.q_length);
    }
    args.mask = bias.data();
    args.mask_query = args.q_length;
    args.mask_head = shape[1] == 1 ? 0 : args.q_length * args.kv_length;
  }

  cuda::AttentionArgs base_;
  std::string label_;
};

class RotaryKernel final : public Kernel {
 public:
  explicit RotaryKernel(const KernelContext& context)
      : heads_(context.node.int_or("num_heads", 0)),
        rotated_(context.node.int_or("rotary_embedding_dim", 0)),
        interleaved_(context.node.int_or("interleaved", 0) != 0),
        label_(context.node.label()) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Heads x(run.inputs[0].shape(), heads_);
    const Tensor* ids = input_of(run, 3);
    cuda::RotaryArgs args;
    args.type = run.inputs[0].dtype();
    args.batch = x.batch;
    args.heads = x.heads;
    args.length = x.length;
    args.head_size = x.size;
    args.rotary = rotated_ > 0 ? rotated_ : x.size;
    args.x = run.inputs[0].data();
    args.y = run.outputs[0].data();
    args.x_strides = args.y_strides = x.strides;
    args.interleaved = interleaved_;
    args.cosines = run.inputs[1].data();
    args.sines = run.inputs[2].data();
    args.position_ids = ids != nullptr ? elements<int64_t>(*ids) : nullptr;
    args.positions = run.inputs[1].shape()[0];
    args.error = run.fault;
    check(run, x, args.rotary / 2, ids);
    cuda::rotary_embedding(args, stream_of(run));
  }

 private:
  void check(const KernelRun& run, const Heads& x, int64_t half, const Tensor* ids) const {
    const int64_t tokens = x.batch * x.length;
    for (std::size_t i = 1; i <= 2; ++i) {
      const Shape& cache = run.inputs[i].shape();
      const bool rows = ids != nullptr || half == 0 || run.inputs[i].size() / half == tokens;
      if (cache.back() != half || !rows) {
        fail(Errc::invalid_argument, "{} input {} has shape {}; expected rows of {} elements",
             label_, i, to_string(cache), half);
      }
    }
    if (ids != nullptr && ids->size() != tokens)
      fail(Errc::invalid_argument, "{} has {} positions for {} tokens", label_, ids->size(),
           tokens);
  }

  int64_t heads_;
  int64_t rotated_;
  bool interleaved_;
  std::string label_;
};

class UnpackedRowsKernel final : public Kernel {
 public:
  explicit UnpackedRowsKernel(const KernelContext& context) : label_(context.node.label()) {}
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    if (run.inputs[1].size() != x.shape()[0]) {
      fail(Errc::invalid_argument, "{} has {} rows and {} indices of rows", label_, x.shape()[0],
           run.inputs[1].size());
    }
    cuda::unpacked_rows({.element_bytes = element_bytes_of(x.dtype()),
                         .tokens = x.shape()[0],
                         .places = run.inputs[2].size(),
                         .row = product(x.shape(), 1, x.rank()),
                         .x = x.data(),
                         .rows = elements<int64_t>(run.inputs[1]),
                         .valid = static_cast<const uint8_t*>(run.inputs[2].data()),
                         .out = run.outputs[0].data(),
                         .error = run.fault},
                        stream_of(run));
  }

 private:
  std::string label_;
};

constexpr Implementation kAttention[] = {
    {"attention", refuse_attention, create_kernel<AttentionKernel>}};
constexpr Implementation kPacked[] = {
    {"packed_attention", refuse_unless_float, create_kernel<PackedAttentionKernel>}};
constexpr Implementation kRotary[] = {
    {"rotary_embedding", refuse_unless_float, create_kernel<RotaryKernel>}};
constexpr Implementation kUnpacked[] = {
    {"unpacked_rows", refuse_unless_bytes, create_kernel<UnpackedRowsKernel>}};
constexpr OperatorKernels kOps[] = {{"", "Attention", kAttention},
                                    {"", "RotaryEmbedding", kRotary},
                                    {"tercel", "PackedAttention", kPacked},
                                    {"tercel", "UnpackedRows", kUnpacked}};

}  // namespace

CudaFamily attention_cuda_ops() { return kOps; }

}  // namespace tercel::ops

#pragma once
// Implementations of operators on a device, the CPU or another. Each operator has an ordered list;
// the first that accepts a node runs it, those that refuse say why (shown by --explain).
//
// Life of a kernel: accept() and create() once when a session is made (element types and constants
// are known, dimensions may not be; weights are packed here); workspace() when a plan for concrete
// shapes is made; run() for every request, from several threads at once, on the plan's memory. On a
// device run() only queues its work.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/device/cpu_isa.h"
#include "src/device/memory.h"
#include "src/device/uploads.h"
#include "src/ir/model.h"
#include "src/ops/infer.h"
#include "tercel/tensor.h"

namespace tercel::ops {

enum class Activation { none, relu, gelu_erf, gelu_tanh, silu, tanh, sigmoid };

// LayerNormalization along the last axis by constants of [N].
struct Normalization {
  Tensor scale;
  Tensor bias;  // may be undefined
  float epsilon = 0;
};

// Numbers of a tercel.QLinearAdd, whose addends and sum are of bytes.
struct LinearSum {
  float own_scale = 1, residual_scale = 1;  // over that of the sum
  int32_t residual_zero = 0, zero = 0;
};

// What the plan found behind a MatMul, Gemm or Conv and asks to be computed with it, in this order:
// y = norm(last(activation(x·w + bias) + residual)). The residual becomes the kernel's last input.
struct Epilogue {
  Tensor bias;  // constant, [N]; may be undefined
  Activation activation = Activation::none;
  bool residual = false;
  Activation last = Activation::none;  // of a Conv with a constant weight alone
  std::optional<LinearSum> sum;        // of a QLinearConv: how the residual is added
  std::optional<Normalization> norm;   // of all but Conv

  bool empty() const;
};

// A product of the same input 0 that is computed in the same step as the node, with an output of
// its own behind the node's.
struct Sibling {
  const ir::Node& node;
  Epilogue epilogue;
};

// Rows of a constant table that are looked up, and added to those of the other lookups: for row r
// of the output, row index[r], or index[pick[r]]. Where there are fewer of them they start again.
struct Lookup {
  Tensor table;   // [size, N]
  int index = 0;  // which of the kernel's inputs, i64; -1: none, row 0 is for all
  int pick = -1;  // likewise; -1: none
};

// Which values of a node, or of a group of nodes, lie channels last: as [N, H, W, C] under the
// shape [N, C, H, W]. A decision of the plan; all others lie as their shape says.
struct Layouts {
  bool input = false;   // input 0
  bool output = false;  // output 0, and the residual
};

// Which values of a node, or of a group of nodes, are held rounded though the graph has them in
// f32: what a product gives to others, which would round it. On the CPU they are of bf16; on a
// device of KernelContext::product_dtype, in the memory that they would take otherwise. A decision
// of the plan.
struct Rounding {
  bool input = false;   // input 0
  bool output = false;  // output 0
};

// What a kernel is chosen and made from.
struct KernelContext {
  const ir::Node& node;
  const Facts& facts;
  CpuIsa isa;
  ThreadPool& pool;   // for packing
  Allocator& memory;  // for packed weights: of the device
  // How f32 is kept, f32, f16 or bf16: packed weights by the CPU, every f32 value by another
  // device.
  Dtype weight_dtype;
  Epilogue epilogue;           // only implementations with `epilogues` see one that is not empty
  Layouts layouts = {};        // only implementations with `layouts` see any channels last
  Device* device = nullptr;    // that the kernel is for; null: the CPU
  Uploads* uploads = nullptr;  // to that device: what was added is there when run() is called
  std::span<const Sibling> siblings = {};  // only implementations with `siblings` see any
  Rounding rounding = {};  // only implementations with `rounding` see any that is true
  // What the node, a LayerNormalization by constants, normalises instead of its input 0. The
  // kernel's inputs are those that the lookups name. Only implementations with `lookups` see any.
  std::span<const Lookup> lookups = {};
  // What both sides of a product with a constant weight are rounded to; undefined: they stay as
  // they are kept. On a device f8e4m3fn or i8, where that is worth it; the CPU is told what was
  // done to the model as it was loaded, i8 or i4.
  Dtype product_dtype = Dtype::undefined;
  // On a device: the bits of a product's row may not depend on the number of rows.
  bool batch_invariant = false;

  KernelContext of(const Sibling& sibling) const;  // of the sibling alone

  // As the kernel will see it in memory; undefined when left out.
  Dtype input_dtype(int index) const;
  Dtype output_dtype(int index) const;
  // As the graph says.
  Dtype declared_dtype(int index) const;
  const Tensor* constant(int index) const;  // of an initializer; null otherwise
};

// A constant seen through Transpose and Cast nodes: what a kernel that packs weights starts from.
struct ConstantSource {
  Tensor tensor;            // as stored: [K,N], or [N,K] when transposed
  bool transposed = false;  // the last two dimensions are swapped
};
// Nothing when the input is not such a constant of rank 2.
std::optional<ConstantSource> constant_source(const KernelContext& context, int index);

// What may end a run early.
struct RunLimits {
  const std::atomic<bool>* cancel = nullptr;
  std::optional<std::chrono::steady_clock::time_point> deadline;

  // Throws Errc::cancelled or Errc::deadline_exceeded.
  void check() const;
};

// The tensors of one run.
struct KernelRun {
  std::span<const Tensor> inputs;  // undefined: left out
  std::span<Tensor>
      outputs;           // undefined: left out, or allocated by the kernel, see allocates_outputs()
  std::byte* workspace;  // 64-byte aligned
  ThreadPool& pool;
  Allocator& memory;      // for outputs whose size only the run knows: see allocate_tensor
  RunLimits limits = {};  // for kernels that run long

  // On a device other than the CPU: where to queue, and where a kernel writes 1 when its data are
  // not what they should be (an index out of range); the run then fails, naming the node.
  Stream* stream = nullptr;
  int* fault = nullptr;
  // These shapes have come before and the run waits for the device: the time to measure which of
  // several ways is fastest.
  bool tune = false;
};

// Elements of the session's own memory, which count against its cap: uninitialised numbers, empty
// strings, undefined tensors. Throws Errc::out_of_memory naming `what`.
Tensor allocate_tensor(Dtype dtype, const Shape& shape, Allocator& memory, const char* what);

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Scratch bytes for inputs and outputs of these shapes (empty shapes for what is left out).
  virtual std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                                int threads) const {
    (void)inputs, (void)outputs, (void)threads;
    return 0;
  }
  virtual void run(const KernelRun& run) const = 0;

  // The input's constant is packed inside: its value is not needed at run time.
  virtual bool absorbs(int input) const {
    (void)input;
    return false;
  }
  // Output 0 may be written over this input's memory when their sizes agree.
  virtual bool in_place(int input) const {
    (void)input;
    return false;
  }
  // All outputs are of one type and shape and must lie one behind the other, at even distances.
  virtual bool outputs_side_by_side() const { return false; }
  // Output shapes depend on the data (NonZero): run() sets the output tensors itself.
  virtual bool allocates_outputs() const { return false; }
  // A kernel of a device reads this input on the host (a shape, axes).
  virtual bool reads_on_host(int input) const {
    (void)input;
    return false;
  }
};

struct Implementation {
  std::string_view name;  // "gemm_f32_packed"
  // Empty when it can run the node, otherwise the reason why not.
  std::string (*refuse)(const KernelContext& context);
  std::unique_ptr<Kernel> (*create)(const KernelContext& context);
  bool epilogues = false;  // takes KernelContext::epilogue
  bool layouts = false;    // heeds KernelContext::layouts, or refuses them
  bool siblings = false;   // computes KernelContext::siblings, or refuses them
  bool rounding = false;   // heeds KernelContext::rounding, or refuses it
  bool lookups = false;    // computes KernelContext::lookups, or refuses them
};

struct OperatorKernels {
  std::string_view domain;
  std::string_view name;
  std::span<const Implementation> implementations;
};

// All operators that a device has implementations of.
class KernelTable {
 public:
  explicit KernelTable(std::span<const std::span<const OperatorKernels>> families);
  // Null when there is none.
  const OperatorKernels* find(std::string_view domain, std::string_view name) const;
  std::span<const OperatorKernels* const> all() const { return all_; }

 private:
  std::vector<const OperatorKernels*> all_;
  std::unordered_multimap<std::string_view, const OperatorKernels*> by_name_;
};

// A kernel for the node, and how it was chosen.
struct Choice {
  std::unique_ptr<Kernel> kernel;  // null: none accepts
  std::string_view implementation;
  std::vector<std::string> refusals;  // "gemm_f32_packed: the weight is not constant"
};
Choice choose_kernel(const KernelTable& table, const KernelContext& context);
// Whether there is one, for the context's layouts.
bool has_kernel(const KernelTable& table, const KernelContext& context);

}  // namespace tercel::ops

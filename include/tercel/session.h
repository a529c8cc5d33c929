#pragma once
// A session: a model made ready to run. Loading reads the file, optimises the graph, chooses
// kernels and packs weights; running only runs.
//
//   auto session = tercel::Session::load("model.onnx", {.threads = 2});
//   auto outputs = session.run({{"input_ids", ids}, {"attention_mask", mask}});

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/error.h"
#include "tercel/export.h"
#include "tercel/named_tensors.h"

namespace tercel {

// Every option of a session is listed here once; the command line and Python read it from this
// struct.
struct SessionOptions {
  // Where to run: "cpu", "cuda" or "cuda:1". What the GPU has no kernel for runs on the CPU. Tasks
  // and tercel::Replicas also take a list, "cpu,cpu": a replica of the model for each entry. With
  // `placement` it is a list of different GPUs, with or without the CPU as the last:
  // "cuda:0,cuda:1,cpu".
  std::string devices = "cpu";
  // "auto": the layers of a model that does not fit the free memory of the first GPU (or
  // `memory_limit`) lie and run on as many of the GPUs as are needed, one stretch of layers each,
  // so that the slowest takes the least time by its measured rates; what they have no room for is
  // the CPU's. Batches go through the devices in parts, side by side, if their rows do not depend
  // on each other, as explain() says. Empty: all of the model must fit.
  std::string placement;
  // Refuse a model of which something would run on the CPU though a GPU was asked for. Integers
  // that only say shapes are not counted, nor are layers that `placement` gives to the CPU.
  bool strict = false;
  // Threads of a request, the caller's among them. 0: as many as the process may use (affinity,
  // cgroup quota), and these are the process's: all sessions and tokenizers that ask for 0 share
  // them. A number: so many of the session's own.
  int threads = 0;
  // How weights are held, and on a GPU every f32 value between operators: f32, f16, bf16; or i8:
  // products of bytes, on the CPU as docs/int8.md says, on a GPU of compute capability 9.0 between
  // values of f16 as docs/fp8.md says, and there likewise f8e4m3fn; or i4, on the CPU: weights of 4
  // bits, as docs/int4.md says. undefined ("auto"), on the CPU: the fastest on this machine of f32,
  // bf16 and i8 that keeps `least_cosine`, tried at load; Session::options() then says which it is,
  // and explain() begins with the reason.
  Dtype dtype = Dtype::f32;
  // For "auto": the least mean cosine to f32 that the rows of float outputs may have. Weights that
  // i8 cannot hold so well stay bf16 or f32.
  float least_cosine = 0.999F;
  // For "auto": inputs to try on, as for Session::run. Empty: some are made up.
  std::vector<std::map<std::string, Tensor>> samples;
  // Bytes that a session may hold for weights and requests together, of the CPU's memory and as
  // many of the GPU's; 0: what the machine, or the process's control group, has. Set it for files
  // that you do not trust: docs/SECURITY.md.
  std::size_t memory_limit = 0;
  // Run the graph as it is in the file when false: no rewriting passes.
  bool optimize = true;
  // Keep which kernels of a GPU were measured to be the fastest, from one process to the next: in
  // $TERCEL_CACHE_DIR, $XDG_CACHE_HOME/tercel or ~/.cache/tercel.
  bool tuning_cache = true;
  // The bits of a row's answer depend on nothing else in its batch, nor on the device of a kind
  // that runs it. On the CPU they never do; on a GPU this is for f16 and bf16: large batches take
  // longer, and convolutions run on the CPU.
  bool deterministic = false;
  // The best instruction set to use: "amx", "avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni",
  // "avx2", "generic"; empty: the machine's best. A machine that lacks the one that is named
  // refuses the session.
  std::string cpu_isa;
  // What a checkpoint is loaded for: "question-answering", "text-classification", …; empty: what
  // its config says.
  std::string task;
  // false: all threads work on a request, which is the shortest time for one caller; requests that
  // meet share the threads. true: each request is computed by its caller alone, at most `threads`
  // of them at a time, and others wait: the most requests a second for many callers.
  bool throughput = false;
  // Keep each worker on a CPU of its own. Callers stay where the system puts them.
  bool pin = false;
  // CPUs, by the system's numbers, that the model is loaded on and that the session's threads stay
  // on, and callers for as long as a request lasts; the weights then lie in the memory near them.
  // Empty: all that the process may use. tercel::Replicas sets it to spread over NUMA nodes.
  std::vector<int> cpus;
};

// One named input or output of a model.
struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::undefined;
  // One entry a dimension: a number, or a symbol such as "batch"; nothing when the rank is unknown.
  std::optional<std::vector<std::string>> shape;
  // In ONNX's textual syntax: "float[batch,128]"; of what is no tensor too: "seq(float[?])",
  // "optional(int64)".
  std::string type;
};

// Set from another thread to stop a run. It is looked at between the steps of a run.
using CancelFlag = std::atomic<bool>;

struct RunOptions {
  const CancelFlag* cancel = nullptr;  // Errc::cancelled once it is true
  std::optional<std::chrono::steady_clock::time_point>
      deadline;  // Errc::deadline_exceeded once it has passed
};

class Session;

// Where the elements of a bound tensor lie: in the host's memory, or in that of the GPU that the
// session runs on, at an address of CUDA's (Tensor::view_of takes it).
enum class Memory { host, device };

// Inputs and outputs bound to memory of the caller's, for runs that allocate nothing, and on a GPU
// need not travel to the host and back.
//
// On the device an input is read when all is done that CUDA's default stream was given before the
// run; what other streams write to it must have ended. Outputs are written when run() returns. What
// a step of the CPU reads is copied to the host (an attention mask, for the number of real tokens),
// so bind that in the host's memory if it is there. Runs are quickest while they find the same
// addresses.
class TERCEL_API IoBinding {
 public:
  // Throws Errc::not_found when the model has no such input or output, Errc::invalid_argument on a
  // wrong type, and for the device's memory where the session has no GPU or is spread over several
  // devices.
  void bind_input(const std::string& name, Tensor tensor, Memory memory = Memory::host);
  // The output is written into `tensor`, whose shape must be the output's in the run.
  void bind_output(const std::string& name, Tensor tensor, Memory memory = Memory::host);
  // The output is left to the session: after a run, output(name) has it.
  void bind_output(const std::string& name);
  const Tensor& output(const std::string& name) const;
  void clear();

 private:
  friend class Session;
  struct State;
  explicit IoBinding(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// What happened at load and what runs have cost so far.
struct SessionStats {
  std::size_t weight_bytes =
      0;                       // held for constants and packed weights, without what is only mapped
  std::size_t peak_bytes = 0;  // most that weights and requests have held together
  std::size_t plans = 0;       // input shapes that have a plan
  double load_milliseconds = 0;
};

// A value with shared ownership: copies refer to one session. All members may be called from many
// threads at once.
class TERCEL_API Session {
 public:
  // `path`: an ONNX file, or a Hugging Face checkpoint's directory. Throws tercel::Error.
  static Session load(const std::filesystem::path& path, const SessionOptions& options = {});

  // A session over the same weights (they are shared, and so is the cap on memory) with `threads`
  // threads of its own, so that both run at full speed side by side. See tercel/replicas.h.
  Session replica(int threads) const;
  // The same session on `cpus` (SessionOptions::cpus), with a copy of the weights of its own, and a
  // cap of its own on memory. Loads the model again, in the types that this one has.
  Session copy(const std::vector<int>& cpus, int threads) const;

  const std::vector<TensorInfo>& inputs() const;
  const std::vector<TensorInfo>& outputs() const;
  // ONNX's metadata_props, among them what a checkpoint's configuration says ("tercel.task").
  const std::map<std::string, std::string>& metadata() const;
  const SessionOptions& options() const;
  // How weights are held: "f32", or of what dtype auto chose "i8, others bf16, among them w1, w2".
  // Sessions of one model, device and instruction set that say the same give the same bits.
  std::string weight_types() const;
  // What was odd about the model but no reason to refuse it, one sentence each.
  const std::vector<std::string>& warnings() const;

  // Runs the model. `wanted`: names of the outputs to compute, all when empty.
  NamedTensors run(const NamedTensors& inputs, const std::vector<std::string>& wanted = {},
                   const RunOptions& options = {}) const;

  IoBinding bind() const;
  void run(IoBinding& binding, const RunOptions& options = {}) const;

  // Which layers lie where, when a model is spread; whether rows of padding are left out, or the
  // operator that needs them; then one line a step: operator, kernel, and why others refused.
  std::string explain() const;
  SessionStats stats() const;

 private:
  friend class IoBinding;
  struct State;
  explicit Session(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace tercel

#include "tercel/session.h"

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>

#include "src/base/fail.h"
#include "src/base/request_threads.h"
#include "src/passes/quantize_dynamic.h"
#include "src/runtime/executor.h"
#include "src/session/info.h"
#include "src/session/load_model.h"

namespace tercel {
namespace {

using Clock = std::chrono::steady_clock;

CpuIsa choose_isa(const std::string& wanted) {
  if (wanted.empty()) return best_cpu_isa();
  const CpuIsa isa = parse_cpu_isa(wanted);
  if (!cpu_has(isa)) {
    fail(Errc::unsupported, "this CPU has no {}; its best is {}", wanted,
         to_string(best_cpu_isa()));
  }
  return isa;
}

// Others widen the bytes first, exactly and slowly.
bool multiplies_bytes(CpuIsa isa) { return isa == CpuIsa::avx2_vnni || isa >= CpuIsa::avx512_vnni; }

void check_options(const SessionOptions& options) {
  constexpr std::array kDtypes{Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i8};
  if (std::find(kDtypes.begin(), kDtypes.end(), options.dtype) == kDtypes.end()) {
    fail(Errc::invalid_argument,
         "dtype {} cannot be chosen for a session; choose f32, f16, bf16 or int8",
         to_string(options.dtype));
  }
  constexpr int kMaxThreads = 1024;
  if (options.threads < 0 || options.threads > kMaxThreads) {
    fail(Errc::invalid_argument, "threads = {}: expected 0 (all that the process may use) to {}",
         options.threads, kMaxThreads);
  }
}

// How f32 values are kept; int8 is a matter of the graph.
Dtype float_dtype(const SessionOptions& options) {
  return options.dtype == Dtype::i8 ? Dtype::f32 : options.dtype;
}

std::unique_ptr<runtime::Accelerator> open_accelerator(const SessionOptions& options) {
  if (find_device(options.devices).kind() == DeviceKind::cpu) return nullptr;
  if (options.dtype == Dtype::i8) {
    fail(Errc::unsupported, "devices = {}: int8 products run on the CPU; choose f32, f16 or bf16",
         options.devices);
  }
  return std::make_unique<runtime::Accelerator>(options.devices, options.memory_limit,
                                                float_dtype(options));
}

std::size_t index_of(std::span<ir::Value* const> values, const std::string& name,
                     const char* kind) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const ir::Value* v) { return v->name() == name; });
  if (found == values.end()) {
    fail(Errc::not_found, "the model has no {} \"{}\"; it has: {}", kind, name, names_of(values));
  }
  return static_cast<std::size_t>(found - values.begin());
}

}  // namespace

namespace {

// What the standard library throws for lack of memory is an Error like any other.
template <class Work>
auto guarded(const std::string& what, const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    fail(Errc::out_of_memory, "{}: the system has no memory left", what);
  } catch (const std::length_error&) {
    fail(Errc::out_of_memory, "{}: more memory is needed than there can be", what);
  }
}

}  // namespace

struct Session::State {
  explicit State(const SessionOptions& chosen)
      : options(chosen),
        isa(choose_isa(chosen.cpu_isa)),
        threads(chosen.threads == 0 ? RequestThreads::shared(chosen.pin)
                                    : std::make_shared<RequestThreads>(chosen.threads, chosen.pin)),
        pool(threads->pool()),
        memory(make_cpu_allocator(chosen.memory_limit)),
        accelerator(open_accelerator(chosen)) {}

  SessionOptions options;
  CpuIsa isa;
  std::shared_ptr<RequestThreads> threads;
  ThreadPool& pool;
  std::shared_ptr<Allocator> memory;
  std::unique_ptr<runtime::Accelerator> accelerator;  // null: the CPU alone
  std::unique_ptr<runtime::Program> program;
  std::unique_ptr<runtime::Executor> executor;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
  std::size_t weight_bytes = 0;
  double load_milliseconds = 0;

  const ir::Graph& graph() const { return program->model().graph; }
  std::span<ir::Value* const> given() const { return program->given_inputs(); }

  void load(const std::filesystem::path& path) {
    auto model = read_model(path, options.task);
    prepare_model(*model, {isa, pool, *memory}, options.optimize);
    if (options.dtype == Dtype::i8) {
      passes::quantize_dynamic(*model);
      if (!multiplies_bytes(isa)) {
        model->warnings.push_back(fmt::format(
            "{} has no product of bytes: int8 saves memory here, and is likely slower than f32",
            to_string(isa)));
      }
    }
    inputs = describe(model->graph.inputs());
    outputs = describe(model->graph.outputs());
    metadata.insert(model->metadata.begin(), model->metadata.end());
    warnings = model->warnings;
    program = std::make_unique<runtime::Program>(
        std::move(model),
        runtime::ProgramOptions{isa, float_dtype(options), accelerator.get(), options.strict}, pool,
        *memory);
    executor = std::make_unique<runtime::Executor>(*program, pool, memory);
    weight_bytes = held();
  }

  std::size_t held() const {
    return memory->in_use() + (accelerator != nullptr ? accelerator->memory().in_use() : 0);
  }
  std::size_t peak() const {
    return memory->peak() + (accelerator != nullptr ? accelerator->memory().peak() : 0);
  }

  void run(const std::vector<Tensor>& from, std::vector<Tensor>& to,
           const std::vector<bool>& wanted, const RunOptions& chosen) const {
    using Share = RequestThreads::Request::Share;
    const runtime::RunLimits limits{chosen.cancel, chosen.deadline};
    guarded("a run", [&] {
      const RequestThreads::Request request(
          *threads, options.throughput ? Share::alone : Share::together, [&] { limits.check(); });
      executor->run(from, to, wanted, limits);
    });
  }

  // Fills the inputs that are not given with their defaults, and checks all.
  void complete(std::vector<Tensor>& tensors) const {
    const auto values = given();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!tensors[i].defined()) tensors[i] = values[i]->initializer();
      if (!tensors[i].defined() && !may_be_missing(*values[i])) {
        fail(Errc::invalid_argument, "input \"{}\" is missing; the model's inputs are: {}",
             values[i]->name(), names_of(values));
      }
      check_input(*values[i], tensors[i]);
    }
    check_symbols(values, tensors);
  }
};

struct IoBinding::State {
  std::shared_ptr<Session::State> session;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;  // of the last run
  std::vector<Tensor> bound;    // the caller's; undefined: the session allocates
  std::vector<bool> wanted;
};

Session Session::load(const std::filesystem::path& path, const SessionOptions& options) {
  const auto start = Clock::now();
  check_options(options);
  auto state = std::make_shared<State>(options);
  guarded(path.string(), [&] { state->load(path); });
  state->load_milliseconds =
      std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return Session(std::move(state));
}

const std::vector<TensorInfo>& Session::inputs() const { return state_->inputs; }
const std::vector<TensorInfo>& Session::outputs() const { return state_->outputs; }
const std::map<std::string, std::string>& Session::metadata() const { return state_->metadata; }
const SessionOptions& Session::options() const { return state_->options; }
const std::vector<std::string>& Session::warnings() const { return state_->warnings; }

NamedTensors Session::run(const NamedTensors& inputs, const std::vector<std::string>& wanted,
                          const RunOptions& options) const {
  const ir::Graph& graph = state_->graph();
  std::vector<Tensor> tensors(state_->given().size());
  for (const auto& [name, tensor] : inputs)
    tensors[index_of(state_->given(), name, "input")] = tensor;
  state_->complete(tensors);

  std::vector<bool> chosen(graph.outputs().size(), wanted.empty());
  for (const std::string& name : wanted) chosen[index_of(graph.outputs(), name, "output")] = true;
  std::vector<Tensor> results(graph.outputs().size());
  state_->run(tensors, results, chosen, options);

  NamedTensors outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (chosen[i]) outputs.emplace(graph.outputs()[i]->name(), std::move(results[i]));
  }
  return outputs;
}

IoBinding Session::bind() const {
  auto state = std::make_shared<IoBinding::State>();
  state->session = state_;
  IoBinding binding(std::move(state));
  binding.clear();
  return binding;
}

void Session::run(IoBinding& binding, const RunOptions& options) const {
  IoBinding::State& bound = *binding.state_;
  if (bound.session != state_)
    fail(Errc::invalid_argument, "the binding belongs to another session");
  state_->complete(bound.inputs);
  bound.outputs = bound.bound;
  state_->run(bound.inputs, bound.outputs, bound.wanted, options);
}

std::string Session::explain() const {
  const auto rows = state_->metadata.find("tercel.rows");
  const bool known = rows != state_->metadata.end();
  return (known ? "rows: " + rows->second + "\n" : "") + state_->program->explain();
}

SessionStats Session::stats() const {
  return {state_->weight_bytes, state_->peak(), state_->executor->num_plans(),
          state_->load_milliseconds};
}

void IoBinding::bind_input(const std::string& name, Tensor tensor) {
  const auto values = state_->session->given();
  const std::size_t index = index_of(values, name, "input");
  check_input(*values[index], tensor);
  state_->inputs[index] = std::move(tensor);
}

void IoBinding::bind_output(const std::string& name, Tensor tensor) {
  const auto values = state_->session->graph().outputs();
  const std::size_t index = index_of(values, name, "output");
  if (tensor.defined() && tensor.dtype() != values[index]->type.dtype) {
    fail(Errc::invalid_argument, "output \"{}\" has element type {}; the tensor bound to it has {}",
         name, to_string(values[index]->type.dtype), to_string(tensor.dtype()));
  }
  state_->bound[index] = std::move(tensor);
  state_->wanted[index] = true;
}

void IoBinding::bind_output(const std::string& name) { bind_output(name, Tensor()); }

const Tensor& IoBinding::output(const std::string& name) const {
  const std::size_t index = index_of(state_->session->graph().outputs(), name, "output");
  if (!state_->outputs[index].defined()) {
    fail(Errc::invalid_argument, "output \"{}\" is not bound, or the binding has not run yet",
         name);
  }
  return state_->outputs[index];
}

void IoBinding::clear() {
  const ir::Graph& graph = state_->session->graph();
  state_->inputs.assign(state_->session->given().size(), Tensor());
  state_->outputs.assign(graph.outputs().size(), Tensor());
  state_->bound.assign(graph.outputs().size(), Tensor());
  state_->wanted.assign(graph.outputs().size(), false);
}

}  // namespace tercel

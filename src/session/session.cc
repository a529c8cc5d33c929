#include "tercel/session.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/request_threads.h"
#include "src/session/choose_dtype.h"
#include "src/session/info.h"
#include "src/session/options.h"
#include "src/session/spread.h"

namespace tercel {
namespace {

using Clock = std::chrono::steady_clock;

std::size_t index_of(std::span<ir::Value* const> values, const std::string& name,
                     const char* kind) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const ir::Value* v) { return v->name() == name; });
  if (found == values.end()) {
    fail(Errc::not_found, "the model has no {} \"{}\"; it has: {}", kind, name, names_of(values));
  }
  return static_cast<std::size_t>(found - values.begin());
}

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

runtime::Home home_of(Memory memory) {
  return memory == Memory::device ? runtime::Home::device : runtime::Home::host;
}

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::shared_ptr<RequestThreads> threads_of(const SessionOptions& options) {
  if (options.threads == 0 && options.cpus.empty()) return RequestThreads::shared(options.pin);
  return std::make_shared<RequestThreads>(options.threads, options.pin, options.cpus);
}

}  // namespace

struct Session::State {
  explicit State(const SessionOptions& chosen)
      : options(chosen),
        isa(choose_isa(chosen.cpu_isa)),
        threads(threads_of(chosen)),
        pool(threads->pool()),
        memory(make_cpu_allocator(chosen.memory_limit)),
        accelerators(open_accelerators(chosen)) {
    if (options.placement.empty()) return;
    const auto gpus = chosen_gpus(chosen);
    options.devices = gpus.empty() ? "cpu" : fmt::format("{}", fmt::join(gpus, ","));
  }

  // A replica: it shares the program, and with it the weights, and the cap on memory.
  State(const std::shared_ptr<const State>& first, int own_threads)
      : origin(first->origin ? first->origin : first),
        options(first->options),
        isa(first->isa),
        threads(
            std::make_shared<RequestThreads>(own_threads, first->options.pin, first->options.cpus)),
        pool(threads->pool()),
        memory(first->memory),
        accelerators(first->accelerators),
        program(first->program),
        executor(std::make_unique<StagedExecutor>(program, pool, memory)),
        path(first->path),
        types(first->types),
        inputs(first->inputs),
        outputs(first->outputs),
        metadata(first->metadata),
        warnings(first->warnings),
        why(first->why),
        weight_bytes(first->weight_bytes),
        load_milliseconds(first->load_milliseconds) {
    options.threads = own_threads;
  }

  // Of a replica: the session that was loaded. Its threads run the bodies of loops, which are
  // compiled with them.
  std::shared_ptr<const State> origin;

  SessionOptions options;
  CpuIsa isa;
  std::shared_ptr<RequestThreads> threads;
  ThreadPool& pool;
  std::shared_ptr<Allocator> memory;
  std::vector<std::shared_ptr<runtime::Accelerator>> accelerators;  // none: the CPU alone
  std::shared_ptr<const StagedProgram> program;
  std::unique_ptr<StagedExecutor> executor;
  std::filesystem::path path;
  WeightTypes types;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
  std::string why;  // the weights are of their type and where they are, when that was left to it
  std::size_t weight_bytes = 0;
  double load_milliseconds = 0;

  // Without placement = auto all of the model must fit.
  StageDevice device(runtime::Accelerator& accelerator) const {
    if (options.placement.empty()) return {&accelerator};
    const std::size_t free = accelerator.device().properties().free_memory;
    return {&accelerator,
            usable_memory(options.memory_limit == 0 ? free : std::min(free, options.memory_limit))};
  }

  std::span<ir::Value* const> given() const { return program->inputs(); }
  std::span<ir::Value* const> results() const { return program->outputs(); }

  ModelSource source() const {
    std::vector<StageDevice> devices;
    for (const auto& accelerator : accelerators) devices.push_back(device(*accelerator));
    return {path, options.task, options.optimize,   isa,
            pool, memory,       std::move(devices), options.strict};
  }

  void load(const std::filesystem::path& from) {
    path = from;
    CompiledModel compiled;
    if (options.dtype == Dtype::undefined) {
      ChosenModel chosen = choose_dtype(source(), options.samples, options.least_cosine);
      options.dtype = chosen.dtype;
      options.samples.clear();
      types = std::move(chosen.types);
      compiled = std::move(chosen.model);
      why = std::move(chosen.why);
    } else {
      types = types_of_weights(options.dtype, accelerators.empty());
      compiled = compile_model(source(), types);
      if (types.quantized == Dtype::i8 && !multiplies_bytes(isa)) {
        compiled.warnings.push_back(fmt::format(
            "{} has no product of bytes: int8 saves memory here, and may gain no time over f32; "
            "dtype auto tries both",
            to_string(isa)));
      }
    }
    if (options.tuning_cache) keep_tuning(compiled.warnings);
    take(std::move(compiled));
  }

  // The model of another session, as that one holds it.
  void load_again(const State& other) {
    path = other.path;
    types = other.types;
    take(compile_model(source(), types));
    why = other.why;
  }

  void take(CompiledModel compiled) {
    program = std::move(compiled.program);
    executor = std::move(compiled.executor);
    warnings = std::move(compiled.warnings);
    why += compiled.placement;
    inputs = std::move(compiled.inputs);
    outputs = std::move(compiled.outputs);
    metadata = std::move(compiled.metadata);
    weight_bytes = held();
  }

  void keep_tuning(std::vector<std::string>& odd) const {
    try {
      for (const auto& accelerator : accelerators) accelerator->keep_tuning();
    } catch (const Error& error) {
      odd.push_back(fmt::format(
          "which kernels are the fastest is measured anew in each process: {}", error.what()));
    }
  }

  std::size_t held() const {
    std::size_t bytes = memory->in_use();
    for (const auto& accelerator : accelerators) bytes += accelerator->memory().in_use();
    return bytes;
  }
  std::size_t peak() const {
    std::size_t bytes = memory->peak();
    for (const auto& accelerator : accelerators) bytes += accelerator->memory().peak();
    return bytes;
  }

  void run(const std::vector<Tensor>& from, std::vector<Tensor>& to,
           const std::vector<bool>& wanted, const RunOptions& chosen,
           runtime::DeviceBinding binding = {}) const {
    using Share = RequestThreads::Request::Share;
    const runtime::RunLimits limits{chosen.cancel, chosen.deadline};
    const auto turn = [&](FunctionRef<void()> work) {
      const RequestThreads::Request request(
          *threads, options.throughput ? Share::alone : Share::together, [&] { limits.check(); });
      work();
    };
    guarded("a run", [&] { executor->run(from, to, wanted, limits, std::move(binding), turn); });
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
  runtime::DeviceBinding on_device;

  // Throws unless a tensor of this type can lie there.
  void check_memory(const std::string& name, Dtype dtype, Memory memory) const {
    if (memory == Memory::host) return;
    if (session->program->stages().size() > 1) {
      fail(
          Errc::invalid_argument,
          "\"{}\" is bound in a GPU's memory, but the session is spread over several devices: bind "
          "it in the host's",
          name);
    }
    if (session->program->stages()[0].program->accelerator() == nullptr) {
      fail(Errc::invalid_argument,
           "\"{}\" is bound in a GPU's memory, but the session runs on {}; load it with devices = "
           "\"cuda\"",
           name, session->options.devices);
    }
    if (!runtime::Accelerator::holds(dtype)) {
      fail(Errc::invalid_argument, "\"{}\" is bound in a GPU's memory, which holds no {}", name,
           to_string(dtype));
    }
  }
};

Session Session::load(const std::filesystem::path& path, const SessionOptions& options) {
  const auto start = Clock::now();
  check_options(options);
  auto state = std::make_shared<State>(options);
  const OnCpus here(options.cpus);
  guarded(path.string(), [&] { state->load(path); });
  state->load_milliseconds = milliseconds_since(start);
  return Session(std::move(state));
}

Session Session::replica(int threads) const {
  SessionOptions options = state_->options;
  options.threads = threads;
  check_options(options);
  return Session(std::make_shared<State>(state_, threads));
}

Session Session::copy(const std::vector<int>& cpus, int threads) const {
  const auto start = Clock::now();
  SessionOptions options = state_->options;
  options.cpus = cpus;
  options.threads = threads;
  check_options(options);
  auto state = std::make_shared<State>(options);
  const OnCpus here(cpus);
  guarded(state_->path.string(), [&] { state->load_again(*state_); });
  state->load_milliseconds = milliseconds_since(start);
  return Session(std::move(state));
}

const std::vector<TensorInfo>& Session::inputs() const { return state_->inputs; }
const std::vector<TensorInfo>& Session::outputs() const { return state_->outputs; }
const std::map<std::string, std::string>& Session::metadata() const { return state_->metadata; }
const SessionOptions& Session::options() const { return state_->options; }
const std::vector<std::string>& Session::warnings() const { return state_->warnings; }

std::string Session::weight_types() const {
  const WeightTypes& types = state_->types;
  std::string text(to_string(state_->options.dtype));
  if (types.quantized == Dtype::undefined) return text;
  if (types.dtype != Dtype::f32 || !types.kept.empty()) {
    text += fmt::format(", others {}", to_string(types.dtype));
  }
  if (!types.kept.empty()) text += fmt::format(", among them {}", fmt::join(types.kept, ", "));
  return text;
}

NamedTensors Session::run(const NamedTensors& inputs, const std::vector<std::string>& wanted,
                          const RunOptions& options) const {
  const auto values = state_->results();
  std::vector<Tensor> tensors(state_->given().size());
  for (const auto& [name, tensor] : inputs)
    tensors[index_of(state_->given(), name, "input")] = tensor;
  state_->complete(tensors);

  std::vector<bool> chosen(values.size(), wanted.empty());
  for (const std::string& name : wanted) chosen[index_of(values, name, "output")] = true;
  std::vector<Tensor> results(values.size());
  state_->run(tensors, results, chosen, options);

  NamedTensors outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (chosen[i]) outputs.emplace(values[i]->name(), std::move(results[i]));
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
  state_->run(bound.inputs, bound.outputs, bound.wanted, options, bound.on_device);
}

std::string Session::explain() const {
  const auto rows = state_->metadata.find("tercel.rows");
  const bool known = rows != state_->metadata.end();
  return state_->why + (known ? "rows: " + rows->second + "\n" : "") + state_->program->explain();
}

SessionStats Session::stats() const {
  return {state_->weight_bytes, state_->peak(), state_->executor->num_plans(),
          state_->load_milliseconds};
}

void IoBinding::bind_input(const std::string& name, Tensor tensor, Memory memory) {
  const auto values = state_->session->given();
  const std::size_t index = index_of(values, name, "input");
  check_input(*values[index], tensor);
  state_->check_memory(name, tensor.dtype(), memory);
  state_->on_device.inputs[index] = home_of(memory);
  state_->inputs[index] = std::move(tensor);
}

void IoBinding::bind_output(const std::string& name, Tensor tensor, Memory memory) {
  const auto values = state_->session->results();
  const std::size_t index = index_of(values, name, "output");
  if (tensor.defined() && tensor.dtype() != values[index]->type.dtype) {
    fail(Errc::invalid_argument, "output \"{}\" has element type {}; the tensor bound to it has {}",
         name, to_string(values[index]->type.dtype), to_string(tensor.dtype()));
  }
  state_->check_memory(name, values[index]->type.dtype, memory);
  state_->on_device.outputs[index] = home_of(memory);
  state_->bound[index] = std::move(tensor);
  state_->wanted[index] = true;
}

void IoBinding::bind_output(const std::string& name) { bind_output(name, Tensor()); }

const Tensor& IoBinding::output(const std::string& name) const {
  const std::size_t index = index_of(state_->session->results(), name, "output");
  if (!state_->outputs[index].defined()) {
    fail(Errc::invalid_argument, "output \"{}\" is not bound, or the binding has not run yet",
         name);
  }
  return state_->outputs[index];
}

void IoBinding::clear() {
  const std::size_t inputs = state_->session->given().size();
  const std::size_t outputs = state_->session->results().size();
  state_->inputs.assign(inputs, Tensor());
  state_->outputs.assign(outputs, Tensor());
  state_->bound.assign(outputs, Tensor());
  state_->wanted.assign(outputs, false);
  state_->on_device.inputs.assign(inputs, runtime::Home::host);
  state_->on_device.outputs.assign(outputs, runtime::Home::host);
}

}  // namespace tercel

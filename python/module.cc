// The compiled half of the Python package: sessions over arrays. What numpy has no type for (bf16,
// the float8 types) crosses as unsigned integers of the same size, and types of less than a byte as
// packed bytes, with the name of the type beside it; python/tercel/arrays.py gives them theirs.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "tercel/error.h"
#include "tercel/model.h"
#include "tercel/session.h"
#include "tercel/tasks.h"
#include "tercel/version.h"

namespace tercel {
namespace {

namespace nb = nanobind;
using InputArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

Dtype dtype_named(const std::string& name) {
  if (const auto dtype = parse_dtype(name)) return *dtype;
  throw Error(
      Errc::invalid_argument,
      "unknown dtype \"" + name + "\"; expected f32, f16, bf16, int8, int4, f8e4m3fn or auto");
}

// An array's memory, held by a reference that may be dropped on any thread.
Tensor view_of(InputArray array, Dtype dtype) {
  Shape shape(array.ndim());
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    shape[axis] = static_cast<int64_t>(array.shape(axis));
  }
  const void* data = array.data();
  std::shared_ptr<const void> owner(new InputArray(std::move(array)), [](InputArray* held) {
    const nb::gil_scoped_acquire gil;
    delete held;
  });
  return Tensor::view_of(data, dtype, std::move(shape), std::move(owner));
}

Tensor to_tensor(nb::handle handle);

// Types of less than a byte: their packed bytes in an array, and the shape.
Tensor packed_view_of(InputArray array, Dtype dtype, const Shape& shape) {
  const Tensor bytes = view_of(std::move(array), Dtype::u8);
  if (bytes.bytes() != bytes_of(dtype, element_count(shape)))
    throw Error(Errc::invalid_argument, "the packed bytes do not fill the shape");
  return Tensor::view_of(bytes.data(), dtype, shape, std::make_shared<Tensor>(bytes));
}

Tensor to_sequence(const nb::list& list) {
  std::vector<Tensor> items;
  for (const nb::handle item : list) items.push_back(to_tensor(item));
  return Tensor::sequence(std::move(items));
}

// None; (dtype name, array); for types of less than a byte and strings (dtype name, packed bytes or
// list of bytes, shape); ("sequence", list).
Tensor to_tensor(nb::handle handle) {
  if (handle.is_none()) return {};
  const auto value = nb::cast<nb::tuple>(handle);
  const auto name = nb::cast<std::string>(value[0]);
  if (name == to_string(Dtype::sequence)) return to_sequence(nb::cast<nb::list>(value[1]));
  const Dtype dtype = dtype_named(name);
  if (dtype != Dtype::string && bits_of(dtype) < 8)
    return packed_view_of(nb::cast<InputArray>(value[1]), dtype, nb::cast<Shape>(value[2]));
  if (dtype != Dtype::string) return view_of(nb::cast<InputArray>(value[1]), dtype);
  std::vector<std::string> strings;
  for (const nb::handle item : nb::cast<nb::list>(value[1])) {
    const auto bytes = nb::borrow<nb::bytes>(item);
    strings.emplace_back(bytes.c_str(), bytes.size());
  }
  return Tensor::from_strings(std::move(strings), nb::cast<Shape>(value[2]));
}

nb::dlpack::dtype carrier_of(Dtype dtype) {
  using nb::dlpack::dtype_code;
  const auto code = [dtype] {
    if (dtype == Dtype::boolean) return dtype_code::Bool;
    if (dtype == Dtype::f16 || dtype == Dtype::f32 || dtype == Dtype::f64) return dtype_code::Float;
    if (dtype == Dtype::c64 || dtype == Dtype::c128) return dtype_code::Complex;
    const bool is_signed =
        dtype == Dtype::i8 || dtype == Dtype::i16 || dtype == Dtype::i32 || dtype == Dtype::i64;
    return is_signed ? dtype_code::Int : dtype_code::UInt;
  }();
  const int bits = std::max(bits_of(dtype), 8);  // packed elements cross as bytes
  return {static_cast<uint8_t>(code), static_cast<uint8_t>(bits), 1};
}

// As to_tensor takes it.
nb::object to_python(Tensor tensor) {
  if (!tensor.defined()) return nb::none();
  const auto name = to_string(tensor.dtype());
  if (tensor.is_sequence()) {
    nb::list items;
    for (const Tensor& item : tensor.items()) items.append(to_python(item));
    return nb::make_tuple(name, items);
  }
  if (tensor.dtype() == Dtype::string) {
    nb::list strings;
    for (const std::string& text : tensor.strings()) {
      strings.append(nb::bytes(text.data(), text.size()));
    }
    return nb::make_tuple(name, strings, tensor.shape());
  }
  const auto carrier = carrier_of(tensor.dtype());
  auto held = std::make_unique<Tensor>(std::move(tensor));
  const Shape full_shape = held->shape();
  const bool packed = bits_of(held->dtype()) < 8;
  std::vector<std::size_t> shape(full_shape.begin(), full_shape.end());
  if (packed) shape = {held->bytes()};
  void* data = held->data();
  const nb::capsule owner(held.release(),
                          [](void* held) noexcept { delete static_cast<Tensor*>(held); });
  const nb::ndarray<nb::numpy> array(data, shape.size(), shape.data(), owner, nullptr, carrier);
  return packed ? nb::make_tuple(name, array, full_shape) : nb::make_tuple(name, array);
}

// A model that passes an input through returns the input's memory, which may be read-only and which
// the caller may change: such results are copied.
bool shares_memory(const Tensor& tensor, const Tensor& other) {
  if (tensor.is_sequence()) {
    return std::any_of(tensor.items().begin(), tensor.items().end(),
                       [&](const Tensor& item) { return shares_memory(item, other); });
  }
  if (other.is_sequence()) {
    return std::any_of(other.items().begin(), other.items().end(),
                       [&](const Tensor& item) { return shares_memory(tensor, item); });
  }
  const auto* begin = static_cast<const std::byte*>(tensor.data());
  const auto* from = static_cast<const std::byte*>(other.data());
  return std::less_equal<>()(from, begin) && std::less<>()(begin, from + other.bytes());
}

bool shares_memory(const Tensor& tensor, const NamedTensors& others) {
  return std::any_of(others.begin(), others.end(),
                     [&](const auto& entry) { return shares_memory(tensor, entry.second); });
}

NamedTensors to_tensors(const nb::dict& inputs) {
  NamedTensors tensors;
  for (const auto [name, value] : inputs)
    tensors.emplace(nb::cast<std::string>(name), to_tensor(value));
  return tensors;
}

RunOptions run_options(std::optional<double> timeout) {
  RunOptions options;
  if (timeout) {
    const std::chrono::duration<double> seconds(*timeout);
    using Clock = std::chrono::steady_clock;
    options.deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(seconds);
  }
  return options;
}

nb::dict run(const Session& session, const nb::dict& inputs, const std::vector<std::string>& wanted,
             std::optional<double> timeout) {
  const NamedTensors tensors = to_tensors(inputs);
  const RunOptions options = run_options(timeout);
  NamedTensors outputs;
  {
    const nb::gil_scoped_release released;
    outputs = session.run(tensors, wanted, options);
    for (auto& [name, tensor] : outputs) {
      if (shares_memory(tensor, tensors)) tensor = tensor.clone();
    }
  }
  nb::dict result;
  for (auto& [name, tensor] : outputs) result[nb::str(name.c_str())] = to_python(std::move(tensor));
  return result;
}

// --- Bound inputs and outputs --------------------------------------------------------------------

struct Binding {
  Session session;
  IoBinding io;
};

// Of an array that came through DLPack.
Dtype dtype_of_array(nb::dlpack::dtype type) {
  using nb::dlpack::dtype_code;
  const auto name = [&]() -> std::string {
    const std::string bits = std::to_string(type.bits);
    switch (static_cast<dtype_code>(type.code)) {
      case dtype_code::Bool:
        return "bool";
      case dtype_code::Float:
        return "f" + bits;
      case dtype_code::Bfloat:
        return "bf" + bits;
      case dtype_code::Int:
        return "i" + bits;
      case dtype_code::UInt:
        return "u" + bits;
      default:
        return "other";
    }
  }();
  const auto dtype = parse_dtype(name);
  if (!dtype || type.lanes != 1)
    throw Error(Errc::invalid_argument, "the array's element type has no equal in Tercel");
  return *dtype;
}

// The memory that the array is in, which the session must reach.
Memory memory_of(const Session& session, int device_type, int device_id) {
  if (device_type == nb::device::cpu::value) return Memory::host;
  const std::string& devices = session.options().devices;
  const std::string own = devices == "cuda" ? "cuda:0" : devices;
  const std::string there = device_type == nb::device::cuda::value
                                ? "cuda:" + std::to_string(device_id)
                                : "DLPack's device type " + std::to_string(device_type);
  if (there != own)
    throw Error(Errc::invalid_argument, "the array is on " + there + ", and the session on " + own);
  return Memory::device;
}

template <class Array>
std::pair<Tensor, Memory> bound_view_of(const Session& session, Array array) {
  Shape shape(array.shape_ptr(), array.shape_ptr() + array.ndim());
  const Memory memory = memory_of(session, array.device_type(), array.device_id());
  const Dtype dtype = dtype_of_array(array.dtype());
  const void* data = array.data();
  std::shared_ptr<const void> owner(new Array(std::move(array)), [](Array* held) {
    const nb::gil_scoped_acquire gil;
    delete held;
  });
  return {Tensor::view_of(data, dtype, std::move(shape), std::move(owner)), memory};
}

void bind_input(Binding& binding, const std::string& name,
                nb::ndarray<nb::ro, nb::c_contig> array) {
  auto [tensor, memory] = bound_view_of(binding.session, std::move(array));
  binding.io.bind_input(name, std::move(tensor), memory);
}

void bind_output(Binding& binding, const std::string& name,
                 std::optional<nb::ndarray<nb::c_contig>> array) {
  if (!array) return binding.io.bind_output(name);
  auto [tensor, memory] = bound_view_of(binding.session, std::move(*array));
  binding.io.bind_output(name, std::move(tensor), memory);
}

void run_bound(Binding& binding, std::optional<double> timeout) {
  const RunOptions options = run_options(timeout);
  const nb::gil_scoped_release released;
  binding.session.run(binding.io, options);
}

// A Session, or a task that is made as one is.
template <class Made>
Made load(const std::string& path, const std::string& dtype, int threads,
          const std::string& devices, std::size_t memory_limit, bool optimize,
          const std::string& cpu_isa, const std::string& task, bool throughput, bool pin,
          float least_cosine, const std::vector<nb::dict>& samples, bool strict,
          const std::string& placement, bool tuning_cache, bool deterministic) {
  SessionOptions options;
  options.least_cosine = least_cosine;
  for (const nb::dict& sample : samples) options.samples.push_back(to_tensors(sample));
  options.devices = devices;
  options.threads = threads;
  options.dtype = dtype == "auto" ? Dtype::undefined : dtype_named(dtype);
  options.memory_limit = memory_limit;
  options.optimize = optimize;
  options.cpu_isa = cpu_isa;
  options.task = task;
  options.throughput = throughput;
  options.pin = pin;
  options.strict = strict;
  options.placement = placement;
  options.tuning_cache = tuning_cache;
  options.deterministic = deterministic;
  const nb::gil_scoped_release released;
  if constexpr (std::is_same_v<Made, Session>) {
    return Session::load(path, options);
  } else {
    return Made(path, options);
  }
}

template <class Made>
nb::class_<Made> add_class(nb::module_& module, const char* name) {
  using nb::literals::operator""_a;
  const SessionOptions defaults;
  return nb::class_<Made>(module, name)
      .def_static("load", &load<Made>, "path"_a, nb::kw_only(),
                  "dtype"_a = to_string(defaults.dtype), "threads"_a = defaults.threads,
                  "devices"_a = defaults.devices, "memory_limit"_a = defaults.memory_limit,
                  "optimize"_a = defaults.optimize, "cpu_isa"_a = defaults.cpu_isa,
                  "task"_a = defaults.task, "throughput"_a = defaults.throughput,
                  "pin"_a = defaults.pin, "least_cosine"_a = defaults.least_cosine,
                  "samples"_a = std::vector<nb::dict>(), "strict"_a = defaults.strict,
                  "placement"_a = defaults.placement, "tuning_cache"_a = defaults.tuning_cache,
                  "deterministic"_a = defaults.deterministic);
}

nb::object embed(const Embedding& model, const std::vector<std::string>& texts) {
  Tensor vectors;
  {
    const nb::gil_scoped_release released;
    vectors = model.embed(texts);
  }
  return to_python(std::move(vectors));
}

std::vector<std::string> export_model(const std::string& path, const std::string& output,
                                      const std::string& dtype, bool optimize, bool external_data,
                                      const std::string& task) {
  ExportOptions options;
  if (!dtype.empty()) options.dtype = dtype_named(dtype);
  options.optimize = optimize;
  options.external_data = external_data;
  options.task = task;
  const nb::gil_scoped_release released;
  return export_onnx(path, output, options);
}

nb::list describe(const std::vector<TensorInfo>& infos) {
  nb::list list;
  for (const TensorInfo& info : infos) {
    list.append(nb::make_tuple(info.name, to_string(info.dtype), info.shape, info.type));
  }
  return list;
}

nb::dict stats_of(const Session& session) {
  const SessionStats stats = session.stats();
  nb::dict result;
  result["weight_bytes"] = stats.weight_bytes;
  result["peak_bytes"] = stats.peak_bytes;
  result["plans"] = stats.plans;
  result["load_milliseconds"] = stats.load_milliseconds;
  return result;
}

// tercel::Error becomes the class that tercel.errors has for its code.
void translate(const std::exception_ptr& pointer, void* /*payload*/) {
  try {
    std::rethrow_exception(pointer);
  } catch (const Error& error) {
    const nb::object made =
        nb::module_::import_("tercel.errors").attr("make")(to_string(error.code()), error.what());
    PyErr_SetObject(made.type().ptr(), made.ptr());
  }
}

}  // namespace
}  // namespace tercel

NB_MODULE(_tercel, module) {
  namespace nb = nanobind;
  using nb::literals::operator""_a;
  nb::register_exception_translator(tercel::translate);
  module.attr("__version__") = tercel::version();
  module.def("export_onnx", &tercel::export_model, "path"_a, "output"_a, "dtype"_a, "optimize"_a,
             "external_data"_a, "task"_a);
  tercel::add_class<tercel::Embedding>(module, "Embedding")
      .def("embed", &tercel::embed, "texts"_a)
      .def("warnings", [](const tercel::Embedding& self) { return self.session().warnings(); });
  nb::class_<tercel::Binding>(module, "IoBinding")
      .def("bind_input", &tercel::bind_input, "name"_a, "array"_a.noconvert())
      .def("bind_output", &tercel::bind_output, "name"_a, "array"_a.noconvert().none())
      .def("run", &tercel::run_bound, "timeout"_a.none())
      .def("output", [](const tercel::Binding& self, const std::string& name) {
        return tercel::to_python(self.io.output(name));
      });
  tercel::add_class<tercel::Session>(module, "Session")
      .def("run", &tercel::run, "inputs"_a, "wanted"_a, "timeout"_a.none())
      .def("bind",
           [](const tercel::Session& self) {
             return tercel::Binding{self, self.bind()};
           })
      .def("inputs", [](const tercel::Session& self) { return tercel::describe(self.inputs()); })
      .def("outputs", [](const tercel::Session& self) { return tercel::describe(self.outputs()); })
      .def("metadata", &tercel::Session::metadata)
      .def("warnings", &tercel::Session::warnings)
      .def("explain", &tercel::Session::explain)
      .def("stats", &tercel::stats_of);
}

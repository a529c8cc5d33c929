// Any model: each of its inputs is a field of the record, without the first dimension, which is the
// batch's.

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "src/base/fail.h"
#include "src/tasks/record_task.h"
#include "src/tasks/result_text.h"

namespace tercel::tasks {
namespace {

// The only field of a record that comes from an array.
constexpr const char* kArray = "array";

template <class To, class From>
Tensor converted(const Tensor& from) {
  Tensor to(dtype_of<To>(), from.shape());
  const auto* begin = static_cast<const From*>(from.data());
  std::transform(begin, begin + from.size(), static_cast<To*>(to.data()),
                 [](From value) { return static_cast<To>(value); });
  return to;
}

template <class To>
void check_range(const Tensor& from, const std::string& name) {
  for (const int64_t value : from.values<int64_t>()) {
    if (std::in_range<To>(value)) continue;
    fail(Errc::invalid_argument, "its field \"{}\" has {}, which is no {}", name, value,
         to_string(dtype_of<To>()));
  }
}

template <class To>
Tensor converted_to(const Tensor& from, const std::string& name) {
  if (from.dtype() == Dtype::i64) {
    if constexpr (std::is_integral_v<To>) check_range<To>(from, name);
    return converted<To, int64_t>(from);
  }
  if (std::is_floating_point_v<To>) {
    if (from.dtype() == Dtype::f32) return converted<To, float>(from);
    if (from.dtype() == Dtype::f64) return converted<To, double>(from);
  }
  fail(Errc::invalid_argument, "its field \"{}\" is of {}; the model takes {}", name,
       to_string(from.dtype()), to_string(dtype_of<To>()));
}

// JSON knows integers and other numbers: what the model takes is made of them.
Tensor as_dtype(const Tensor& from, Dtype dtype, const std::string& name) {
  if (from.dtype() == dtype) return from;
  switch (dtype) {
    case Dtype::f32:
      return converted_to<float>(from, name);
    case Dtype::f64:
      return converted_to<double>(from, name);
    case Dtype::i32:
      return converted_to<int32_t>(from, name);
    case Dtype::u8:
      return converted_to<uint8_t>(from, name);
    case Dtype::i8:
      return converted_to<int8_t>(from, name);
    default:
      fail(Errc::invalid_argument, "its field \"{}\" is of {}; the model takes {}", name,
           to_string(from.dtype()), to_string(dtype));
  }
}

Tensor tensor_of(const data::Value& value, const std::string& name) {
  if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
  if (const auto* integer = std::get_if<int64_t>(&value)) return Tensor::scalar(*integer);
  if (const auto* number = std::get_if<double>(&value)) {
    return Tensor::scalar(*number);
  }
  fail(Errc::invalid_argument, "its field \"{}\" is no array of numbers", name);
}

int64_t fixed_batch_of(const Session& session) {
  for (const TensorInfo& info : session.inputs()) {
    if (!info.shape || info.shape->empty()) continue;
    const std::string& first = info.shape->front();
    int64_t size = 0;
    const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), size);
    if (error == std::errc() && end == first.data() + first.size()) return size;
  }
  return 0;
}

struct TensorsJob : Job {
  NamedTensors outputs;
};

class TensorsTask : public RecordTask {
 public:
  TensorsTask(const std::filesystem::path& path, const PredictOptions& options)
      : replicas_(Replicas::load(path, options.session)),
        keep_(options.keep),
        id_(options.id_field),
        fixed_batch_(fixed_batch_of(replicas_[0])) {
    for (const TensorInfo& info : replicas_[0].outputs()) {
      if (options.tensor.empty() || info.name == options.tensor) outputs_.push_back(info.name);
    }
    if (outputs_.empty()) {
      fail(Errc::not_found, "the model has no output \"{}\"", options.tensor);
    }
  }

  const Replicas& replicas() const override { return replicas_; }

  std::vector<std::string> fields() const override {
    std::vector<std::string> names{id_};
    names.insert(names.end(), keep_.begin(), keep_.end());
    for (const TensorInfo& info : replicas_[0].inputs()) names.push_back(info.name);
    return names;
  }

  data::BatchRule batch_rule(int batch_size) const override {
    constexpr int64_t kElements = int64_t{1} << 22;
    const int64_t rows = fixed_batch_ > 0 ? fixed_batch_ : std::min(batch_size, 32);
    return {.max_rows = rows, .max_tokens = kElements};
  }

  data::Collate collate() const override {
    return [fixed = fixed_batch_](const std::vector<data::Example>& examples) {
      if (static_cast<int64_t>(examples.size()) >= fixed) return data::stack_collate(examples);
      std::vector<data::Example> filled = examples;  // with the last one again and again
      if (!examples.empty()) filled.resize(static_cast<std::size_t>(fixed), examples.back());
      return data::stack_collate(filled);
    };
  }

  Started start(const data::Record& record) const override {
    Started started{std::make_shared<TensorsJob>(), {}, sizeof(TensorsJob)};
    data::Example& example = started.examples.emplace_back();
    example.length = 0;
    const auto& inputs = replicas_[0].inputs();
    std::string shapes;
    for (const TensorInfo& info : inputs) {
      const data::Value* value = record.find(info.name);
      if (value == nullptr && inputs.size() == 1) value = record.find(kArray);
      if (value == nullptr) {
        fail(Errc::invalid_argument, "it has no field \"{}\", which is an input of the model",
             info.name);
      }
      Tensor tensor = as_dtype(tensor_of(*value, info.name), info.dtype, info.name);
      example.length += tensor.size();
      shapes += to_string(tensor.shape()) + ";";
      example.features.emplace(info.name, std::move(tensor));
    }
    // Only equal shapes can be stacked.
    example.group = static_cast<int64_t>(std::hash<std::string>()(shapes));
    return started;
  }

  std::vector<Tensor> run(const Session& session, const NamedTensors& inputs, std::size_t rows,
                          const RunOptions& options) const override {
    NamedTensors computed = session.run(inputs, outputs_, options);
    std::vector<Tensor> results;
    for (const std::string& name : outputs_) {
      results.push_back(std::move(computed[name]));
      const Tensor& result = results.back();
      if (result.rank() < 1 || result.shape()[0] < static_cast<int64_t>(rows)) {
        fail(Errc::unsupported,
             "output \"{}\" has shape {} for a batch of {}: its first dimension must be the batch",
             name, to_string(result.shape()), rows);
      }
    }
    return results;
  }

  void add(Job& job, std::size_t, std::span<const Tensor> outputs, int64_t at) const override {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const Tensor row = outputs[i].slice(at, at + 1);
      Shape shape(row.shape().begin() + 1, row.shape().end());
      static_cast<TensorsJob&>(job).outputs.emplace(outputs_[i], row.reshape(shape).clone());
    }
  }

  void write_json(const Job& job, std::string& out) const override {
    const char* separator = "";
    for (const auto& [name, tensor] : static_cast<const TensorsJob&>(job).outputs) {
      out += std::exchange(separator, ",");
      append_json_string(out, name);
      out += ':';
      append_json_tensor(out, tensor);
    }
  }

  std::vector<std::string> columns() const override { return outputs_; }

  // The numbers of a tensor, as JSON, in one field.
  void write_csv(const Job& job, const std::string& prefix, char separator,
                 std::string& out) const override {
    out += prefix;
    const auto& tensors = static_cast<const TensorsJob&>(job).outputs;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (i > 0) out += separator;
      std::string text;
      append_json_tensor(text, tensors.at(outputs_[i]));
      append_csv_field(out, text, separator);
    }
    out += '\n';
  }

  Tensor array(const Job& job) const override {
    return static_cast<const TensorsJob&>(job).outputs.at(outputs_[0]);
  }

  std::string no_array() const override {
    if (outputs_.size() == 1) return {};
    return fmt::format(
        "the model has {} outputs, and an .npy file holds one array: choose one, or write .jsonl",
        outputs_.size());
  }

 private:
  Replicas replicas_;
  std::vector<std::string> keep_;
  std::string id_;
  int64_t fixed_batch_;
  std::vector<std::string> outputs_;
};

}  // namespace

std::unique_ptr<RecordTask> tensors_task(const std::filesystem::path& model,
                                         const PredictOptions& options) {
  return std::make_unique<TensorsTask>(model, options);
}

}  // namespace tercel::tasks

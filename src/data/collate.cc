#include <algorithm>
#include <cstring>

#include "src/base/fail.h"
#include "tercel/data_loader.h"

namespace tercel::data {
namespace {

const Tensor& feature(const Example& example, const std::string& name) {
  const auto found = example.features.find(name);
  if (found != example.features.end()) return found->second;
  std::string names;
  for (const auto& [other, tensor] : example.features) names += (names.empty() ? "" : ", ") + other;
  fail(Errc::invalid_argument, "record {} has no feature \"{}\"; it has: {}", example.record, name,
       names);
}

Tensor stacked(const std::vector<Example>& examples, const std::string& name) {
  const Tensor& first = feature(examples.front(), name);
  Shape shape = first.shape();
  shape.insert(shape.begin(), static_cast<int64_t>(examples.size()));
  Tensor result(first.dtype(), shape);
  auto* out = static_cast<std::byte*>(result.data());
  for (const Example& example : examples) {
    const Tensor& row = feature(example, name);
    if (row.dtype() != first.dtype() || row.shape() != first.shape()) {
      fail(Errc::invalid_argument,
           "feature \"{}\" is {} {} in record {}, and {} {} in record {}: a batch takes equal ones",
           name, to_string(first.dtype()), to_string(first.shape()), examples.front().record,
           to_string(row.dtype()), to_string(row.shape()), example.record);
    }
    if (row.bytes() > 0) std::memcpy(out, row.data(), row.bytes());
    out += row.bytes();
  }
  return result;
}

template <class To, class From>
void convert(const From* from, int64_t count, To* to) {
  std::transform(from, from + count, to, [](From value) { return static_cast<To>(value); });
}

template <class T>
void fill_row(const PadCollate::Input& input, const Example& example, std::span<T> out) {
  const Tensor row = input.is_mask ? Tensor() : feature(example, input.name);
  const int64_t length = input.is_mask ? example.length : row.size();
  if (length < 0 || length > static_cast<int64_t>(out.size())) {
    fail(Errc::invalid_argument, "feature \"{}\" of record {} has {} tokens where {} fit",
         input.name, example.record, length, out.size());
  }
  if (input.is_mask) {
    std::fill_n(out.begin(), length, T{1});
  } else if (row.dtype() == Dtype::i32) {
    convert(row.values<int32_t>().data(), length, out.data());
  } else {
    convert(row.values<int64_t>().data(), length, out.data());
  }
  std::fill(out.begin() + length, out.end(), static_cast<T>(input.is_mask ? 0 : input.padding));
}

template <class T>
Tensor padded(const PadCollate::Input& input, const std::vector<Example>& examples, int64_t batch,
              int64_t length) {
  Tensor result(input.dtype, {batch, length});
  for (int64_t row = 0; row < batch; ++row) {
    const auto last = static_cast<int64_t>(examples.size()) - 1;
    fill_row(input, examples[static_cast<std::size_t>(std::min(row, last))],
             result.values<T>().subspan(static_cast<std::size_t>(row * length),
                                        static_cast<std::size_t>(length)));
  }
  return result;
}

}  // namespace

NamedTensors stack_collate(const std::vector<Example>& examples) {
  NamedTensors inputs;
  if (examples.empty()) return inputs;
  for (const auto& [name, tensor] : examples.front().features) {
    inputs.emplace(name, stacked(examples, name));
  }
  return inputs;
}

NamedTensors PadCollate::operator()(const std::vector<Example>& examples) const {
  NamedTensors inputs;
  if (examples.empty()) return inputs;
  int64_t length = length_;
  if (length == 0) {
    for (const Example& example : examples) length = std::max(length, example.length);
  }
  const int64_t batch = batch_ > 0 ? batch_ : static_cast<int64_t>(examples.size());
  for (const Input& input : inputs_) {
    inputs.emplace(input.name, input.dtype == Dtype::i32
                                   ? padded<int32_t>(input, examples, batch, length)
                                   : padded<int64_t>(input, examples, batch, length));
  }
  return inputs;
}

}  // namespace tercel::data

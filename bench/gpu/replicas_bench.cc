// How much more several GPUs do than one: the same batches, from the host and back to it.
//
//   replicas_bench MODEL DEVICES [ROWS [TOKENS]]     replicas_bench bert cuda:0,cuda:1 512 128
//
// ROWS are divided evenly among the devices; one device alone is given them both whole and divided,
// and is held to the faster. Prints one JSON object; an answer that is not that of the first device
// alone, bit by bit, is an error.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "tercel/replicas.h"

namespace tercel {
namespace {

constexpr int kRuns = 16;  // of all rows, one after the other, in a measurement
constexpr int kMeasurements = 5;

Tensor numbers(int64_t rows, int64_t tokens, int64_t below) {
  static std::mt19937 random(1);
  std::uniform_int_distribution<int64_t> number(std::min<int64_t>(1, below), below);
  std::vector<int64_t> values(static_cast<std::size_t>(rows * tokens));
  for (int64_t& value : values) value = number(random);
  return Tensor::from(values, {rows, tokens});
}

std::vector<NamedTensors> batches_of(const Session& session, int64_t rows, int64_t tokens) {
  std::vector<NamedTensors> batches(1);
  for (const TensorInfo& info : session.inputs()) {
    const bool ids = info.name == "input_ids";
    batches[0][info.name] = numbers(rows, tokens,
                                    ids                             ? 999
                                    : info.name == "attention_mask" ? 1
                                                                    : 0);
  }
  return batches;
}

double rows_per_second(const Replicas& replicas, const std::vector<NamedTensors>& batches,
                       int64_t rows) {
  replicas.run(batches);
  std::vector<double> rates;
  for (int i = 0; i < kMeasurements; ++i) {
    const auto start = std::chrono::steady_clock::now();
    replicas.run(batches);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    rates.push_back(static_cast<double>(rows * static_cast<int64_t>(batches.size())) /
                    took.count());
  }
  std::nth_element(rates.begin(), rates.begin() + kMeasurements / 2, rates.end());
  return rates[kMeasurements / 2];
}

bool same_bits(const NamedTensors& a, const NamedTensors& b) {
  return std::all_of(a.begin(), a.end(), [&](const auto& entry) {
    const Tensor& other = b.at(entry.first);
    return entry.second.bytes() == other.bytes() &&
           std::memcmp(entry.second.data(), other.data(), other.bytes()) == 0;
  });
}

int compare(const std::string& model, const std::string& devices, int64_t rows, int64_t tokens) {
  SessionOptions options;
  options.dtype = Dtype::f16;
  options.devices = devices.substr(0, devices.find(','));
  const Replicas one = Replicas::load(model, options);
  options.devices = devices;
  const Replicas all = Replicas::load(model, options);
  const auto count = static_cast<int64_t>(all.size());
  const auto part = batches_of(one[0], rows / count, tokens);
  const std::vector<NamedTensors> parts(static_cast<std::size_t>(kRuns * count), part[0]);
  const std::vector<NamedTensors> whole(kRuns, batches_of(one[0], rows, tokens)[0]);
  const double whole_rate = rows_per_second(one, whole, rows);
  const double parts_rate = rows_per_second(one, parts, rows / count);
  const double all_rate = rows_per_second(all, parts, rows / count);
  const NamedTensors expected = one.run(part)[0];
  for (const NamedTensors& answer : all.run(parts)) {
    if (same_bits(answer, expected)) continue;
    fmt::print(stderr, "replicas_bench: a device's answer differs from the first one's\n");
    return 1;
  }
  fmt::print(
      "{{\"devices\": {}, \"rows\": {}, \"tokens\": {}, \"one_whole\": {:.0f}, \"one_parts\": "
      "{:.0f}, \"all\": {:.0f}, \"gain\": {:.3f}}}\n",
      count, rows, tokens, whole_rate, parts_rate, all_rate,
      all_rate / std::max(whole_rate, parts_rate));
  return 0;
}

}  // namespace
}  // namespace tercel

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: replicas_bench MODEL DEVICES [ROWS [TOKENS]]\n");
    return 2;
  }
  try {
    return tercel::compare(argv[1], argv[2], argc > 3 ? std::stoll(argv[3]) : 512,
                           argc > 4 ? std::stoll(argv[4]) : 128);
  } catch (const std::exception& error) {
    fmt::print(stderr, "replicas_bench: {}\n", error.what());
    return 1;
  }
}

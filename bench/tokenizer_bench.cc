// Loading and encoding with a tokenizer; bench/tokenizer.py sets it beside the `tokenizers`
// package.
//
//   tokenizer_bench TOKENIZER TEXT_FILE [seconds]
//
// Prints one JSON line: the median milliseconds of loading, of encoding the file's lines one by
// one, and of encoding them as a batch on one thread, without the time in which the caller lets the
// batch's encodings go; and how much faster two threads are: the median of what two runs say that
// follow one another, as the processors' speed changes from one moment to the next.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tercel/tokenizer.h"

namespace {

using Clock = std::chrono::steady_clock;
using Job = std::function<double()>;  // gives the milliseconds that it took

double milliseconds(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Calls it for so long, and at least five times.
std::vector<double> repeat(double seconds, const Job& job) {
  std::vector<double> times;
  for (double spent = 0; times.size() < 5 || spent < seconds * 1e3; spent += times.back())
    times.push_back(job());
  return times;
}

std::vector<std::string> read_lines(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

int run(int count, char** values) {
  const double seconds = count > 3 ? std::atof(values[3]) : 1.0;
  const std::vector<std::string> lines = read_lines(values[2]);
  const std::vector<std::string_view> texts(lines.begin(), lines.end());
  const auto load = repeat(seconds / 2, [&] {
    const auto begin = Clock::now();
    tercel::Tokenizer::load(values[1]);
    return milliseconds(begin);
  });
  const auto tokenizer = tercel::Tokenizer::load(values[1]);
  std::size_t tokens = 0;
  const auto encode = repeat(seconds, [&] {
    const auto begin = Clock::now();
    tokens = 0;
    for (const std::string_view text : texts) tokens += tokenizer.encode(text).size();
    return milliseconds(begin);
  });
  const auto encode_batch = [&](int threads) {
    tercel::EncodeOptions options = tokenizer.default_options();
    options.threads = threads;
    const auto begin = Clock::now();
    const auto batch = tokenizer.encode_batch(texts, options);
    return milliseconds(begin);
  };
  std::vector<double> gains;
  const auto batch = repeat(seconds, [&] {
    const double alone = encode_batch(1);
    gains.push_back(alone / encode_batch(2));
    return alone;
  });
  std::cout << fmt::format(
      "{{\"load_ms\": {:.4f}, \"encode_ms\": {:.4f}, \"batch_ms\": {:.4f}, \"gain\": {:.4f}, "
      "\"tokens\": {}}}\n",
      median(load), median(encode), median(batch), median(gains), tokens);
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    if (count >= 3) return run(count, values);
    std::cerr << "usage: tokenizer_bench TOKENIZER TEXT_FILE [seconds]\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }
  return 2;
}

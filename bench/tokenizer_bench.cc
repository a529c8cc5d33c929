// Loading and encoding with a tokenizer; bench/tokenizer.py sets it beside the `tokenizers`
// package.
//
//   tokenizer_bench TOKENIZER TEXT_FILE [seconds]
//
// Prints one JSON line: the median milliseconds of loading, of encoding the file's lines one by
// one, and of encoding them as a batch on one thread and on two.

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

double milliseconds(const std::function<void()>& job) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  job();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Medians, measured in turns, so that a busy moment of the machine hits all of them.
std::vector<double> median_ms(double seconds, const std::vector<std::function<void()>>& jobs) {
  std::vector<std::vector<double>> times(jobs.size());
  for (double spent = 0; times[0].size() < 5 || spent < seconds * 1e3;) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      times[i].push_back(milliseconds(jobs[i]));
      spent += times[i].back();
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& own : times) {
    const auto middle = own.begin() + static_cast<std::ptrdiff_t>(own.size() / 2);
    std::nth_element(own.begin(), middle, own.end());
    medians.push_back(*middle);
  }
  return medians;
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
  const double load = median_ms(seconds / 2, {[&] { tercel::Tokenizer::load(values[1]); }})[0];
  const auto tokenizer = tercel::Tokenizer::load(values[1]);
  std::size_t tokens = 0;
  const auto encode_batch = [&](int threads) {
    tercel::EncodeOptions options = tokenizer.default_options();
    options.threads = threads;
    tokens = tokenizer.encode_batch(texts, options).size();
  };
  const auto encode = median_ms(seconds, {[&] {
                                  tokens = 0;
                                  for (const std::string_view text : texts) {
                                    tokens += tokenizer.encode(text).size();
                                  }
                                }});
  const std::size_t all = tokens;
  const auto batch = median_ms(seconds, {[&] { encode_batch(1); }, [&] { encode_batch(2); }});
  std::cout << fmt::format(
      "{{\"load_ms\": {:.4f}, \"encode_ms\": {:.4f}, \"batch_ms\": {:.4f}, \"batch_2_ms\": {:.4f}, "
      "\"tokens\": {}}}\n",
      load, encode[0], batch[0], batch[1], all);
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

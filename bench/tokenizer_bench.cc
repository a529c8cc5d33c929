// Loading and encoding with a tokenizer; bench/tokenizer.py sets it beside the `tokenizers`
// package.
//
//   tokenizer_bench TOKENIZER TEXT_FILE [seconds]
//
// Prints one JSON line: the median milliseconds of loading, of encoding the file's lines one by
// one, and of encoding them as a batch on one thread and on two, without the time in which the
// caller lets the batch's encodings go; of the batches also the quickest run.

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

struct Times {
  double median;
  double best;
};

// Measured in turns, so that a busy moment of the machine hits all of them.
std::vector<Times> measure(double seconds, const std::vector<Job>& jobs) {
  std::vector<std::vector<double>> times(jobs.size());
  for (double spent = 0; times[0].size() < 5 || spent < seconds * 1e3;) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      times[i].push_back(jobs[i]());
      spent += times[i].back();
    }
  }
  std::vector<Times> results;
  for (std::vector<double>& own : times) {
    const auto middle = own.begin() + static_cast<std::ptrdiff_t>(own.size() / 2);
    std::nth_element(own.begin(), middle, own.end());
    results.push_back({*middle, *std::min_element(own.begin(), own.end())});
  }
  return results;
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
  const auto load = measure(seconds / 2, {[&] {
                              const auto begin = Clock::now();
                              tercel::Tokenizer::load(values[1]);
                              return milliseconds(begin);
                            }});
  const auto tokenizer = tercel::Tokenizer::load(values[1]);
  std::size_t tokens = 0;
  const auto encode = measure(seconds, {[&] {
                                const auto begin = Clock::now();
                                tokens = 0;
                                for (const std::string_view text : texts) {
                                  tokens += tokenizer.encode(text).size();
                                }
                                return milliseconds(begin);
                              }});
  const auto encode_batch = [&](int threads) {
    tercel::EncodeOptions options = tokenizer.default_options();
    options.threads = threads;
    const auto begin = Clock::now();
    const auto batch = tokenizer.encode_batch(texts, options);
    return milliseconds(begin);
  };
  const auto batch =
      measure(seconds, {[&] { return encode_batch(1); }, [&] { return encode_batch(2); }});
  std::cout << fmt::format(
      "{{\"load_ms\": {:.4f}, \"encode_ms\": {:.4f}, \"batch_ms\": {:.4f}, \"batch_2_ms\": {:.4f}, "
      "\"batch_best_ms\": {:.4f}, \"batch_2_best_ms\": {:.4f}, \"tokens\": {}}}\n",
      load[0].median, encode[0].median, batch[0].median, batch[1].median, batch[0].best,
      batch[1].best, tokens);
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

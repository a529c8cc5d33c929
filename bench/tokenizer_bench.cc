// Loading and encoding with a tokenizer.json; bench/tokenizer.py sets it beside the
// `tokenizers` package.
//
//   tokenizer_bench TOKENIZER.JSON TEXT_FILE [seconds]
//
// Prints one JSON line: the median milliseconds of loading, and of encoding the file's lines one by
// one on one thread.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tercel/tokenizer.h"

namespace {

double median_ms(double seconds, const std::function<void()>& job) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 5 || Clock::now() - start < std::chrono::duration<double>(seconds)) {
    const auto begin = Clock::now();
    job();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
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
  const double load = median_ms(seconds / 2, [&] { tercel::Tokenizer::load(values[1]); });
  const auto tokenizer = tercel::Tokenizer::load(values[1]);
  std::size_t tokens = 0;
  const double encode = median_ms(seconds, [&] {
    tokens = 0;
    for (const std::string& line : lines) tokens += tokenizer.encode(line).size();
  });
  std::cout << fmt::format("{{\"load_ms\": {:.4f}, \"encode_ms\": {:.4f}, \"tokens\": {}}}\n", load,
                           encode, tokens);
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    if (count >= 3) return run(count, values);
    std::cerr << "usage: tokenizer_bench TOKENIZER.JSON TEXT_FILE [seconds]\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }
  return 2;
}

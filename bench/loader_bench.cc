// The loader without a model: reads JSON Lines, tokenises, collates, and prints how long that took.
//   loader_bench TEXTS.jsonl TOKENIZER.json BATCH WORKERS [MAX_TOKENS]

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tercel/data_loader.h"
#include "tercel/reader.h"
#include "tercel/text_data.h"

int main(int count, char** arguments) {
  using namespace tercel;
  if (count < 5) {
    std::fputs("usage: loader_bench TEXTS.jsonl TOKENIZER.json BATCH WORKERS [MAX_TOKENS]\n",
               stderr);
    return 2;
  }
  try {
    constexpr std::size_t kLongest = 256;
    data::TokenizeOptions options;
    options.encode.truncation = Truncation{.max_length = kLongest};
    auto tokenizer = Tokenizer::load(arguments[2]);
    const auto start = std::chrono::steady_clock::now();
    std::shared_ptr<data::IterableDataset> dataset = std::make_shared<data::ReaderDataset>(
        data::open_reader({arguments[1]}, {.fields = {"text"}}),
        data::tokenize(std::move(tokenizer), std::move(options)));
    data::DataLoader loader(dataset, {.batch_size = std::atoi(arguments[3]),
                                      .max_tokens = count > 5 ? std::atoi(arguments[5]) : 0,
                                      .collate = data::text_collate(),
                                      .workers = std::atoi(arguments[4]),
                                      .prefetch = 8});
    while (loader.next()) {
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("{\"seconds\": %.6f, \"tokens\": %lld}\n", took.count(),
                static_cast<long long>(loader.stats().tokens));
  } catch (const Error& error) {
    std::fprintf(stderr, "loader_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}

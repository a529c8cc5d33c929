// How fast a checkpoint comes to the GPU, against reading the file out of the page cache and
// against copying pinned memory: one of them is what loading cannot be faster than.
//
//   load_bench [--gigabytes 13.5] [--folder DIR] [--keep] [--device cuda:0]
//
// Writes a BERT of random weights of that size into DIR (a temporary folder when it is left out),
// first in f16 and then in f32, and loads each as f16. Prints one JSON object a line.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include "src/base/half.h"
#include "src/base/mapped_file.h"
#include "src/device/memory.h"
#include "tercel/session.h"
#include "tests/bert_checkpoint.h"
#include "tests/own_memory.h"

namespace tercel {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

template <class Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class Work>
double best_of(int repeats, const Work& work) {
  double best = seconds(work);
  for (int i = 1; i < repeats; ++i) best = std::min(best, seconds(work));
  return best;
}

// The same random numbers again and again, which neither a file system nor a copy can tell from
// others.
void fill(const BertCheckpoint& checkpoint, Dtype dtype) {
  std::vector<std::byte> block(std::size_t{64} << 20);
  std::mt19937 random(1);
  std::normal_distribution<float> weight(0.0F, 0.02F);
  const std::size_t element = bytes_of(dtype, 1);
  for (std::size_t at = 0; at < block.size(); at += element) {
    const float wide = weight(random);
    const f16 half = to_f16(wide);
    std::memcpy(block.data() + at, dtype == Dtype::f32 ? static_cast<const void*>(&wide) : &half,
                element);
  }
  const int file = ::open(checkpoint.file().c_str(), O_WRONLY | O_CLOEXEC);
  for (std::size_t done = 0; done < checkpoint.bytes();) {
    const std::size_t bytes = std::min(block.size(), checkpoint.bytes() - done);
    const ssize_t put =
        ::pwrite(file, block.data(), bytes, static_cast<off_t>(checkpoint.begin() + done));
    if (put <= 0) throw std::runtime_error("the checkpoint cannot be written: is the disk full?");
    done += static_cast<std::size_t>(put);
  }
  ::close(file);
}

// Reads the file by pieces into memory of the threads' own; `touch`: from the mapping.
double read_seconds(const std::filesystem::path& path, int threads, bool touch) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  const PieceReader reader(bytes);
  return seconds([&] {
    std::atomic<std::size_t> next{0};
    const auto read = [&] {
      std::vector<std::byte> to(kPiece);
      for (std::size_t at = next.fetch_add(kPiece); at < bytes.size();
           at = next.fetch_add(kPiece)) {
        const std::span part = std::span(to).first(std::min(kPiece, bytes.size() - at));
        if (touch)
          std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), part.size(), part.begin());
        else
          reader.read(at, part);
      }
    };
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(read);
    read();
  });
}

// From pinned memory, in the same pieces.
double copy_bytes_per_second(Device& device) {
  constexpr std::size_t kPieces = 2000;
  const auto from = device.make_host_allocator(0)->allocate(kPiece, "measuring");
  const auto to = device.make_allocator(0)->allocate(kPiece, "measuring");
  const auto stream = device.make_stream();
  const double time = best_of(3, [&] {
    for (std::size_t i = 0; i < kPieces; ++i)
      device.copy_from_host(to->data(), from->data(), kPiece, *stream);
    stream->synchronize();
  });
  return static_cast<double>(kPieces * kPiece) / time;
}

// The most that the process holds of its own while `work` is done, beyond what it held before.
template <class Work>
std::size_t most_memory(const Work& work) {
  const std::size_t before = own_memory();
  std::size_t most = before;
  {
    const std::jthread watcher([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        most = std::max(most, own_memory());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    work();
  }
  return most - before;
}

void measure(const std::filesystem::path& folder, Dtype stored, double gigabytes,
             const std::string& device) {
  const int64_t hidden = gigabytes > 3 ? 8192 : 1024;
  const double layer = 12.0 * static_cast<double>(hidden * hidden * int64_t(bytes_of(stored, 1)));
  const auto layers = std::max<int64_t>(1, std::llround(gigabytes * 1e9 / layer));
  const BertCheckpoint checkpoint(folder, hidden, layers, 16384, stored);
  fill(checkpoint, stored);
  const double size = static_cast<double>(checkpoint.bytes()) * 1e-9;
  const std::string kind(to_string(stored));
  double read = 0;
  for (const int threads : {1, 4, 8, 16, 32}) {
    double best = 0, mapped = 0;
    for (int i = 0; i < 2; ++i) {
      best = std::max(best, size / read_seconds(checkpoint.file(), threads, false));
      mapped = std::max(mapped, size / read_seconds(checkpoint.file(), threads, true));
    }
    read = std::max(read, best);
    fmt::print(R"({{"file": "{}", "threads": {}, "read_gb_s": {:.2f}, "mapped_gb_s": {:.2f}}})"
               "\n",
               kind, threads, best, mapped);
  }
  const double copy = device == "cpu" ? 1e9 : copy_bytes_per_second(find_device(device)) * 1e-9;
  const SessionOptions options{.devices = device, .strict = device != "cpu", .dtype = Dtype::f16};
  for (int i = 0; i < 3; ++i) {
    double took = 0;
    std::optional<Session> session;
    const std::size_t most =
        most_memory([&] { took = seconds([&] { session = Session::load(folder, options); }); });
    const double rate = size / took;
    fmt::print(R"({{"load": "{}", "as": "f16", "gb": {:.2f}, "seconds": {:.3f}, "gb_s": {:.2f}, )"
               R"("read_gb_s": {:.2f}, "pinned_gb_s": {:.2f}, "of_the_slower": {:.2f}, )"
               R"("own_mb": {:.0f}, "allowed_mb": {:.0f}}})"
               "\n",
               kind, size, took, rate, read, copy, rate / std::min(read, copy),
               static_cast<double>(most) * 1e-6,
               1.2e-6 * static_cast<double>(checkpoint.largest()) + 256);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace tercel

int main(int count, char** arguments) try {
  double gigabytes = 13.5;
  std::string device = "cuda:0";
  std::filesystem::path folder;
  bool keep = false;
  for (int i = 1; i < count; ++i) {
    const std::string option = arguments[i];
    if (option == "--keep")
      keep = true;
    else if (option == "--gigabytes" && i + 1 < count)
      gigabytes = std::atof(arguments[++i]);
    else if (option == "--device" && i + 1 < count)
      device = arguments[++i];
    else if (option == "--folder" && i + 1 < count)
      folder = arguments[++i];
    else
      throw std::runtime_error("unknown option " + option);
  }
  if (folder.empty())
    folder = std::filesystem::temp_directory_path() / fmt::format("load_bench.{}", ::getpid());
  for (const auto stored : {tercel::Dtype::f32, tercel::Dtype::f16})
    tercel::measure(folder, stored, gigabytes, device);
  if (!keep) std::filesystem::remove_all(folder);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "load_bench: %s\n", error.what());
  return 1;
}

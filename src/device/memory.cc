#include "src/device/memory.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "src/base/cgroup.h"
#include "src/base/fail.h"
#include "src/base/thread_pool.h"
#include "src/device/count.h"
#include "src/device/cpu_isa.h"
#include "src/device/cuda_library.h"
#include "src/device/lasting_memory.h"

namespace tercel {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kChunk = 8 * kHugePage;  // of address space; pages come as they are touched

// Memory of the system's, on huge pages when there is enough of it for one; null when there is
// none.
std::shared_ptr<std::byte> system_block(std::size_t bytes) {
  const bool large = bytes >= kHugePage;
  const std::size_t alignment = large ? kHugePage : kAlignment;
  if (bytes > SIZE_MAX - alignment) return nullptr;
  void* data = std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
  if (data == nullptr) return nullptr;
  if (large) ::madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(data), [](std::byte* block) { std::free(block); }};
}

// A few blocks that were given back. A run asks for what the run before asked for, and the system
// would clear and map its pages anew each time: 0.3 ms for half a megabyte.
class IdleBlocks {
 public:
  static bool keeps(std::size_t bytes) { return bytes >= kLeast && bytes <= kMost; }

  // Of at least `bytes` and less than twice as many; null when there is none.
  std::shared_ptr<std::byte> take(std::size_t& bytes) {
    const std::lock_guard lock(mutex_);
    Block* best = nullptr;
    for (Block& block : blocks_) {
      const bool fits = block.data != nullptr && block.bytes >= bytes && block.bytes / 2 < bytes;
      if (fits && (best == nullptr || block.bytes < best->bytes)) best = &block;
    }
    if (best == nullptr) return nullptr;
    bytes = best->bytes;
    return std::move(best->data);
  }
  // In place of another when there are enough.
  void keep(std::shared_ptr<std::byte> data, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto free = std::find_if(blocks_.begin(), blocks_.end(),
                                   [](const Block& block) { return block.data == nullptr; });
    Block& place = free != blocks_.end() ? *free : blocks_[next_++ % blocks_.size()];
    place = {std::move(data), bytes};
  }

 private:
  static constexpr std::size_t kLeast = std::size_t{64} << 10;  // malloc itself keeps smaller ones
  static constexpr std::size_t kMost = std::size_t{4} << 20;

  struct Block {
    std::shared_ptr<std::byte> data;
    std::size_t bytes = 0;
  };

  std::mutex mutex_;
  std::array<Block, 8> blocks_;
  std::size_t next_ = 0;
};

class CpuBuffer final : public Buffer {
 public:
  // `data` may be a part of the block that it shares.
  CpuBuffer(std::shared_ptr<std::byte> data, std::size_t size, std::shared_ptr<Allocator> allocator,
            std::atomic<std::size_t>& in_use)
      : block_(std::move(data)), allocator_(std::move(allocator)), in_use_(in_use) {
    data_ = block_.get();
    size_ = size;
  }
  ~CpuBuffer() override { in_use_.fetch_sub(size_, std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::byte> block_;
  std::shared_ptr<Allocator> allocator_;
  std::atomic<std::size_t>& in_use_;
};

class CpuAllocator final : public Allocator {
 public:
  explicit CpuAllocator(std::size_t limit)
      : chosen_(limit != 0), limit_(chosen_ ? limit : machine_memory()) {}

  std::shared_ptr<Buffer> allocate(std::size_t bytes, const char* what) override {
    reserve(bytes, what);
    return counted(IdleBlocks::keeps(bytes) ? kept_block(bytes) : system_block(bytes), bytes, what);
  }

  std::shared_ptr<Buffer> allocate_lasting(std::size_t bytes, const char* what) {
    if (bytes > kChunk / 4) return allocate(bytes, what);
    reserve(bytes, what);
    const std::size_t whole = (bytes / kAlignment + 1) * kAlignment;
    const std::lock_guard lock(mutex_);
    if (chunk_ == nullptr || whole > kChunk - taken_) {
      chunk_ = system_block(kChunk);
      taken_ = 0;
    }
    std::shared_ptr<std::byte> part;
    if (chunk_ != nullptr) part = {chunk_, chunk_.get() + taken_};
    taken_ += whole;
    return counted(std::move(part), bytes, what);
  }

  std::shared_ptr<const void> count(std::size_t bytes, const char* what) {
    reserve(bytes, what);
    return {static_cast<const void*>(this), [self = shared_from_this(), this, bytes](const void*) {
              in_use_.fetch_sub(bytes, std::memory_order_relaxed);
            }};
  }

 private:
  // Goes back to the idle ones.
  std::shared_ptr<std::byte> kept_block(std::size_t bytes) {
    std::shared_ptr<std::byte> block = idle_->take(bytes);
    if (block == nullptr) block = system_block(bytes);
    if (block == nullptr) return nullptr;
    std::byte* data = block.get();
    return {data, [idle = idle_, block = std::move(block), bytes](std::byte*) mutable {
              idle->keep(std::move(block), bytes);
            }};
  }

  void reserve(std::size_t bytes, const char* what) {
    std::size_t used = in_use_.load(std::memory_order_relaxed);
    do {
      if (bytes > limit_ || used > limit_ - bytes) {
        fail(Errc::out_of_memory,
             "{}: {} bytes are needed beside the {} in use; the {} {}. {} smaller batches or a "
             "smaller dtype",
             what, bytes, used, chosen_ ? "memory limit is" : "machine has", limit_,
             chosen_ ? "Raise the limit, or use" : "Use");
      }
    } while (!in_use_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    std::size_t peak = peak_.load(std::memory_order_relaxed);
    while (peak < used + bytes &&
           !peak_.compare_exchange_weak(peak, used + bytes, std::memory_order_relaxed)) {
    }
  }

  // `bytes` have been reserved.
  std::shared_ptr<Buffer> counted(std::shared_ptr<std::byte> data, std::size_t bytes,
                                  const char* what) {
    if (data == nullptr) {
      in_use_.fetch_sub(bytes, std::memory_order_relaxed);
      fail(Errc::out_of_memory, "{}: the system has no {} bytes left", what, bytes);
    }
    allocations_.fetch_add(1, std::memory_order_relaxed);
    return std::make_shared<CpuBuffer>(std::move(data), bytes, shared_from_this(), in_use_);
  }

  bool chosen_;
  std::size_t limit_;
  std::shared_ptr<IdleBlocks> idle_ = std::make_shared<IdleBlocks>();
  std::mutex mutex_;                  // guards what follows
  std::shared_ptr<std::byte> chunk_;  // where lasting blocks are taken from
  std::size_t taken_ = 0;
};

class CpuStream final : public Stream {
 public:
  void synchronize() override { ++synchronizations_; }
};

class CpuDevice final : public Device {
 public:
  DeviceKind kind() const override { return DeviceKind::cpu; }
  int index() const override { return 0; }
  std::string name() const override { return "cpu"; }
  DeviceProperties properties() const override {
    DeviceProperties own;
    own.model = std::string(to_string(best_cpu_isa()));
    own.memory = machine_memory();
    const auto pages = static_cast<std::size_t>(std::max(0L, ::sysconf(_SC_AVPHYS_PAGES)));
    const auto page = static_cast<std::size_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
    own.free_memory = std::min(own.memory, pages * page);
    own.processors = available_cpus();
    return own;
  }
  double measure_bandwidth() override;
  std::shared_ptr<Allocator> make_allocator(std::size_t limit) override {
    return make_cpu_allocator(limit);
  }
  std::shared_ptr<Allocator> make_host_allocator(std::size_t limit) override {
    return make_cpu_allocator(limit);
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CpuStream>(); }
  void copy_from_host(void* device, const void* host, std::size_t bytes, Stream&) override {
    std::memcpy(device, host, bytes);
  }
  void copy_to_host(void* host, const void* device, std::size_t bytes, Stream&) override {
    std::memcpy(host, device, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream&) override {
    std::memmove(to, from, bytes);
  }
};

// By all CPUs of the process together.
double CpuDevice::measure_bandwidth() {
  constexpr int64_t kBytes = int64_t{256} << 20;
  constexpr int kRepeats = 4;
  ThreadPool pool(0);
  const auto memory = make_cpu_allocator();
  const auto from = memory->allocate(kBytes, "measuring");
  const auto to = memory->allocate(kBytes, "measuring");
  std::memset(from->data(), 1, kBytes);
  std::memset(to->data(), 1, kBytes);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    pool.parallel_for(kBytes, kBytes / pool.size(), [&](int64_t begin, int64_t end) {
      std::memcpy(to->data() + begin, from->data() + begin, static_cast<std::size_t>(end - begin));
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2 * static_cast<double>(kBytes) / seconds.count());
  }
  return best;
}

}  // namespace

std::shared_ptr<const void> count_bytes(Allocator& memory, std::size_t bytes, const char* what) {
  auto* counting = dynamic_cast<CpuAllocator*>(&memory);
  return counting != nullptr ? counting->count(bytes, what) : nullptr;
}

std::size_t machine_memory() {
  static const std::size_t bytes = [] {
    struct sysinfo info {};
    double available = static_cast<double>(SIZE_MAX / 2);
    if (::sysinfo(&info) == 0) {
      available = (static_cast<double>(info.totalram) + static_cast<double>(info.totalswap)) *
                  static_cast<double>(info.mem_unit);
    }
    const double group = cgroup_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup");
    return static_cast<std::size_t>(group > 0 ? std::min(group, available) : available);
  }();
  return bytes;
}

std::shared_ptr<Allocator> make_cpu_allocator(std::size_t limit) {
  return std::make_shared<CpuAllocator>(limit);
}

std::shared_ptr<Buffer> allocate_lasting(Allocator& memory, std::size_t bytes, const char* what) {
  auto* cpu = dynamic_cast<CpuAllocator*>(&memory);
  return cpu != nullptr ? cpu->allocate_lasting(bytes, what) : memory.allocate(bytes, what);
}

Device& find_device(const std::string& name) {
  static CpuDevice cpu;
  if (name == "cpu") return cpu;
  if (name == "cuda" || name.starts_with("cuda:")) return find_cuda_device(name);
  fail(Errc::invalid_argument, "unknown device \"{}\"; expected cpu, cuda or cuda:0, cuda:1, …",
       name);
}

}  // namespace tercel

#include "src/device/cuda/allocator.h"

#include <map>
#include <mutex>

#include "src/device/cuda/check.h"

namespace tercel::cuda {
namespace {

constexpr std::size_t kSmall = std::size_t{1} << 20;

// Sizes that are close share blocks: 512 bytes apart up to a megabyte, then two megabytes.
std::size_t rounded(std::size_t bytes) {
  const std::size_t step = bytes <= kSmall ? 512 : 2 * kSmall;
  return bytes == 0 ? step : (bytes + step - 1) / step * step;
}

class CachingAllocator final : public Allocator {
 public:
  CachingAllocator(int device, Memory memory, std::size_t limit)
      : device_(device), memory_(memory), limit_(limit) {}
  ~CachingAllocator() override { release(); }

  std::shared_ptr<Buffer> allocate(std::size_t bytes, const char* what) override;

 private:
  class Block;
  std::byte* take(std::size_t size, const char* what);
  void* ask_driver(std::size_t size) const;
  void give_back(std::byte* data, std::size_t size);
  void release();
  std::string place() const {
    return memory_ == Memory::device ? fmt::format("cuda:{}", device_)
                                     : std::string("host memory for the GPU");
  }

  const int device_;
  const Memory memory_;
  const std::size_t limit_;
  std::mutex mutex_;  // guards what follows
  std::multimap<std::size_t, std::byte*> free_;
  std::size_t held_ = 0;  // from the driver, in use or not
};

class CachingAllocator::Block final : public Buffer {
 public:
  Block(std::shared_ptr<CachingAllocator> owner, std::byte* data, std::size_t size,
        std::size_t capacity)
      : owner_(std::move(owner)), capacity_(capacity) {
    data_ = data;
    size_ = size;
  }
  ~Block() override { owner_->give_back(data_, capacity_); }

 private:
  std::shared_ptr<CachingAllocator> owner_;
  std::size_t capacity_;
};

std::shared_ptr<Buffer> CachingAllocator::allocate(std::size_t bytes, const char* what) {
  const std::size_t size = bytes > SIZE_MAX - 2 * kSmall ? bytes : rounded(bytes);
  const std::lock_guard lock(mutex_);
  std::byte* data = take(size, what);
  const std::size_t used = in_use_.fetch_add(size, std::memory_order_relaxed) + size;
  if (used > peak_.load(std::memory_order_relaxed)) peak_.store(used, std::memory_order_relaxed);
  allocations_.fetch_add(1, std::memory_order_relaxed);
  return std::make_shared<Block>(std::static_pointer_cast<CachingAllocator>(shared_from_this()),
                                 data, bytes, size);
}

std::byte* CachingAllocator::take(std::size_t size, const char* what) {
  const auto found = free_.find(size);
  if (found != free_.end()) {
    std::byte* data = found->second;
    free_.erase(found);
    return data;
  }
  if (limit_ != 0 && (size > limit_ || held_ > limit_ - size)) release();
  if (limit_ != 0 && (size > limit_ || held_ > limit_ - size)) {
    fail(Errc::out_of_memory,
         "{}: {}: {} bytes are needed beside the {} in use; the memory limit is {}. Raise the "
         "limit, or use smaller batches or a smaller dtype",
         place(), what, size, held_, limit_);
  }
  void* data = ask_driver(size);
  if (data == nullptr) {
    release();
    data = ask_driver(size);
  }
  if (data == nullptr) {
    std::size_t free = 0;
    std::size_t total = 0;
    cudaMemGetInfo(&free, &total);
    fail(Errc::out_of_memory,
         "{}: {}: {} bytes are needed beside the {} in use; {} of the device's {} are free. Use "
         "smaller batches or a smaller dtype",
         place(), what, size, held_, free, total);
  }
  held_ += size;
  return static_cast<std::byte*>(data);
}

// Null when there is no such memory.
void* CachingAllocator::ask_driver(std::size_t size) const {
  check(cudaSetDevice(device_), "cudaSetDevice");
  void* data = nullptr;
  const cudaError_t result = memory_ == Memory::device
                                 ? cudaMalloc(&data, size)
                                 : cudaHostAlloc(&data, size, cudaHostAllocPortable);
  if (result == cudaSuccess) return data;
  if (result != cudaErrorMemoryAllocation) check(result, "cudaMalloc");
  cudaGetLastError();
  return nullptr;
}

void CachingAllocator::give_back(std::byte* data, std::size_t size) {
  const std::lock_guard lock(mutex_);
  in_use_.fetch_sub(size, std::memory_order_relaxed);
  free_.emplace(size, data);
}

void CachingAllocator::release() {
  for (const auto& [size, data] : free_) {
    if (memory_ == Memory::device)
      cudaFree(data);
    else
      cudaFreeHost(data);
    held_ -= size;
  }
  free_.clear();
}

}  // namespace

std::shared_ptr<Allocator> make_allocator(int device, Memory memory, std::size_t limit) {
  return std::make_shared<CachingAllocator>(device, memory, limit);
}

}  // namespace tercel::cuda

#pragma once
// Where bytes live. A Device hands out Allocators and Streams; a Buffer is a block of a device's
// memory that frees itself. The CPU is the one device built in; others come from libraries opened
// at run time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace tercel {

enum class DeviceKind { cpu, cuda };

// A block of memory on a device.
class Buffer {
 public:
  virtual ~Buffer() = default;
  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 protected:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Hands out Buffers, counts them, and holds a session to its memory cap.
class Allocator : public std::enable_shared_from_this<Allocator> {
 public:
  virtual ~Allocator() = default;

  // `bytes` at a 64-byte boundary, uninitialised; `what` names the use in the error.
  // Throws Errc::out_of_memory when the cap or the system's memory does not allow it.
  virtual std::shared_ptr<Buffer> allocate(std::size_t bytes, const char* what) = 0;

  std::size_t in_use() const { return in_use_.load(std::memory_order_relaxed); }
  std::size_t peak() const { return peak_.load(std::memory_order_relaxed); }

 protected:
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
};

// Bytes that the process may have at most: the machine's memory and swap, or less when its control
// group says so.
std::size_t machine_memory();

// A CPU allocator; `limit` in bytes, 0 for machine_memory(). Large blocks ask the system for huge
// pages.
std::shared_ptr<Allocator> make_cpu_allocator(std::size_t limit = 0);

// An ordered queue of work on a device. The CPU's has nothing queued: work is done when it returns.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void synchronize() = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual int index() const = 0;
  virtual std::string name() const = 0;  // "cpu", "cuda:0"
  virtual std::shared_ptr<Allocator> make_allocator(std::size_t limit) = 0;
  virtual std::unique_ptr<Stream> make_stream() = 0;
  virtual void copy_from_host(void* device, const void* host, std::size_t bytes,
                              Stream& stream) = 0;
  virtual void copy_to_host(void* host, const void* device, std::size_t bytes, Stream& stream) = 0;
};

// "cpu"; anything else throws Errc::unsupported or Errc::invalid_argument. The device lives as long
// as the process.
Device& find_device(const std::string& name);

}  // namespace tercel

#pragma once
// Where bytes live. A Device hands out Allocators and Streams; a Buffer is a block of a device's
// memory that frees itself. The CPU is the one device built in; others come from libraries opened
// at run time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "src/base/function_ref.h"

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
  // Calls of allocate() that gave a block.
  std::size_t allocations() const { return allocations_.load(std::memory_order_relaxed); }

 protected:
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
  std::atomic<std::size_t> allocations_{0};
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
  // Waits for the work. Throws Errc::internal for a fault of the device that happened meanwhile.
  virtual void synchronize() = 0;
  // What is queued from here on waits for all that is on the device's default stream now.
  virtual void follow_default() {}
  // What the device's own kernels call a stream (cudaStream_t); null for the CPU's.
  virtual void* native() const { return nullptr; }
  // Calls of synchronize().
  std::size_t synchronizations() const { return synchronizations_; }

 protected:
  std::size_t synchronizations_ = 0;
};

// A point of a stream that can be waited for, whatever is queued behind it. The CPU's has passed.
class Event {
 public:
  virtual ~Event() = default;
  // It is where the stream's queue ends now.
  virtual void record(Stream& stream) { (void)stream; }
  // Waits until the stream has passed it. Throws as Stream::synchronize().
  virtual void synchronize() {}
};

// Work that was recorded once and can be queued again and again at the cost of one call. It keeps
// the addresses that it was recorded with.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(Stream& stream) = 0;
};

// What a device is, as `tercel devices` lists it.
struct DeviceProperties {
  std::string model;  // "NVIDIA H100 80GB HBM3"
  std::size_t memory = 0;
  std::size_t free_memory = 0;
  int capability = 0;  // CUDA's compute capability, 90 for 9.0; 0 for the CPU
  int processors = 0;  // multiprocessors, or CPUs
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual int index() const = 0;
  virtual std::string name() const = 0;  // "cpu", "cuda:0"
  virtual DeviceProperties properties() const = 0;
  // Bytes a second, read and written, of a large copy within the device's memory: it is made.
  virtual double measure_bandwidth() = 0;
  // Bytes a second of a large copy from the other device into this one's memory: it is made. Of the
  // CPU's memory, that of make_host_allocator(). 0 where there is none.
  virtual double measure_transfer(Device& from) {
    (void)from;
    return 0;
  }
  // Of the device's memory; `limit` in bytes, 0 for all that there is.
  virtual std::shared_ptr<Allocator> make_allocator(std::size_t limit) = 0;
  // Of host memory that the device copies to and from without the CPU's help.
  virtual std::shared_ptr<Allocator> make_host_allocator(std::size_t limit) = 0;
  virtual std::unique_ptr<Stream> make_stream() = 0;
  virtual std::unique_ptr<Event> make_event() { return std::make_unique<Event>(); }
  // Copies are queued; the bytes on the host must stay until the stream has passed them.
  virtual void copy_from_host(void* device, const void* host, std::size_t bytes,
                              Stream& stream) = 0;
  virtual void copy_to_host(void* host, const void* device, std::size_t bytes, Stream& stream) = 0;
  // Between memory of its own, of make_host_allocator() and of other devices of its kind.
  virtual void copy(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;
  // Copies between the two devices go straight from one to the other, where there is such a way.
  virtual void connect(Device& other) { (void)other; }
  // What the calling thread queues goes to this device from here on.
  virtual void use() {}
  // Writes `value` to `place`, in memory of make_host_allocator(), when the stream gets there:
  // after a fault it says how far the work came.
  virtual void mark(uint32_t* place, uint32_t value, Stream& stream) {
    (void)stream;
    *place = value;
  }
  // Runs `work`, which queues on `stream`, and records instead of doing it. Null where the device
  // records nothing.
  virtual std::unique_ptr<Recording> record(Stream& stream, FunctionRef<void()> work) {
    (void)stream, (void)work;
    return nullptr;
  }
};

// "cpu", "cuda", "cuda:1". Throws Errc::unsupported where the machine has no such device or what it
// needs is not installed, Errc::invalid_argument for another name. The device lives as long as the
// process.
Device& find_device(const std::string& name);

}  // namespace tercel

#pragma once
// An accelerator for machines without a GPU: its memory is the host's, its kernels are the CPU's,
// and f32 stays f32. As on a GPU what is queued is done later, in the order of its stream, and can
// be recorded.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "src/ops/cpu.h"
#include "src/runtime/accelerator.h"
#include "tercel/version.h"
#include "tests/host_device.h"

namespace tercel {

using Work = std::function<void()>;

// Does its work on a thread of its own.
class WorkStream final : public Stream {
 public:
  ~WorkStream() override {
    add([this] { ended_ = true; });
  }

  void add(Work work) {
    const std::lock_guard lock(mutex_);
    if (recorded_ != nullptr) return recorded_->push_back(std::move(work));
    queue_.push_back(std::move(work));
    ++added_;
    changed_.notify_all();
  }
  // How much has been added, and waits until so much is done.
  std::size_t added() const {
    const std::lock_guard lock(mutex_);
    return added_;
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ >= count; });
  }
  void synchronize() override {
    ++synchronizations_;
    wait_for(added());
  }
  // Where to put work instead of doing it; null: it is done.
  void record_to(std::vector<Work>* recorded) {
    const std::lock_guard lock(mutex_);
    recorded_ = recorded;
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      changed_.wait(lock, [&] { return !queue_.empty(); });
      const Work next = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      next();
      lock.lock();
      ++done_;
      changed_.notify_all();
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  std::size_t added_ = 0, done_ = 0;
  std::vector<Work>* recorded_ = nullptr;
  bool ended_ = false;  // set and read by the thread
  std::jthread thread_{[this] { work(); }};
};

inline WorkStream& work_of(Stream& stream) { return dynamic_cast<WorkStream&>(stream); }

class WorkEvent final : public Event {
 public:
  // What has been recorded and not waited for, and the most of it that there was.
  struct Ahead {
    std::atomic<int> now{0}, most{0};
  };
  explicit WorkEvent(Ahead& ahead) : ahead_(ahead) {}
  void record(Stream& stream) override {
    stream_ = &work_of(stream);
    at_ = stream_->added();
    const int now = ++ahead_.now;
    for (int most = ahead_.most; most < now && !ahead_.most.compare_exchange_weak(most, now);) {
    }
  }
  void synchronize() override {
    stream_->wait_for(at_);
    --ahead_.now;
  }

 private:
  Ahead& ahead_;
  WorkStream* stream_ = nullptr;
  std::size_t at_ = 0;
};

class WorkRecording final : public Recording {
 public:
  std::vector<Work> work;
  void replay(Stream& stream) override {
    for (const Work& each : work) work_of(stream).add(each);
  }
};

// Counts the bytes that it copies.
class WorkDevice final : public HostDevice {
 public:
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<WorkStream>(); }
  std::unique_ptr<Event> make_event() override { return std::make_unique<WorkEvent>(ahead); }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    add_copy(from_host, to, from, bytes, stream);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    add_copy(to_host, to, from, bytes, stream);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    add_copy(direct, to, from, bytes, stream);
  }
  void connect(Device& other) override { connected = &other; }
  std::unique_ptr<Recording> record(Stream& stream, FunctionRef<void()> work) override {
    auto recording = std::make_unique<WorkRecording>();
    work_of(stream).record_to(&recording->work);
    work();
    work_of(stream).record_to(nullptr);
    ++recordings;
    return recording;
  }

  std::atomic<std::size_t> from_host{0}, to_host{0}, direct{0};  // bytes
  std::atomic<std::size_t> recordings{0};
  WorkEvent::Ahead ahead;
  Device* connected = nullptr;

 private:
  static void add_copy(std::atomic<std::size_t>& count, void* to, const void* from,
                       std::size_t bytes, Stream& stream) {
    work_of(stream).add([&count, to, from, bytes] {
      std::memcpy(to, from, bytes);
      count += bytes;
    });
  }
};

// A kernel of the CPU's, queued. What it throws is a fault.
class QueuedKernel final : public ops::Kernel {
 public:
  explicit QueuedKernel(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    return kernel_->workspace(inputs, outputs, threads);
  }
  bool absorbs(int input) const override { return kernel_->absorbs(input); }
  bool in_place(int input) const override { return kernel_->in_place(input); }
  bool outputs_side_by_side() const override { return kernel_->outputs_side_by_side(); }
  bool allocates_outputs() const override { return kernel_->allocates_outputs(); }
  void run(const ops::KernelRun& run) const override {
    if (allocates_outputs()) {
      run.stream->synchronize();
      return kernel_->run(run);
    }
    work_of(*run.stream)
        .add([this, run, inputs = std::vector(run.inputs.begin(), run.inputs.end()),
              outputs = std::vector(run.outputs.begin(), run.outputs.end())]() mutable {
          try {
            kernel_->run({inputs, outputs, run.workspace, run.pool, run.memory});
          } catch (const Error&) {
            *run.fault = 1;
          }
        });
  }

 private:
  std::unique_ptr<Kernel> kernel_;
};

inline const ops::KernelTable& queued_kernel_table() {
  static constexpr ops::Implementation kQueued[] = {
      {.name = "queued",
       .refuse = [](const ops::KernelContext& context) -> std::string {
         return ops::has_kernel(ops::cpu_kernel_table(), context) ? "" : "the CPU has none";
       },
       .create = [](const ops::KernelContext& context) -> std::unique_ptr<ops::Kernel> {
         return std::make_unique<QueuedKernel>(
             ops::choose_kernel(ops::cpu_kernel_table(), context).kernel);
       },
       .epilogues = true,
       .layouts = true,
       .siblings = true,
       .rounding = true,
       .lookups = true}};
  static const ops::KernelTable kTable = [] {
    static std::vector<ops::OperatorKernels> kOperators;
    for (const ops::OperatorKernels* own : ops::all_cpu_ops())
      kOperators.push_back({own->domain, own->name, kQueued});
    const std::span<const ops::OperatorKernels> family(kOperators);
    return ops::KernelTable({&family, 1});
  }();
  return kTable;
}

inline const CudaLibrary& host_library() {
  static const CudaLibrary kLibrary{.version = version().data(),
                                    .interface = kCudaLibraryInterface,
                                    .open_devices = nullptr,
                                    .kernels = &queued_kernel_table(),
                                    .convert = nullptr,
                                    .tuned = nullptr,
                                    .take_tuned = nullptr};
  return kLibrary;
}

struct HostAccelerator {
  WorkDevice device;
  runtime::Accelerator accelerator{device, host_library(), Dtype::f32};
};

}  // namespace tercel

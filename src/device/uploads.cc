#include "src/device/uploads.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "src/base/mapped_file.h"

namespace tercel {
namespace {

constexpr std::size_t kPiece = std::size_t{2} << 20;  // larger ones leave the caches
constexpr std::size_t kMostSlots = 32;
constexpr std::size_t kKeptSlots = 2;  // between one model and the next

class DeviceUploads final : public Uploads {
 public:
  DeviceUploads(Device& device, Convert convert) : device_(device), convert_(convert) {}
  ~DeviceUploads() override {
    try {
      wait();
    } catch (...) {  // told by whoever uses the device next
    }
  }

  void add(void* to, Dtype to_type, const void* from, Dtype from_type, int64_t count,
           ThreadPool& pool) override {
    if (count == 0) return;
    const std::lock_guard lock(adding_);
    const std::size_t from_bytes = bytes_of(from_type, 1);
    const std::size_t to_bytes = bytes_of(to_type, 1);
    const auto piece = static_cast<int64_t>(kPiece / from_bytes);
    const int64_t pieces = (count - 1) / piece + 1;
    prepare(static_cast<std::size_t>(pieces), static_cast<std::size_t>(pool.size()));
    const PieceReader source({static_cast<const std::byte*>(from), bytes_of(from_type, count)});
    pool.parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      device_.use();
      for (int64_t i = begin; i < end; ++i) {
        const auto first = static_cast<std::size_t>(i * piece);
        const int64_t elements = std::min(piece, count - i * piece);
        std::byte* target = static_cast<std::byte*>(to) + first * to_bytes;
        const Taken slot(*this);
        slot->stream->synchronize();
        const std::span staged(slot->staging->data(), bytes_of(from_type, elements));
        source.read(first * from_bytes, staged);
        void* landing = from_type == to_type ? target : slot->landing->data();
        device_.copy_from_host(landing, staged.data(), staged.size(), *slot->stream);
        if (from_type != to_type)
          convert_(target, to_type, landing, from_type, elements, *slot->stream);
      }
    });
  }

  void wait() override {
    const std::lock_guard lock(adding_);
    if (slots_.empty()) return;
    device_.use();
    for (const auto& slot : slots_) slot->stream->synchronize();
    slots_.resize(std::min(slots_.size(), kKeptSlots));
  }

 private:
  // What one piece passes through.
  struct Slot {
    std::shared_ptr<Buffer> staging;  // on the host
    std::shared_ptr<Buffer> landing;  // on the device, before its elements are converted
    std::unique_ptr<Stream> stream;
  };

  // The slot that has been in use longest, for as long as this lives.
  class Taken {
   public:
    explicit Taken(DeviceUploads& owner) : owner_(owner) {
      std::unique_lock lock(owner.mutex_);
      owner.returned_.wait(lock, [&] { return !owner.slots_.empty(); });
      slot_ = std::move(owner.slots_.front());
      owner.slots_.pop_front();
    }
    ~Taken() {
      {
        const std::lock_guard lock(owner_.mutex_);
        owner_.slots_.push_back(std::move(slot_));
      }
      owner_.returned_.notify_one();
    }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    Slot* operator->() const { return slot_.get(); }

   private:
    DeviceUploads& owner_;
    std::unique_ptr<Slot> slot_;
  };

  // Two for each thread: while the device takes one, the thread fills the other.
  void prepare(std::size_t pieces, std::size_t threads) {
    device_.use();
    const std::size_t wanted = std::min({pieces + 1, 2 * threads, kMostSlots});
    while (slots_.size() < wanted) {
      auto slot = std::make_unique<Slot>();
      slot->staging = device_.make_host_allocator(0)->allocate(kPiece, "uploads");
      slot->landing = device_.make_allocator(0)->allocate(kPiece, "uploads");
      slot->stream = device_.make_stream();
      slots_.push_back(std::move(slot));
    }
  }

  Device& device_;
  Convert convert_;
  std::mutex adding_;
  std::mutex mutex_;  // guards slots_ among the threads that add()
  std::condition_variable returned_;
  std::deque<std::unique_ptr<Slot>> slots_;  // not taken, the longest in use first
};

}  // namespace

std::unique_ptr<Uploads> make_uploads(Device& device, Convert convert) {
  return std::make_unique<DeviceUploads>(device, convert);
}

}  // namespace tercel

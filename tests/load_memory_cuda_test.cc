// What loading a model to a GPU takes of the host's memory: a few pieces of it at a time. Nothing
// runs, so no GPU is needed.

#include <atomic>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "src/session/compile_model.h"
#include "tests/bert_checkpoint.h"
#include "tests/host_device.h"
#include "tests/own_memory.h"

namespace tercel {
namespace {

// Memory that does not count as the process's own, as a GPU's does not.
class ElsewhereBuffer final : public Buffer {
 public:
  explicit ElsewhereBuffer(std::size_t bytes) {
    size_ = bytes;
    data_ = static_cast<std::byte*>(
        ::mmap(nullptr, bytes + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }
  ~ElsewhereBuffer() override { ::munmap(data_, size_ + 1); }
};

class ElsewhereAllocator final : public Allocator {
 public:
  std::shared_ptr<Buffer> allocate(std::size_t bytes, const char*) override {
    in_use_ += bytes;
    return std::make_shared<ElsewhereBuffer>(bytes);
  }
};

class WatchingDevice final : public HostDevice {
 public:
  std::shared_ptr<Allocator> make_allocator(std::size_t) override {
    return std::make_shared<ElsewhereAllocator>();
  }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    HostDevice::copy_from_host(to, from, bytes, stream);
    copied += bytes;
    if (const std::size_t now = own_memory(); now > most) most = now;
  }
  std::atomic<std::size_t> copied = 0;
  std::atomic<std::size_t> most = 0;
};

class LoadMemory : public testing::TestWithParam<std::pair<Dtype, Dtype>> {};

TEST_P(LoadMemory, HoldsPiecesOfTheModel) {
  if (cuda_devices().api == nullptr) GTEST_SKIP() << cuda_devices().missing;
  const auto [stored, kept] = GetParam();
  const auto folder = std::filesystem::path(testing::TempDir()) / "load_memory";
  const BertCheckpoint model(folder, 1024, 4, 5000, stored);
  CudaLibrary library = *cuda_devices().api;
  library.convert = [](void*, Dtype, const void*, Dtype, int64_t, Stream&) {};
  auto* const device = new WatchingDevice();  // as host_device() says
  runtime::Accelerator accelerator(*device, library, kept);
  ThreadPool pool(2);
  const auto memory = make_cpu_allocator();
  const std::size_t before = own_memory();
  const CompiledModel compiled = compile_model(
      {folder, "", true, best_cpu_isa(), pool, memory, {{&accelerator}}, true}, {.dtype = kept});
  std::filesystem::remove_all(folder);
  EXPECT_GE(device->copied, model.bytes());
  EXPECT_LE(device->copied, model.bytes() + (std::size_t{1} << 20));
  constexpr std::size_t kAllowed = std::size_t{16} << 20;
  EXPECT_LT(model.largest() * 4, model.bytes());
  EXPECT_LE(device->most, before + kAllowed);
  EXPECT_LE(memory->peak(), kAllowed);
}

INSTANTIATE_TEST_SUITE_P(, LoadMemory,
                         testing::Values(std::pair(Dtype::f32, Dtype::f32),
                                         std::pair(Dtype::f32, Dtype::f16),
                                         std::pair(Dtype::f16, Dtype::f16),
                                         std::pair(Dtype::f16, Dtype::bf16)),
                         [](const auto& info) {
                           return std::string(to_string(info.param.first)) + "_as_" +
                                  std::string(to_string(info.param.second));
                         });

}  // namespace
}  // namespace tercel

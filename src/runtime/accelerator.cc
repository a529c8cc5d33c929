#include "src/runtime/accelerator.h"

#include "src/base/cache_folder.h"
#include "src/base/fail.h"

namespace tercel::runtime {

Accelerator::Accelerator(const std::string& device, std::size_t limit, Dtype float_dtype,
                         bool batch_invariant)
    : device_(find_device(device)),
      library_(*cuda_devices().api),
      float_dtype_(float_dtype),
      batch_invariant_(batch_invariant),
      memory_(device_.make_allocator(limit)),
      host_memory_(device_.make_host_allocator(limit)),
      uploads_(make_uploads(device_, library_.convert)) {
  if (float_dtype != Dtype::f8e4m3fn && float_dtype != Dtype::i8) return;
  float_dtype_ = Dtype::f16;
  product_dtype_ = float_dtype;
  const DeviceProperties own = device_.properties();
  if (own.capability == 90) return;
  fail(Errc::unsupported,
       "dtype {} needs a GPU of compute capability 9.0 (Hopper); {}, {}, has {}.{}: choose f16 or "
       "bf16",
       float_dtype == Dtype::i8 ? "int8" : "f8e4m3fn", device_.name(), own.model,
       own.capability / 10, own.capability % 10);
}

Accelerator::Accelerator(Device& device, const CudaLibrary& library, Dtype float_dtype)
    : device_(device),
      library_(library),
      float_dtype_(float_dtype),
      memory_(device.make_allocator(0)),
      host_memory_(device.make_host_allocator(0)),
      uploads_(make_uploads(device, library.convert)) {}

void Accelerator::keep_tuning() {
  tuning_ = std::make_unique<TuningFile>(
      cache_folder(), device_.properties().model,
      TuningFile::Choices{[this] { return library_.tuned(device_); },
                          [this](std::string_view text) { library_.take_tuned(device_, text); }});
}

bool Accelerator::holds(Dtype dtype) { return bits_of(dtype) >= 8; }

Tensor Accelerator::upload(const Tensor& tensor, ThreadPool& pool) const {
  Tensor copy =
      ops::allocate_tensor(kept_as(tensor.dtype()), tensor.shape(), *memory_, "constants");
  uploads_->add(copy.data(), copy.dtype(), tensor.data(), tensor.dtype(), tensor.size(), pool);
  return copy;
}

void Accelerator::convert(const Tensor& from, Tensor& to, Stream& stream) const {
  library_.convert(to.data(), to.dtype(), from.data(), from.dtype(), from.size(), stream);
}

}  // namespace tercel::runtime

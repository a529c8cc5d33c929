#pragma once
// A device other than the CPU, as a program uses it: its kernels, its memory, and how f32 is kept
// there.

#include <memory>
#include <string>

#include "src/device/cuda_library.h"
#include "src/device/uploads.h"
#include "src/ops/kernel.h"
#include "src/runtime/tuning_file.h"

namespace tercel::runtime {

class Accelerator {
 public:
  // `limit`: bytes of the device's memory that may be held, 0 for all. `float_dtype`: what f32
  // values become there: f32, f16 or bf16; or f8e4m3fn or i8: f16, and products of fp8 or
  // int8, for which Errc::unsupported is thrown where the device has none.
  // `batch_invariant`: as ops::KernelContext has it; f16 and bf16 alone.
  Accelerator(const std::string& device, std::size_t limit, Dtype float_dtype,
              bool batch_invariant = false);
  // Of a device that is no machine's: programs are made for it with the library's kernels, not run.
  Accelerator(Device& device, const CudaLibrary& library, Dtype float_dtype);

  Device& device() const { return device_; }
  const ops::KernelTable& kernels() const { return *library_.kernels; }
  Allocator& memory() const { return *memory_; }
  Allocator& host_memory() const { return *host_memory_; }  // that transfers read and write

  Dtype float_dtype() const { return float_dtype_; }
  // As ops::KernelContext has it.
  Dtype product_dtype() const { return product_dtype_; }
  bool batch_invariant() const { return batch_invariant_; }
  // The type that elements have in the device's memory.
  Dtype kept_as(Dtype declared) const { return declared == Dtype::f32 ? float_dtype_ : declared; }
  // Whether tensors of this type can lie there: numbers and booleans of whole bytes.
  static bool holds(Dtype dtype);

  // What brings constants there. What was added is there after its wait().
  Uploads& uploads() const { return *uploads_; }
  // A copy in the device's memory, in the type that it is kept as, by way of uploads().
  Tensor upload(const Tensor& tensor, ThreadPool& pool) const;
  // Keeps what is measured of the device's kernels in cache_folder(), and takes in what is there.
  // Throws when nothing can be kept.
  void keep_tuning();
  // Something may have been measured.
  void save_tuning() {
    if (tuning_ != nullptr) tuning_->save();
  }

  // Queues a conversion within the device's memory.
  void convert(const Tensor& from, Tensor& to, Stream& stream) const;

 private:
  Device& device_;
  const CudaLibrary& library_;
  Dtype float_dtype_;
  Dtype product_dtype_ = Dtype::undefined;
  bool batch_invariant_ = false;
  std::shared_ptr<Allocator> memory_;
  std::shared_ptr<Allocator> host_memory_;
  std::unique_ptr<Uploads> uploads_;
  std::unique_ptr<TuningFile> tuning_;  // null: nothing is kept
};

}  // namespace tercel::runtime

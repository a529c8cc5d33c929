#pragma once
// The CUDA half of Tercel, libtercel_cuda.so, which is opened when the first CUDA device is asked
// for: one binary serves machines with and without a GPU, a driver, or NVIDIA's libraries.
//
// It is looked for beside the executable or libtercel.so that holds this code, then in `lib` beside
// that folder, then where the system's loader looks. It exports one function, whose answer must be
// of the same build.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/device/memory.h"
#include "src/device/uploads.h"

namespace tercel {

namespace ops {
class KernelTable;
}

// Changes with every change of what the two halves share: of this header, memory.h,
// src/ops/kernel.h and src/ir.
inline constexpr int kCudaLibraryInterface = 5;

// What the library answers. The first two members can be read whatever else has changed.
struct CudaLibrary {
  const char* version;  // tercel::version()
  int interface;        // kCudaLibraryInterface
  // Null, and the reason in `missing`, when the machine has no usable driver or device.
  std::vector<std::unique_ptr<Device>> (*open_devices)(std::string& missing);
  const ops::KernelTable* kernels;
  // Elements within the device's memory, of another type (f32, f16, bf16 and f64 to each other);
  // queued. A finite number stays one: beyond the other type's range it becomes the largest (what a
  // mask adds to hide a key must not turn into infinity). The arrays may not overlap.
  Convert convert;
  // Which kernels were measured to be the fastest for which products and convolutions: lines below
  // one that says for what kind of device and which libraries. And what takes in such lines. Throw
  // Errc::unsupported where cuBLASLt is missing.
  std::string (*tuned)(Device& device);
  void (*take_tuned)(Device& device, std::string_view text);
};

// The name and type of the function that it exports.
inline constexpr const char* kCudaLibraryEntry = "tercel_cuda_library";
using CudaLibraryEntry = const CudaLibrary*();

// Every CUDA device of this machine, in the driver's order; none where there is no library, driver
// or device, and then `missing` says what.
struct CudaDevices {
  std::vector<std::unique_ptr<Device>> devices;
  const CudaLibrary* api = nullptr;
  std::string missing;
};
const CudaDevices& cuda_devices();

// "cuda" is cuda:0. Throws Errc::unsupported: "cuda:0: no NVIDIA driver …", or for a number that
// the machine does not have; Errc::invalid_argument for a name that is no number.
Device& find_cuda_device(const std::string& name);

}  // namespace tercel

#include "src/device/cuda_library.h"

#include <charconv>
#include <filesystem>

#include <dlfcn.h>

#include "src/base/fail.h"
#include "tercel/version.h"

namespace tercel {
namespace {

constexpr const char* kFile = "libtercel_cuda.so";

// The folder of the file that holds this function.
std::filesystem::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0) return {};
  std::error_code ignored;
  const auto file = std::filesystem::canonical(info.dli_fname, ignored);
  if (!ignored) return file.parent_path();
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

// Null, and why in `missing`. Of several files that cannot be opened, the first that exists says.
void* open_library(std::string& missing) {
  const auto folder = own_folder();
  std::string reason;
  for (const auto& path :
       {folder / kFile, folder.parent_path() / "lib" / kFile, std::filesystem::path(kFile)}) {
    std::error_code ignored;
    const bool here = path.has_parent_path() && std::filesystem::exists(path, ignored);
    if (path.has_parent_path() && !here) continue;
    if (void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    const char* error = ::dlerror();
    if (here && reason.empty()) reason = error != nullptr ? error : "it cannot be opened";
  }
  missing = reason.empty() ? fmt::format(
                                 "{} is not in {}: this is Tercel for CPUs; install the "
                                 "part for NVIDIA GPUs or use devices = cpu",
                                 kFile, folder.string())
                           : reason;
  return nullptr;
}

CudaDevices open_devices() {
  CudaDevices found;
  void* library = open_library(found.missing);
  if (library == nullptr) return found;
  auto* entry = reinterpret_cast<CudaLibraryEntry*>(::dlsym(library, kCudaLibraryEntry));
  const CudaLibrary* answer = entry != nullptr ? entry() : nullptr;
  if (answer == nullptr || answer->version != version() ||
      answer->interface != kCudaLibraryInterface) {
    found.missing = fmt::format("{} is of another Tercel than this, {}: install the two together",
                                kFile, version());
    return found;
  }
  found.devices = answer->open_devices(found.missing);
  found.api = answer;
  return found;
}

}  // namespace

const CudaDevices& cuda_devices() {
  // Devices last as long as the process: the driver may be gone before static objects are.
  static const auto* const kFound = new CudaDevices(open_devices());
  return *kFound;
}

Device& find_cuda_device(const std::string& name) {
  std::size_t index = 0;
  if (name != "cuda") {
    const char* begin = name.data() + std::string_view("cuda:").size();
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(begin, end, index);
    if (begin == end || error != std::errc() || stop != end) {
      fail(Errc::invalid_argument, "unknown device \"{}\"; expected a number, as in cuda:0", name);
    }
  }
  const CudaDevices& found = cuda_devices();
  if (found.devices.empty()) fail(Errc::unsupported, "cuda:{}: {}", index, found.missing);
  if (index >= found.devices.size()) {
    fail(Errc::unsupported, "cuda:{}: this machine has {} CUDA device{}, cuda:0{}", index,
         found.devices.size(), found.devices.size() == 1 ? "" : "s",
         found.devices.size() == 1 ? "" : fmt::format(" to cuda:{}", found.devices.size() - 1));
  }
  return *found.devices[index];
}

}  // namespace tercel

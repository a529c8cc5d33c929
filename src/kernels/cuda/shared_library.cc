#include "src/kernels/cuda/shared_library.h"

#include <utility>

#include <dlfcn.h>

#include "src/base/fail.h"

namespace tercel::kernels::cuda {
namespace {

std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr)
    return {};
  const std::string path = info.dli_fname;
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

}  // namespace

SharedLibrary::SharedLibrary(std::string name, std::vector<std::string> folders,
                             std::string_view remedy)
    : name_(std::move(name)) {
  const std::string own = own_folder() + "/";
  for (std::string& folder : folders) folder = own + folder + "/";
  folders.insert(folders.begin(), {std::string(), own});
  folders.insert(folders.end(), {"/usr/local/cuda/lib64/", "/usr/local/cuda/lib/"});
  for (const std::string& folder : folders) {
    library_ = dlopen((folder + name_).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr) return;
  }
  fail(Errc::unsupported, "{} is not there: {}", name_, remedy);
}

void* SharedLibrary::find(const char* name) const {
  void* function = dlsym(library_, name);
  if (function == nullptr) fail(Errc::unsupported, "{} has no {}: it is too old", name_, name);
  return function;
}

}  // namespace tercel::kernels::cuda

#include "src/kernels/cuda/cublas_lt.h"

#include <string>

#include <dlfcn.h>

#include "src/base/fail.h"

namespace tercel::kernels::cuda {
namespace {

constexpr const char* kName = "libcublasLt.so.13";

std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&cublas_lt), &info) == 0 || info.dli_fname == nullptr)
    return {};
  const std::string path = info.dli_fname;
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

void* open_library() {
  const std::string own = own_folder();
  for (const std::string& folder : {std::string(), own + "/", own + "/../nvidia/cu13/lib/",
                                    std::string("/usr/local/cuda/lib64/")}) {
    if (void* library = dlopen((folder + kName).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  }
  fail(Errc::unsupported,
       "cuBLASLt ({}) is not there: install the CUDA 13 toolkit's cuBLAS, or the Python package "
       "nvidia-cublas, and make its folder known to the loader",
       kName);
}

template <class Function>
void take(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) fail(Errc::unsupported, "{} has no {}: it is too old", kName, name);
}

CublasLt load() {
  void* library = open_library();  // stays open
  CublasLt lt{};
  take(library, "cublasLtCreate", lt.create);
  take(library, "cublasLtDestroy", lt.destroy);
  take(library, "cublasLtGetVersion", lt.version);
  take(library, "cublasLtMatmul", lt.matmul);
  take(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic);
  take(library, "cublasLtMatmulDescCreate", lt.create_desc);
  take(library, "cublasLtMatmulDescDestroy", lt.destroy_desc);
  take(library, "cublasLtMatmulDescSetAttribute", lt.set_desc);
  take(library, "cublasLtMatrixLayoutCreate", lt.create_layout);
  take(library, "cublasLtMatrixLayoutDestroy", lt.destroy_layout);
  take(library, "cublasLtMatrixLayoutSetAttribute", lt.set_layout);
  take(library, "cublasLtMatmulPreferenceCreate", lt.create_preference);
  take(library, "cublasLtMatmulPreferenceDestroy", lt.destroy_preference);
  take(library, "cublasLtMatmulPreferenceSetAttribute", lt.set_preference);
  return lt;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt lt = load();
  return lt;
}

}  // namespace tercel::kernels::cuda

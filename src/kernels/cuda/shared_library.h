#pragma once
// NVIDIA's libraries, opened when they are first needed.

#include <string>
#include <string_view>
#include <vector>

namespace tercel::kernels::cuda {

class SharedLibrary {
 public:
  // Looks on the loader's path, beside this library, in each of `folders` from there (where wheels
  // put it: "../nvidia/cu13/lib") and in the toolkit's usual folders. Throws Errc::unsupported with
  // `remedy` when it is in none. It stays open.
  SharedLibrary(std::string name, std::vector<std::string> folders, std::string_view remedy);

  // Throws Errc::unsupported when the library has no such function.
  template <class Function>
  void take(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(find(name));
  }

 private:
  void* find(const char* name) const;

  std::string name_;
  void* library_ = nullptr;
};

}  // namespace tercel::kernels::cuda

#include "src/kernels/cuda/cudnn.h"

#include <array>

#include "src/base/fail.h"
#include "src/kernels/cuda/shared_library.h"

namespace tercel::kernels::cuda::cudnn {
namespace {

Library load() {
  const SharedLibrary from("libcudnn.so.9", {"../nvidia/cudnn/lib", "../nvidia/cu13/lib"},
                           "convolutions on a GPU need cuDNN 9 for CUDA 13; install it, or the "
                           "Python package nvidia-cudnn-cu13, and make its folder known to the "
                           "loader");
  Library library{};
  from.take("cudnnCreate", library.create);
  from.take("cudnnDestroy", library.destroy);
  from.take("cudnnSetStream", library.set_stream);
  from.take("cudnnGetVersion", library.version);
  from.take("cudnnGetErrorString", library.error_string);
  from.take("cudnnGetLastErrorString", library.last_error);
  from.take("cudnnBackendCreateDescriptor", library.create_descriptor);
  from.take("cudnnBackendDestroyDescriptor", library.destroy_descriptor);
  from.take("cudnnBackendFinalize", library.finalize);
  from.take("cudnnBackendSetAttribute", library.set_attribute);
  from.take("cudnnBackendGetAttribute", library.get_attribute);
  from.take("cudnnBackendExecute", library.execute);
  return library;
}

}  // namespace

const Library& library() {
  static const Library kLibrary = load();
  return kLibrary;
}

std::string describe(Status status) {
  std::array<char, 512> message{};
  library().last_error(message.data(), message.size() - 1);
  return fmt::format("{} {}", library().error_string(status), message.data());
}

void check(Status status, const char* call) {
  if (status != 0) fail(Errc::internal, "{}: {}", call, describe(status));
}

}  // namespace tercel::kernels::cuda::cudnn

#pragma once
// The two containers of torch.save, taken apart into a pickle and the bytes of its storages.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "src/hub/pickle.h"

namespace tercel::hub {

struct PytorchFile {
  Pickle pickle;
  std::unordered_map<std::string_view, std::span<const std::byte>> storages;  // by key
};

// Views of `bytes`. Throws as open_pytorch_bin does.
PytorchFile read_pytorch_file(std::span<const std::byte> bytes, const std::string& source);

}  // namespace tercel::hub

#pragma once
// The names that a checkpoint's pickle may refer to.

#include <cstdint>
#include <optional>
#include <string_view>

#include "tercel/dtype.h"

namespace tercel::hub {

enum class GlobalRole : uint8_t {
  ordered_dict,
  rebuild_tensor,
  rebuild_parameter,
  size,
  device,
  dtype,
  storage,
};

struct PickleGlobal {
  std::string_view module;
  std::string_view name;
  GlobalRole role;
  Dtype dtype = Dtype::undefined;  // of a storage's elements
};

// Its row in the table, nothing for a name that is refused.
std::optional<int64_t> find_pickle_global(std::string_view module, std::string_view name);
const PickleGlobal& pickle_global(int64_t row);

}  // namespace tercel::hub

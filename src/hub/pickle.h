#pragma once
// Reads pickles without running anything: a machine for the opcodes of protocols 2 to 5 that knows
// tensors, their storages, dictionaries, lists, tuples, numbers and strings. Whatever else a pickle
// refers to ("os.system") is refused by its name; no name is ever looked up or called.
// Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py
//
// Objects, the stack and the memo are bounded, and nothing here recurses over the data. Strings are
// views of the pickle and valid UTF-8.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/tensor.h"

namespace tercel::hub {

// A block of elements that lies outside the pickle, under `key`.
struct PickledStorage {
  std::string_view key;
  Dtype dtype;
  int64_t elements;
};

// What torch._utils._rebuild_tensor_v2 gets; nothing of it is checked against the storage.
struct PickledTensor {
  uint32_t storage;  // index into Pickle::storages
  int64_t offset;    // elements
  Shape shape;
  std::vector<int64_t> strides;  // elements, as many as the shape has dimensions
};

struct PickledObject {
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    big_integer,  // of more than 64 bits; `text` has its little-endian bytes
    real,
    string,
    bytes,
    tuple,
    list,
    dict,
    storage,  // `number` is its index
    tensor,   // `number` is its index
    global,   // something that may be referred to; `number` is its row in the table of those
    opaque    // a torch.device
  };
  Kind kind = Kind::none;
  int64_t number = 0;
  std::string_view text;
  std::vector<uint32_t> items;  // objects; of a dictionary keys and values in turn
};

struct Pickle {
  std::vector<PickledObject> objects;
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  uint32_t root = 0;
  std::size_t size = 0;  // bytes of the pickle: another one may follow
};

// The pickle at the start of `bytes`, which must outlive the result. Throws Errc::invalid_file or
// Errc::unsupported, with `source` and the byte, counted from `begin`.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& source,
                   std::size_t begin = 0);

}  // namespace tercel::hub

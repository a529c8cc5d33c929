#include "src/hub/pytorch_bin.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/mapped_file.h"
#include "src/hub/named_entries.h"
#include "src/hub/pytorch_storages.h"

namespace tercel::hub {
namespace {

using Kind = PickledObject::Kind;

struct StoredTensor {
  std::string name;
  Dtype dtype;
  Shape shape;
  std::vector<int64_t> strides;
  const std::byte* data = nullptr;  // the first element
  bool view = false;                // dense, row-major and aligned
};

bool is_dense(const PickledTensor& tensor) {
  int64_t stride = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride) return false;
    stride *= tensor.shape[i];
  }
  return true;
}

// Elements from the first to the last of a tensor that is not empty, both included.
int64_t extent(const PickledTensor& tensor) {
  int64_t last = 0;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    last = checked_add(last, checked_mul(tensor.shape[i] - 1, tensor.strides[i]));
  }
  return checked_add(last, 1);
}

class PytorchBin final : public NamedEntries<StoredTensor> {
 public:
  PytorchBin(std::span<const std::byte> bytes, std::string source,
             std::shared_ptr<const void> keep_alive)
      : NamedEntries(std::move(source)), keep_alive_(std::move(keep_alive)) {
    const PytorchFile file = read_pytorch_file(bytes, name());
    const auto& objects = file.pickle.objects;
    const PickledObject& root = objects[file.pickle.root];
    if (root.kind != Kind::dict) {
      fail(Errc::invalid_file,
           "{}: expected a dictionary of tensors; save the model's state_dict, or use safetensors",
           name());
    }
    std::vector<StoredTensor> entries;
    for (std::size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const PickledObject& key = objects[root.items[i]];
      const PickledObject& value = objects[root.items[i + 1]];
      if (key.kind == Kind::string && value.kind == Kind::tensor) {
        entries.push_back(make_entry(key.text, file,
                                     file.pickle.tensors[static_cast<std::size_t>(value.number)]));
      }
    }
    check_copies(entries, bytes.size());
    set_entries(std::move(entries));
  }

  Tensor find(std::string_view tensor) const override {
    const StoredTensor* found = entry(tensor);
    if (found == nullptr) return {};
    if (found->view) return Tensor::view_of(found->data, found->dtype, found->shape, keep_alive_);
    Tensor copy(found->dtype, found->shape);
    copy_dense(*found, static_cast<std::byte*>(copy.data()), copy.size());
    return copy;
  }

 private:
  template <class... Args>
  [[noreturn]] void reject(std::string_view tensor, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(Errc::invalid_file, "{}: tensor \"{}\": {}", this->name(), tensor,
         fmt::format(format, std::forward<Args>(args)...));
  }

  StoredTensor make_entry(std::string_view name, const PytorchFile& file,
                          const PickledTensor& tensor) const {
    const PickledStorage& storage = file.pickle.storages[tensor.storage];
    const auto found = file.storages.find(storage.key);
    if (found == file.storages.end()) {
      reject(name, "its storage \"{}\" is not in the file", storage.key);
    }
    const std::span<const std::byte> bytes = found->second;
    const int64_t element = bits_of(storage.dtype) / 8;
    const auto held = static_cast<int64_t>(bytes.size()) / element;
    if (storage.elements > held) {
      reject(name, "its storage \"{}\" has {} elements of {}, but the file holds {}", storage.key,
             storage.elements, to_string(storage.dtype), held);
    }
    const int64_t count = checked_count(name, tensor, storage.elements);
    StoredTensor entry{std::string(name), storage.dtype, tensor.shape, tensor.strides};
    for (std::size_t i = 0; i < entry.shape.size(); ++i) {
      if (entry.shape[i] == 1) entry.strides[i] = 0;  // any number, and never used
    }
    entry.data = bytes.data() + (count == 0 ? 0 : tensor.offset * element);
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(entry.data) % static_cast<std::uintptr_t>(element) == 0;
    entry.view = aligned && (count == 0 || is_dense(tensor));
    return entry;
  }

  // The number of elements, after a check that they lie in the storage and do not outnumber it.
  int64_t checked_count(std::string_view name, const PickledTensor& tensor, int64_t held) const {
    int64_t count = 0;
    int64_t end = 0;
    try {
      count = element_count(tensor.shape);
      if (count > 0) end = checked_add(tensor.offset, extent(tensor));
    } catch (const Error&) {
      reject(name, "shape {} overflows 64 bits", to_string(tensor.shape));
    }
    if (end > held || count > held) {
      reject(name, "shape {} at offset {} with strides {} does not lie within its {} elements",
             to_string(tensor.shape), tensor.offset, to_string(tensor.strides), held);
    }
    return count;
  }

  // A file cannot ask for more memory than it has: many tensors may share one storage.
  void check_copies(const std::vector<StoredTensor>& entries, std::size_t file_bytes) const {
    std::size_t copied = 0;
    for (const StoredTensor& entry : entries) {
      if (!entry.view) copied += bytes_of(entry.dtype, element_count(entry.shape));
      if (copied > file_bytes) {
        reject(entry.name,
               "the tensors that are not contiguous take more than the file; save "
               "them with .contiguous()");
      }
    }
  }

  static void copy_dense(const StoredTensor& entry, std::byte* to, int64_t count) {
    const auto element = static_cast<std::size_t>(bits_of(entry.dtype) / 8);
    std::vector<int64_t> index(entry.shape.size(), 0);
    int64_t at = 0;
    for (int64_t i = 0; i < count; ++i, to += element) {
      std::memcpy(to, entry.data + static_cast<std::size_t>(at) * element, element);
      for (std::size_t axis = index.size(); axis-- > 0;) {
        at += entry.strides[axis];
        if (++index[axis] < entry.shape[axis]) break;
        at -= entry.strides[axis] * entry.shape[axis];
        index[axis] = 0;
      }
    }
  }

  std::shared_ptr<const void> keep_alive_;
};

}  // namespace

std::unique_ptr<WeightSource> parse_pytorch_bin(std::span<const std::byte> bytes,
                                                std::string source,
                                                std::shared_ptr<const void> keep_alive) {
  return std::make_unique<PytorchBin>(bytes, std::move(source), std::move(keep_alive));
}

std::unique_ptr<WeightSource> open_pytorch_bin(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  return parse_pytorch_bin(file->bytes(), path.string(), file);
}

}  // namespace tercel::hub

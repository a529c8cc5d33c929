#include "src/hub/pytorch_storages.h"

#include <cstdint>

#include "src/base/fail.h"
#include "src/hub/zip_archive.h"

namespace tercel::hub {
namespace {

using Kind = PickledObject::Kind;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// <archive>/data.pkl, <archive>/data/<key>, <archive>/byteorder.
PytorchFile read_archive(std::span<const std::byte> bytes, const std::string& source) {
  const auto members = read_zip(bytes, source);
  const ZipMember* pickle = nullptr;
  for (const ZipMember& member : members) {
    if (!member.name.ends_with("/data.pkl")) continue;
    if (pickle != nullptr) fail(Errc::invalid_file, "{}: has two members data.pkl", source);
    pickle = &member;
  }
  if (pickle == nullptr) {
    fail(Errc::invalid_file, "{}: a ZIP file without data.pkl; expected what torch.save writes",
         source);
  }
  const std::string_view folder =
      pickle->name.substr(0, pickle->name.size() - std::string_view("data.pkl").size());
  PytorchFile file;
  for (const ZipMember& member : members) {
    if (!member.name.starts_with(folder)) continue;
    const std::string_view name = member.name.substr(folder.size());
    if (name == "byteorder" && text_of(member.data) != "little") {
      fail(Errc::unsupported, "{}: byteorder: expected little; save it again on another machine",
           source);
    }
    if (name.starts_with("data/")) file.storages.emplace(name.substr(5), member.data);
  }
  const auto begin = static_cast<std::size_t>(pickle->data.data() - bytes.data());
  file.pickle = read_pickle(pickle->data, source, begin);
  return file;
}

// Pickles one after another: a magic number, the protocol, facts about the machine, the state_dict,
// the keys of the storages; then for each its number of elements and the elements.
class LegacyReader {
 public:
  LegacyReader(std::span<const std::byte> bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  PytorchFile read() {
    const Pickle magic = next();
    const PickledObject& number = magic.objects[magic.root];
    if (number.kind != Kind::big_integer || number.text != kMagic) {
      fail(Errc::invalid_file,
           "{}: byte 0: expected a file of torch.save; convert it to safetensors with the program "
           "that wrote it",
           source_);
    }
    next();
    check_machine(next());
    PytorchFile file;
    file.pickle = next();
    read_storages(next(), file);
    return file;
  }

 private:
  static constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

  Pickle next() {
    Pickle pickle = read_pickle(bytes_.subspan(at_), source_, at_);
    at_ += pickle.size;
    return pickle;
  }

  void check_machine(const Pickle& facts) const {
    const auto& items = facts.objects[facts.root].items;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const PickledObject& value = facts.objects[items[i + 1]];
      if (facts.objects[items[i]].text == "little_endian" && value.number == 0) {
        fail(Errc::unsupported, "{}: is big-endian; save it again on another machine", source_);
      }
    }
  }

  void read_storages(const Pickle& keys, PytorchFile& file) {
    std::unordered_map<std::string_view, int64_t> element_bytes;
    for (const PickledStorage& storage : file.pickle.storages) {
      element_bytes.emplace(storage.key, bits_of(storage.dtype) / 8);
    }
    for (const uint32_t object : keys.objects[keys.root].items) {
      const PickledObject& key = keys.objects[object];
      const auto found = element_bytes.find(key.text);
      if (key.kind != Kind::string || found == element_bytes.end()) {
        fail(Errc::invalid_file, "{}: byte {}: expected the keys of the storages", source_, at_);
      }
      file.storages.emplace(found->first, storage(found->second));
    }
  }

  std::span<const std::byte> storage(int64_t element_bytes) {
    int64_t elements = 0;
    if (bytes_.size() - at_ >= 8) {
      uint64_t raw = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        raw |= std::to_integer<uint64_t>(bytes_[at_ + i]) << (8 * i);
      }
      elements = static_cast<int64_t>(raw);
      at_ += 8;
    } else {
      elements = -1;
    }
    const auto left = static_cast<int64_t>(bytes_.size() - at_);
    if (elements < 0 || elements > left / element_bytes) {
      fail(Errc::invalid_file,
           "{}: byte {}: expected a storage within the file; the file is cut off or damaged",
           source_, at_);
    }
    const auto size = static_cast<std::size_t>(elements * element_bytes);
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t at_ = 0;
};

}  // namespace

PytorchFile read_pytorch_file(std::span<const std::byte> bytes, const std::string& source) {
  if (is_zip(bytes)) return read_archive(bytes, source);
  constexpr std::byte kProtocol{0x80};
  if (bytes.empty() || bytes[0] != kProtocol) {
    fail(Errc::invalid_file,
         "{}: byte 0: expected a file of torch.save; was it fetched in full (git lfs pull)?",
         source);
  }
  return LegacyReader(bytes, source).read();
}

}  // namespace tercel::hub

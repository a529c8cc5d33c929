#pragma once
// Writing files of torch.save by hand, for tests: right ones and wrong ones.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tercel::hub {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text += i < 8 ? static_cast<char>((value >> (8 * i)) & 0xffU) : '\0';
  }
  return text;
}

// Pieces of pickles, each of which pushes one object.
namespace pickled {

inline std::string text(const std::string& value) {
  return "X" + little_endian(value.size(), 4) + value;
}
inline std::string integer(int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<uint64_t>(value), 8);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const std::string& item : items) all += item;
  return all + "t";
}
inline std::string integers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all = "}(";
  for (const auto& [key, value] : items) all += text(key) + value;
  return all + "u";
}
inline std::string storage(const std::string& type, const std::string& key, int64_t elements) {
  return tuple(
             {text("storage"), global("torch", type), text(key), text("cpu"), integer(elements)}) +
         "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset,
                          const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  const std::string hooks = global("collections", "OrderedDict") + ")R";
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(offset), integers(sizes), integers(strides), "\x89", hooks}) + "R";
}
// A whole pickle that leaves `object`.
inline std::string file(const std::string& object) { return "\x80\x02" + object + "."; }

}  // namespace pickled

using Members = std::vector<std::pair<std::string, std::string>>;  // name and content

// A ZIP file of stored members.
inline std::string zip_of(const Members& members) {
  std::string file;
  std::string directory;
  for (const auto& [name, content] : members) {
    const std::string sizes = little_endian(0, 4) + little_endian(content.size(), 4) +
                              little_endian(content.size(), 4) + little_endian(name.size(), 2) +
                              little_endian(0, 2);
    const std::string common = little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 4);
    directory += "PK\x01\x02" + little_endian(20, 2) + little_endian(20, 2) + common + sizes +
                 little_endian(0, 10) + little_endian(file.size(), 4) + name;
    file += "PK\x03\x04" + little_endian(20, 2) + common + sizes + name + content;
  }
  const std::size_t begin = file.size();
  return file + directory + "PK\x05\x06" + little_endian(0, 4) + little_endian(members.size(), 2) +
         little_endian(members.size(), 2) + little_endian(directory.size(), 4) +
         little_endian(begin, 4) + little_endian(0, 2);
}

// torch.save of an object whose storages are `data`, by key.
inline std::string archive_of(const std::string& object, const Members& data) {
  Members members = {{"archive/data.pkl", pickled::file(object)}, {"archive/byteorder", "little"}};
  for (const auto& [key, bytes] : data) members.emplace_back("archive/data/" + key, bytes);
  return zip_of(members);
}

// The same as PyTorch before 1.6 wrote it; `data` has the number of elements too.
struct LegacyStorage {
  std::string key;
  uint64_t elements;
  std::string bytes;
};
inline std::string legacy_of(const std::string& object, const std::vector<LegacyStorage>& data) {
  std::string file = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  file += pickled::file("M\xe9\x03") + pickled::file(pickled::dict({{"little_endian", "\x88"}}));
  file += pickled::file(object);
  std::string keys = "](";
  for (const LegacyStorage& storage : data) keys += pickled::text(storage.key);
  file += pickled::file(keys + "e");
  for (const LegacyStorage& storage : data) {
    file += little_endian(storage.elements, 8) + storage.bytes;
  }
  return file;
}

}  // namespace tercel::hub

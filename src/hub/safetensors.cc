#include "src/hub/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/json.h"
#include "src/base/mapped_file.h"
#include "src/hub/named_entries.h"
#include "src/hub/safetensors_dtype.h"

namespace tercel::hub {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxRank = 64;

struct Entry {
  std::string name;
  Dtype dtype;
  Shape shape;
  uint64_t begin;  // bytes from the end of the header
  uint64_t end;
};

// Errors say "<file>: tensor "<name>": …".
class HeaderReader {
 public:
  HeaderReader(std::span<const std::byte> bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  std::vector<Entry> read();
  uint64_t data_begin() const { return data_begin_; }

 private:
  template <class... Args>
  [[noreturn]] void reject(std::string_view tensor, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(Errc::invalid_file, "{}: tensor \"{}\": {}", source_, tensor,
         fmt::format(format, std::forward<Args>(args)...));
  }
  std::string_view header();
  void check_metadata(const Json& metadata) const;
  Entry read_entry(std::string_view name, const Json& json) const;
  Shape read_shape(std::string_view name, const Json& json) const;
  void check_size(const Entry& entry) const;
  void check_layout(const std::vector<Entry>& entries) const;

  std::span<const std::byte> bytes_;
  const std::string& source_;
  uint64_t data_begin_ = 0;
};

std::string_view HeaderReader::header() {
  if (bytes_.size() < kLengthBytes) {
    fail(Errc::invalid_file, "{}: {} bytes; a safetensors file begins with 8 bytes of length",
         source_, bytes_.size());
  }
  uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::to_integer<uint64_t>(bytes_[i]) << (8 * i);
  }
  if (length > kMaxHeader || length > bytes_.size() - kLengthBytes) {
    fail(Errc::invalid_file,
         "{}: byte 0: expected the length of a header within the file ({} bytes) and of at most "
         "{} bytes, found {}; the file is cut off or is not a safetensors file",
         source_, bytes_.size(), kMaxHeader, length);
  }
  data_begin_ = kLengthBytes + length;
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  if (text.empty() || text.front() != '{') {
    fail(Errc::invalid_file, "{}: byte 8: expected a header that begins with '{{'", source_);
  }
  return text;
}

std::vector<Entry> HeaderReader::read() {
  const auto document = JsonDocument::parse(header(), source_);
  std::vector<Entry> entries;
  bool metadata_seen = false;
  document.root().for_each_member([&](std::string_view name, const Json& json) {
    if (name == "__metadata__") {
      if (metadata_seen) fail(Errc::invalid_file, "{}: \"{}\" is there twice", source_, name);
      metadata_seen = true;
      check_metadata(json);
    } else {
      entries.push_back(read_entry(name, json));
    }
  });
  check_layout(entries);
  return entries;
}

void HeaderReader::check_metadata(const Json& metadata) const {
  metadata.for_each_member([](std::string_view, const Json& value) { (void)value.string(); });
}

Entry HeaderReader::read_entry(std::string_view name, const Json& json) const {
  if (!json.is_object()) reject(name, "expected an object with dtype, shape and data_offsets");
  std::optional<Json> dtype;
  std::optional<Json> shape;
  std::optional<Json> offsets;
  json.for_each_member([&](std::string_view key, const Json& value) {
    auto* member = key == "dtype"          ? &dtype
                   : key == "shape"        ? &shape
                   : key == "data_offsets" ? &offsets
                                           : nullptr;
    if (member == nullptr) reject(name, "unknown member \"{}\"", key);
    if (*member) reject(name, "\"{}\" is there twice", key);
    *member = value;
  });
  if (!dtype || !shape || !offsets) reject(name, "expected dtype, shape and data_offsets");
  if (!dtype->is_string()) reject(name, "expected a string as dtype");
  const auto type = dtype_of_safetensors(dtype->string());
  if (!type) {
    fail(Errc::unsupported, "{}: tensor \"{}\": element type \"{}\"; expected one of {}", source_,
         name, dtype->string(), safetensors_dtypes());
  }
  if (!offsets->is_array() || offsets->size() != 2) {
    reject(name, "expected two data_offsets, begin and end");
  }
  std::vector<uint64_t> range;
  offsets->for_each([&](const Json& value) {
    if (!value.is_integer() || value.integer() < 0) {
      reject(name, "expected data_offsets that are non-negative 64-bit integers");
    }
    range.push_back(static_cast<uint64_t>(value.integer()));
  });
  Entry entry{std::string(name), *type, read_shape(name, *shape), range[0], range[1]};
  check_size(entry);
  return entry;
}

Shape HeaderReader::read_shape(std::string_view name, const Json& json) const {
  if (!json.is_array() || json.size() > kMaxRank) {
    reject(name, "expected a shape of at most {} dimensions", kMaxRank);
  }
  Shape shape;
  json.for_each([&](const Json& dim) {
    if (!dim.is_integer() || dim.integer() < 0) {
      reject(name, "expected dimensions that are non-negative 64-bit integers");
    }
    shape.push_back(dim.integer());
  });
  return shape;
}

void HeaderReader::check_size(const Entry& entry) const {
  int64_t bits = 0;
  try {
    bits = checked_mul(element_count(entry.shape), bits_of(entry.dtype));
  } catch (const Error&) {
    reject(entry.name, "shape {} overflows 64 bits", to_string(entry.shape));
  }
  if (bits % 8 != 0) {
    reject(entry.name, "shape {} of {} does not fill whole bytes", to_string(entry.shape),
           to_string(entry.dtype));
  }
  const uint64_t available = bytes_.size() - data_begin_;
  if (entry.begin > entry.end || entry.end > available) {
    reject(entry.name, "data_offsets [{}, {}] do not lie within the {} bytes of data", entry.begin,
           entry.end, available);
  }
  if (entry.end - entry.begin != static_cast<uint64_t>(bits / 8)) {
    reject(entry.name, "shape {} of {} takes {} bytes, but data_offsets [{}, {}] hold {}",
           to_string(entry.shape), to_string(entry.dtype), bits / 8, entry.begin, entry.end,
           entry.end - entry.begin);
  }
}

void HeaderReader::check_layout(const std::vector<Entry>& entries) const {
  std::vector<const Entry*> order;
  order.reserve(entries.size());
  for (const Entry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t filled = 0;
  for (const Entry* entry : order) {
    if (entry->begin != filled) {
      reject(entry->name, "its data begin at byte {}, but the tensors before it end at {}",
             entry->begin, filled);
    }
    filled = entry->end;
  }
  const uint64_t available = bytes_.size() - data_begin_;
  if (filled != available) {
    fail(Errc::invalid_file, "{}: the tensors take {} bytes, but {} follow the header", source_,
         filled, available);
  }
}

class SafetensorsFile final : public NamedEntries<Entry> {
 public:
  SafetensorsFile(std::span<const std::byte> bytes, std::string source,
                  std::shared_ptr<const void> keep_alive)
      : NamedEntries(std::move(source)), keep_alive_(std::move(keep_alive)) {
    HeaderReader reader(bytes, name());
    set_entries(reader.read());
    data_ = bytes.data() + reader.data_begin();
  }

  Tensor find(std::string_view tensor) const override {
    const Entry* found = entry(tensor);
    if (found == nullptr) return {};
    const std::byte* data = data_ + found->begin;
    const auto alignment = static_cast<std::uintptr_t>(std::max(1, bits_of(found->dtype) / 8));
    if (reinterpret_cast<std::uintptr_t>(data) % alignment == 0) {
      return Tensor::view_of(data, found->dtype, found->shape, keep_alive_);
    }
    Tensor copy(found->dtype, found->shape);
    if (copy.bytes() > 0) std::memcpy(copy.data(), data, copy.bytes());
    return copy;
  }

 private:
  std::shared_ptr<const void> keep_alive_;
  const std::byte* data_ = nullptr;
};

}  // namespace

std::unique_ptr<WeightSource> parse_safetensors(std::span<const std::byte> bytes,
                                                std::string source,
                                                std::shared_ptr<const void> keep_alive) {
  return std::make_unique<SafetensorsFile>(bytes, std::move(source), std::move(keep_alive));
}

std::unique_ptr<WeightSource> open_safetensors(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  return parse_safetensors(file->bytes(), path.string(), file);
}

}  // namespace tercel::hub

#include "src/ir/onnx_tensor.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "src/base/fail.h"
#include "src/base/packed.h"
#include "src/base/shown.h"
#include "src/ir/onnx_fields.h"
#include "src/ir/onnx_type.h"

namespace tercel::ir {

using tercel::to_string;  // of shapes, beside this namespace's own

namespace {

Dtype checked_dtype(int64_t number, const std::string& place) {
  if (number < 0 || number > static_cast<int64_t>(Dtype::f6e3m2)) {
    fail(Errc::unsupported, "{}: element type {} is not known to this version of Tercel", place,
         number);
  }
  if (number == 0) fail(Errc::invalid_file, "{}: expected an element type", place);
  return static_cast<Dtype>(number);
}

// Bytes and elements of a shape from a file; its overflows are the file's mistake.
int64_t checked_count(Dtype dtype, const Shape& shape, const std::string& place) {
  if (shape.size() > kMostDimensions) {
    fail(Errc::invalid_file, "{}: rank {}; at most {} is read", place, shape.size(),
         kMostDimensions);
  }
  try {
    const int64_t count = element_count(shape);
    bytes_of(dtype, count);
    return count;
  } catch (const Error& error) {
    fail(Errc::invalid_file, "{}: {}", place, error.what());
  }
}

std::size_t alignment_of(Dtype dtype) {
  if (dtype == Dtype::c64) return 4;
  return std::clamp<std::size_t>(static_cast<std::size_t>(bits_of(dtype)) / 8, 1, 8);
}

uint64_t parse_number(std::string_view text, std::string_view key, const std::string& place) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(Errc::invalid_file, "{}: external data: expected a number of bytes as {}, found \"{}\"",
         place, key, text);
  }
  return value;
}

// The one of the typed fields that holds elements of `dtype`, and how many numbers it needs.
struct Field {
  uint32_t number;
  std::size_t values;
};

Field field_of(Dtype dtype, int64_t count) {
  const auto values = static_cast<std::size_t>(count);
  switch (dtype) {
    case Dtype::f32:
      return {proto::tensor::float_data, values};
    case Dtype::c64:
      return {proto::tensor::float_data, 2 * values};
    case Dtype::f64:
      return {proto::tensor::double_data, values};
    case Dtype::c128:
      return {proto::tensor::double_data, 2 * values};
    case Dtype::i64:
      return {proto::tensor::int64_data, values};
    case Dtype::u32:
    case Dtype::u64:
      return {proto::tensor::uint64_data, values};
    case Dtype::string:
      return {proto::tensor::string_data, values};
    default:  // one number holds a byte of packed elements, but one element of 6 bits
      return {proto::tensor::int32_data, 8 % bits_of(dtype) == 0 ? bytes_of(dtype, count) : values};
  }
}

// One element of 6 bits a byte, as they come, to four in three bytes.
Tensor packed(const std::vector<uint8_t>& elements, Dtype dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  if (tensor.bytes() > 0) std::memset(tensor.data(), 0, tensor.bytes());
  for (std::size_t i = 0; i < elements.size(); ++i)
    set_packed_element(tensor.data(), static_cast<int64_t>(i), bits_of(dtype), elements[i]);
  return tensor;
}

// Appends to a tensor of known size; more than that is counted and not stored.
class Filler {
 public:
  Filler(void* data, std::size_t capacity)
      : data_(static_cast<std::byte*>(data)), capacity_(capacity) {}
  template <class T>
  void add(T value) {
    if (count_ < capacity_) std::memcpy(data_ + count_ * sizeof(T), &value, sizeof(T));
    ++count_;
  }
  std::size_t count() const { return count_; }

 private:
  std::byte* data_;
  std::size_t capacity_;
  std::size_t count_ = 0;
};

void fill_integers(WireReader& fields, Dtype dtype, Filler& filler) {
  if (dtype == Dtype::boolean) {
    return fields.integers([&](int64_t value) { filler.add(static_cast<uint8_t>(value != 0)); });
  }
  switch (bits_of(dtype)) {
    case 64:
      return fields.integers([&](int64_t value) { filler.add(value); });
    case 32:
      return fields.integers([&](int64_t value) { filler.add(static_cast<uint32_t>(value)); });
    case 16:
      return fields.integers([&](int64_t value) { filler.add(static_cast<uint16_t>(value)); });
    default:
      return fields.integers([&](int64_t value) { filler.add(static_cast<uint8_t>(value)); });
  }
}

Tensor decode_strings(WireReader fields, const Shape& shape) {
  std::vector<std::string> values;
  while (fields.next()) {
    if (fields.field() == proto::tensor::string_data) {
      values.emplace_back(fields.text());
    } else {
      fields.skip();
    }
  }
  return Tensor::from_strings(std::move(values), shape);
}

Tensor decode_numbers(WireReader fields, Dtype dtype, const Shape& shape, Field field,
                      const std::string& place) {
  const bool spread = bits_of(dtype) == 6;
  std::vector<uint8_t> elements(spread ? field.values : 0);
  Tensor tensor(dtype, shape);
  Filler filler(spread ? elements.data() : tensor.data(), field.values);
  while (fields.next()) {
    if (fields.field() != field.number) {
      fields.skip();
    } else if (field.number == proto::tensor::float_data) {
      fields.fixed<uint32_t>([&](uint32_t bits) { filler.add(bits); });
    } else if (field.number == proto::tensor::double_data) {
      fields.fixed<uint64_t>([&](uint64_t bits) { filler.add(bits); });
    } else {
      fill_integers(fields, dtype, filler);
    }
  }
  if (filler.count() != field.values) {
    fail(Errc::invalid_file, "{}: expected {} numbers for {} of shape {}, found {}", place,
         field.values, to_string(dtype), to_string(shape), filler.count());
  }
  return spread ? packed(elements, dtype, shape) : tensor;
}

// Puts value i of the vector `from` where row i of `indices` says.
void scatter(const Tensor& from, const Tensor& indices, Tensor& dense, std::size_t width,
             const std::string& place) {
  const auto index = indices.values<int64_t>();
  const bool flat = indices.rank() == 1;
  const std::size_t rank = dense.shape().size();
  int64_t before = -1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(from.size()); ++i) {
    int64_t at = flat ? index[i] : 0;
    bool inside = at >= 0 && at < dense.size();
    for (std::size_t axis = 0; !flat && inside && axis < rank; ++axis) {
      const int64_t coordinate = index[i * rank + axis];
      inside = coordinate >= 0 && coordinate < dense.shape()[axis];
      if (inside) at = at * dense.shape()[axis] + coordinate;
    }
    if (!inside) {
      fail(Errc::invalid_file, "{}: index {} lies outside of shape {}", place, i,
           to_string(dense.shape()));
    }
    if (at <= before) {
      fail(Errc::invalid_file, "{}: index {} is not behind the one before it; they must ascend",
           place, i);
    }
    before = at;
    const auto to = static_cast<std::size_t>(at);
    if (dense.dtype() == Dtype::string) {
      dense.strings()[to] = from.strings()[i];
    } else {
      std::memcpy(static_cast<std::byte*>(dense.data()) + to * width,
                  static_cast<const std::byte*>(from.data()) + i * width, width);
    }
  }
}

}  // namespace

struct TensorReader::Proto {
  Shape shape;
  Dtype dtype = Dtype::undefined;
  int64_t count = 0;
  std::optional<std::span<const std::byte>> raw;
  std::size_t strings = 0;
  bool external = false;
  std::map<std::string, std::string, std::less<>> external_data;
};

TensorReader::TensorReader(const WireSource& source, const std::filesystem::path& folder,
                           std::shared_ptr<const void> keep_alive)
    : keep_alive_(std::move(keep_alive)),
      files_(folder),
      dense_budget_((int64_t{64} << 20) + 16 * static_cast<int64_t>(source.bytes.size())),
      copy_budget_((std::size_t{64} << 20) + 2 * source.bytes.size()) {}

NamedTensor TensorReader::read(WireReader fields, const std::string& place) {
  NamedTensor found;
  Proto proto;
  int64_t data_type = 0;
  const WireReader all = fields;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::tensor::dims:
        fields.integers([&](int64_t dim) { proto.shape.push_back(dim); });
        break;
      case proto::tensor::data_type:
        data_type = fields.integer();
        break;
      case proto::tensor::name:
        found.name = fields.name();
        break;
      case proto::tensor::doc_string:
        found.doc = fields.text();
        break;
      case proto::tensor::raw_data:
        proto.raw = fields.bytes();
        break;
      case proto::tensor::string_data:
        ++proto.strings;
        fields.skip();
        break;
      case proto::tensor::data_location:
        proto.external = fields.integer() == 1;
        break;
      case proto::tensor::metadata_props:
        found.metadata.push_back(read_entry(fields.message()));
        break;
      case proto::tensor::external_data:
        proto.external_data.insert(read_entry(fields.message()));
        break;
      default:
        fields.skip();
    }
  }
  const std::string here = fmt::format("{}: tensor \"{}\"", place, shown(found.name));
  proto.dtype = checked_dtype(data_type, here);
  proto.count = checked_count(proto.dtype, proto.shape, here);
  found.tensor = read_data(proto, all, here);
  return found;
}

Tensor TensorReader::read_data(const Proto& proto, WireReader fields, const std::string& place) {
  if (proto.dtype == Dtype::string) {
    if (proto.raw || proto.external) {
      fail(Errc::invalid_file, "{}: strings cannot be raw or external data", place);
    }
    if (static_cast<int64_t>(proto.strings) != proto.count) {
      fail(Errc::invalid_file, "{}: expected {} strings for shape {}, found {}", place, proto.count,
           to_string(proto.shape), proto.strings);
    }
    return decode_strings(fields, proto.shape);
  }
  const std::size_t bytes = bytes_of(proto.dtype, proto.count);
  if (proto.external) return read_external(proto, bytes, place);
  if (proto.raw) {
    if (proto.raw->size() != bytes) {
      fail(Errc::invalid_file, "{}: expected {} bytes for {} of shape {}, found {}", place, bytes,
           to_string(proto.dtype), to_string(proto.shape), proto.raw->size());
    }
    return from_bytes(proto, *proto.raw, keep_alive_, place);
  }
  // Every number takes a byte of the file or more: a size that the file cannot fill is not
  // allocated.
  const Field field = field_of(proto.dtype, proto.count);
  if (field.values > fields.size()) {
    fail(Errc::invalid_file, "{}: the data for {} of shape {} are missing", place,
         to_string(proto.dtype), to_string(proto.shape));
  }
  return decode_numbers(fields, proto.dtype, proto.shape, field, place);
}

Tensor TensorReader::read_external(const Proto& proto, std::size_t bytes,
                                   const std::string& place) {
  const auto entry = [&](std::string_view key) {
    const auto found = proto.external_data.find(key);
    return found != proto.external_data.end() ? std::optional(found->second) : std::nullopt;
  };
  const auto offset_text = entry("offset");
  const auto length_text = entry("length");
  const uint64_t offset = offset_text ? parse_number(*offset_text, "offset", place) : 0;
  const uint64_t length = length_text ? parse_number(*length_text, "length", place) : bytes;
  const std::string location = entry("location").value_or(std::string());
  if (length != bytes) {
    fail(Errc::invalid_file, "{}: expected {} bytes of external data for {} of shape {}, found {}",
         place, bytes, to_string(proto.dtype), to_string(proto.shape), length);
  }
  const std::size_t opened = files_.size();
  const auto& file = files_.open(location, place);
  const auto all = file->bytes();
  if (files_.size() > opened) copy_budget_ += 2 * all.size();
  if (offset > all.size() || bytes > all.size() - offset) {
    fail(Errc::invalid_file, "{}: external data \"{}\": {} bytes at {} pass its end at {}", place,
         shown(location), bytes, offset, all.size());
  }
  return from_bytes(proto, all.subspan(offset, bytes), file, place);
}

Tensor TensorReader::from_bytes(const Proto& proto, std::span<const std::byte> bytes,
                                const std::shared_ptr<const void>& owner,
                                const std::string& place) {
  const bool aligned =
      reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment_of(proto.dtype) == 0;
  // A byte other than 0 and 1 is no bool of C++.
  const bool clean = proto.dtype != Dtype::boolean ||
                     std::all_of(bytes.begin(), bytes.end(),
                                 [](std::byte value) { return value <= std::byte{1}; });
  if (owner != nullptr && aligned && clean && !bytes.empty()) {
    return Tensor::view_of(bytes.data(), proto.dtype, proto.shape, owner);
  }
  if (bytes.size() > copy_budget_) {
    fail(
        Errc::invalid_file,
        "{}: the tensors that must be copied, because they lie unaligned, take more than twice the "
        "size of their files; write them at multiples of 8 bytes",
        place);
  }
  copy_budget_ -= bytes.size();
  Tensor tensor(proto.dtype, proto.shape);
  if (!bytes.empty()) std::memcpy(tensor.data(), bytes.data(), bytes.size());
  if (!clean) {
    auto* values = static_cast<uint8_t*>(tensor.data());
    std::transform(values, values + bytes.size(), values,
                   [](uint8_t value) { return static_cast<uint8_t>(value != 0); });
  }
  return tensor;
}

NamedTensor TensorReader::read_sparse(WireReader fields, const std::string& place) {
  NamedTensor values;
  NamedTensor indices;
  Shape shape;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::sparse::values:
        values = read(fields.message(), place);
        break;
      case proto::sparse::indices:
        indices = read(fields.message(), place);
        break;
      case proto::sparse::dims:
        fields.integers([&](int64_t dim) { shape.push_back(dim); });
        break;
      default:
        fields.skip();
    }
  }
  const std::string here = fmt::format("{}: sparse tensor \"{}\"", place, shown(values.name));
  const Tensor& from = values.tensor;
  const auto rank = static_cast<int64_t>(shape.size());
  const Shape linear{from.size()};
  const Shape by_axis{from.size(), rank};
  if (from.rank() != 1 || bits_of(from.dtype()) % 8 != 0 || indices.tensor.dtype() != Dtype::i64 ||
      (indices.tensor.shape() != linear && indices.tensor.shape() != by_axis)) {
    fail(Errc::invalid_file, "{}: expected a vector of values and as many int64 indices", here);
  }
  const int64_t count = checked_count(from.dtype(), shape, here);
  const bool strings = from.dtype() == Dtype::string;
  const auto width =
      strings ? sizeof(std::string) : static_cast<std::size_t>(bits_of(from.dtype())) / 8;
  if (count > dense_budget_ / static_cast<int64_t>(width)) {
    fail(Errc::invalid_file, "{}: shape {} is too large for the size of the file", here,
         to_string(shape));
  }
  dense_budget_ -= count * static_cast<int64_t>(width);

  Tensor dense(from.dtype(), shape);
  if (!strings && dense.bytes() > 0) std::memset(dense.data(), 0, dense.bytes());
  scatter(from, indices.tensor, dense, width, here);
  values.tensor = std::move(dense);
  return values;
}

}  // namespace tercel::ir

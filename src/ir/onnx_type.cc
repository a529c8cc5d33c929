#include "src/ir/onnx_type.h"

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/ir/onnx_fields.h"

namespace tercel::ir {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxSymbol = 1024;  // bytes; every value that has the dimension repeats it

Dtype read_dtype(WireReader& fields, const std::string& place) {
  const int64_t number = fields.integer();
  if (number < 0 || number > static_cast<int64_t>(Dtype::f6e3m2)) {
    fail(Errc::unsupported, "{}: element type {} is not known to this version of Tercel", place,
         number);
  }
  return static_cast<Dtype>(number);
}

Dim read_dim(WireReader fields, const std::string& place) {
  Dim dim;
  while (fields.next()) {
    if (fields.field() == proto::shape::dim_param) {
      const std::string_view symbol = fields.name();
      if (symbol.size() > kMaxSymbol) {
        fail(Errc::invalid_file, "{}: the name of a dimension has {} bytes; at most {} are read",
             place, symbol.size(), kMaxSymbol);
      }
      dim = Dim(std::string(symbol));
    } else if (fields.field() == proto::shape::dim_value) {
      const int64_t value = fields.integer();
      // Some exporters write -1 for a dimension that they do not know.
      if (value < -1) {
        fail(Errc::invalid_file, "{}: dimension {}; expected a size or a name", place, value);
      }
      dim = value < 0 ? Dim() : Dim(value);
    } else {
      fields.skip();
    }
  }
  return dim;
}

Type read_tensor_type(WireReader fields, Type::Kind kind, const std::string& place) {
  Type type{kind, Dtype::undefined, std::nullopt, nullptr};
  while (fields.next()) {
    if (fields.field() == proto::type::elem_type) {
      type.dtype = read_dtype(fields, place);
    } else if (fields.field() == proto::type::shape) {
      type.dims.emplace();
      WireReader shape = fields.message();
      while (shape.next()) {
        if (shape.field() == proto::shape::dim) {
          type.dims->push_back(read_dim(shape.message(), place));
        } else {
          shape.skip();
        }
        if (type.dims->size() > kMostDimensions) {
          fail(Errc::invalid_file, "{}: the type has a rank over {}", place, kMostDimensions);
        }
      }
    } else {
      fields.skip();
    }
  }
  return type;
}

Type read_nested(WireReader fields, const std::string& place, int depth);

Type read_container(WireReader fields, Type::Kind kind, const std::string& place, int depth) {
  Type type{kind, Dtype::undefined, std::nullopt, nullptr};
  const bool map = kind == Type::Kind::map;
  while (fields.next()) {
    if (map && fields.field() == proto::type::key_type) {
      type.dtype = read_dtype(fields, place);
    } else if (fields.field() == (map ? proto::type::value_type : proto::type::elem_type)) {
      type.element = std::make_shared<Type>(read_nested(fields.message(), place, depth + 1));
    } else {
      fields.skip();
    }
  }
  return type;
}

Type read_nested(WireReader fields, const std::string& place, int depth) {
  if (depth > kMaxDepth) {
    fail(Errc::invalid_file, "{}: types are nested more than {} deep", place, kMaxDepth);
  }
  Type type;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::type::tensor:
        type = read_tensor_type(fields.message(), Type::Kind::tensor, place);
        break;
      case proto::type::sparse_tensor:
        type = read_tensor_type(fields.message(), Type::Kind::sparse_tensor, place);
        break;
      case proto::type::sequence:
        type = read_container(fields.message(), Type::Kind::sequence, place, depth);
        break;
      case proto::type::optional:
        type = read_container(fields.message(), Type::Kind::optional, place, depth);
        break;
      case proto::type::map:
        type = read_container(fields.message(), Type::Kind::map, place, depth);
        break;
      case proto::type::opaque:
        fail(Errc::unsupported, "{}: opaque types are not supported", place);
      default:
        fields.skip();
    }
  }
  return type;
}

}  // namespace

Type read_type(WireReader fields, const std::string& place) {
  return read_nested(fields, place, 0);
}

ValueInfo read_value_info(WireReader fields, const std::string& place) {
  ValueInfo info;
  const WireReader all = fields;
  while (fields.next()) {
    switch (fields.field()) {
      case proto::value_info::name:
        info.name = fields.name();
        break;
      case proto::value_info::doc_string:
        info.doc = fields.text();
        break;
      case proto::value_info::metadata_props:
        info.metadata.push_back(read_entry(fields.message()));
        break;
      default:
        fields.skip();
    }
  }
  const std::string here = fmt::format("{}: value \"{}\"", place, shown(info.name));
  for (fields = all; fields.next();) {
    if (fields.field() == proto::value_info::type) {
      info.type = read_type(fields.message(), here);
    } else {
      fields.skip();
    }
  }
  return info;
}

std::pair<std::string, std::string> read_entry(WireReader fields) {
  std::pair<std::string, std::string> pair;
  while (fields.next()) {
    if (fields.field() == proto::entry::key) {
      pair.first = fields.text();
    } else if (fields.field() == proto::entry::value) {
      pair.second = fields.text();
    } else {
      fields.skip();
    }
  }
  return pair;
}

}  // namespace tercel::ir

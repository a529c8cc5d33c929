#pragma once
// TypeProto and ValueInfoProto, read.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/wire.h"
#include "src/ir/type.h"

namespace tercel::ir {

constexpr std::size_t kMostDimensions = 64;  // of a tensor that is read

using Metadata = std::vector<std::pair<std::string, std::string>>;

// `place` begins messages. Throws Errc::invalid_file; Errc::unsupported for opaque types.
Type read_type(WireReader fields, const std::string& place);

struct ValueInfo {
  std::string_view name;  // in the file's bytes
  Type type;
  std::string_view doc;
  Metadata metadata;
};

ValueInfo read_value_info(WireReader fields, const std::string& place);

std::pair<std::string, std::string> read_entry(WireReader fields);  // StringStringEntryProto

}  // namespace tercel::ir

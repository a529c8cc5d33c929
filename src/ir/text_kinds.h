#pragma once
// The kinds of attributes by the names that ONNX's textual syntax has for them.

#include <string_view>
#include <utility>

#include "src/base/fail.h"
#include "src/ir/onnx_fields.h"

namespace tercel::ir::text_kinds {

using proto::Kind;

inline constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"float", Kind::float_},
    {"int", Kind::int_},
    {"string", Kind::string},
    {"tensor", Kind::tensor},
    {"graph", Kind::graph},
    {"floats", Kind::floats},
    {"ints", Kind::ints},
    {"strings", Kind::strings},
    {"tensors", Kind::tensors},
    {"graphs", Kind::graphs},
    {"sparse_tensor", Kind::sparse_tensor},
    {"sparse_tensors", Kind::sparse_tensors},
    {"type_proto", Kind::type_proto},
    {"type_protos", Kind::type_protos},
};

// Kinds of one value, of lists of them, and the fields of AttributeProto that hold them.
struct KindRow {
  Kind one;
  Kind list;
  uint32_t field;
  uint32_t list_field;
};

inline constexpr KindRow kRows[] = {
    {Kind::float_, Kind::floats, proto::attribute::f, proto::attribute::floats},
    {Kind::int_, Kind::ints, proto::attribute::i, proto::attribute::ints},
    {Kind::string, Kind::strings, proto::attribute::s, proto::attribute::strings},
    {Kind::tensor, Kind::tensors, proto::attribute::t, proto::attribute::tensors},
    {Kind::graph, Kind::graphs, proto::attribute::g, proto::attribute::graphs},
    {Kind::type_proto, Kind::type_protos, proto::attribute::tp, proto::attribute::type_protos},
};

// The kind of the elements of a list; other kinds as they are.
inline Kind element_of(Kind kind) {
  for (const KindRow& row : kRows) {
    if (row.list == kind) return row.one;
  }
  return kind;
}

inline const KindRow& row_of(Kind one) {
  for (const KindRow& row : kRows) {
    if (row.one == one) return row;
  }
  TERCEL_CHECK(false);
}

}  // namespace tercel::ir::text_kinds

#include "src/hub/safetensors_dtype.h"

namespace tercel::hub {
namespace {

struct DtypeRow {
  std::string_view name;
  Dtype dtype;
};

constexpr DtypeRow kDtypes[] = {
    {"F32", Dtype::f32},
    {"F16", Dtype::f16},
    {"BF16", Dtype::bf16},
    {"F64", Dtype::f64},
    {"BOOL", Dtype::boolean},
    {"U8", Dtype::u8},
    {"I8", Dtype::i8},
    {"U16", Dtype::u16},
    {"I16", Dtype::i16},
    {"U32", Dtype::u32},
    {"I32", Dtype::i32},
    {"U64", Dtype::u64},
    {"I64", Dtype::i64},
    {"C64", Dtype::c64},
    {"F8_E4M3", Dtype::f8e4m3fn},
    {"F8_E4M3FNUZ", Dtype::f8e4m3fnuz},
    {"F8_E5M2", Dtype::f8e5m2},
    {"F8_E5M2FNUZ", Dtype::f8e5m2fnuz},
    {"F8_E8M0", Dtype::f8e8m0},
    {"F4", Dtype::f4e2m1},
};

}  // namespace

std::optional<Dtype> dtype_of_safetensors(std::string_view name) {
  for (const DtypeRow& row : kDtypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

std::string_view safetensors_name(Dtype dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return row.name;
  }
  return {};
}

std::string safetensors_dtypes() {
  std::string list;
  for (const DtypeRow& row : kDtypes) {
    if (!list.empty()) list += ", ";
    list += row.name;
  }
  return list;
}

}  // namespace tercel::hub

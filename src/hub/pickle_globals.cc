#include "src/hub/pickle_globals.h"

#include <iterator>

namespace tercel::hub {
namespace {

constexpr PickleGlobal kPickleGlobals[] = {
    {"collections", "OrderedDict", GlobalRole::ordered_dict},
    {"torch._utils", "_rebuild_tensor_v2", GlobalRole::rebuild_tensor},
    {"torch._utils", "_rebuild_parameter", GlobalRole::rebuild_parameter},
    {"torch", "Size", GlobalRole::size},
    {"torch", "device", GlobalRole::device},
    {"torch", "FloatStorage", GlobalRole::storage, Dtype::f32},
    {"torch", "HalfStorage", GlobalRole::storage, Dtype::f16},
    {"torch", "BFloat16Storage", GlobalRole::storage, Dtype::bf16},
    {"torch", "DoubleStorage", GlobalRole::storage, Dtype::f64},
    {"torch", "LongStorage", GlobalRole::storage, Dtype::i64},
    {"torch", "IntStorage", GlobalRole::storage, Dtype::i32},
    {"torch", "ShortStorage", GlobalRole::storage, Dtype::i16},
    {"torch", "CharStorage", GlobalRole::storage, Dtype::i8},
    {"torch", "ByteStorage", GlobalRole::storage, Dtype::u8},
    {"torch", "BoolStorage", GlobalRole::storage, Dtype::boolean},
    {"torch", "UntypedStorage", GlobalRole::storage, Dtype::u8},
    {"torch.storage", "UntypedStorage", GlobalRole::storage, Dtype::u8},
    {"torch", "float32", GlobalRole::dtype},
    {"torch", "float16", GlobalRole::dtype},
    {"torch", "bfloat16", GlobalRole::dtype},
    {"torch", "float64", GlobalRole::dtype},
    {"torch", "int64", GlobalRole::dtype},
    {"torch", "int32", GlobalRole::dtype},
    {"torch", "int16", GlobalRole::dtype},
    {"torch", "int8", GlobalRole::dtype},
    {"torch", "uint8", GlobalRole::dtype},
    {"torch", "bool", GlobalRole::dtype},
};

}  // namespace

std::optional<int64_t> find_pickle_global(std::string_view module, std::string_view name) {
  for (std::size_t i = 0; i < std::size(kPickleGlobals); ++i) {
    if (kPickleGlobals[i].module == module && kPickleGlobals[i].name == name)
      return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

const PickleGlobal& pickle_global(int64_t row) { return kPickleGlobals[row]; }

}  // namespace tercel::hub

// com.microsoft.MatMulNBits, in which ONNX Runtime's tools write weights of 4 and 8 bits: A [.., K]
// times a matrix [N, K] of unsigned integers in blocks along K, each with a scale and a zero point.
// In ONNX's own operators that is A · Transpose(DequantizeLinear(weight, scales, zero points)).
#include <cstring>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/packed.h"
#include "src/passes/adapters/adapters.h"
#include "src/passes/match.h"

namespace tercel::passes {
namespace {

constexpr int kWeight = 1, kScales = 2, kZeros = 3, kGroupIndex = 4, kBias = 5;

struct Sizes {
  int64_t k, n, block;
  int bits;
  int64_t blocks() const { return (k - 1) / block + 1; }
};

Sizes sizes_of(const ir::Node& node) {
  const Sizes sizes{node.int_or("K", 0), node.int_or("N", 0), node.int_or("block_size", 0),
                    static_cast<int>(node.int_or("bits", 4))};
  if (sizes.k <= 0 || sizes.n <= 0)
    fail(Errc::invalid_file, "{} K is {} and N is {}; expected more than 0", node.label(), sizes.k,
         sizes.n);
  if (sizes.block < 16 || sizes.block > (int64_t{1} << 30) || sizes.block % 2 != 0)
    fail(Errc::invalid_file, "{} block_size is {}; expected an even number, 16 or more",
         node.label(), sizes.block);
  if (sizes.bits != 4 && sizes.bits != 8)
    fail(Errc::unsupported, "{} bits is {}; 4 and 8 are read", node.label(), sizes.bits);
  return sizes;
}

Tensor constant_input(const ir::Node& node, int index, const char* what) {
  const ir::Value* value = node.input(index);
  if (value == nullptr || !value->is_constant())
    fail(Errc::unsupported, "{} its {} are no initializer", node.label(), what);
  return value->initializer();
}

// Integers of `bits` in rows that begin at a byte, as [rows, columns] of u4 or u8 without a gap.
Tensor dense(const Tensor& bytes, int64_t rows, int64_t columns, int64_t row_bytes, int bits) {
  const Dtype dtype = bits == 4 ? Dtype::u4 : Dtype::u8;
  if (row_bytes * 8 == columns * bits)
    return Tensor::view_of(bytes.data(), dtype, {rows, columns}, std::make_shared<Tensor>(bytes));
  Tensor result(dtype, {rows, columns});
  auto* to = static_cast<uint8_t*>(result.data());
  const auto* from = static_cast<const uint8_t*>(bytes.data());
  for (int64_t r = 0; r < rows; ++r, from += row_bytes) {
    for (int64_t c = 0; c < columns; ++c)
      set_packed_element(to, r * columns + c, bits, packed_element(from, c, bits));
  }
  return result;
}

Tensor read_bytes(const ir::Node& node, int index, const char* what, const Sizes& sizes,
                  int64_t columns, int64_t row_bytes) {
  const Tensor bytes = constant_input(node, index, what);
  const int64_t wanted = checked_mul(sizes.n, row_bytes);
  if (bytes.dtype() != Dtype::u8 || bytes.size() != wanted)
    fail(Errc::invalid_file, "{} its {} are {} elements of {}; expected {} of u8", node.label(),
         what, bytes.size(), to_string(bytes.dtype()), wanted);
  return dense(bytes, sizes.n, columns, row_bytes, sizes.bits);
}

Tensor middle(const Sizes& sizes) {
  Tensor zeros(sizes.bits == 4 ? Dtype::u4 : Dtype::u8, {sizes.n, sizes.blocks()});
  std::memset(zeros.data(), sizes.bits == 4 ? 0x88 : 0x80, zeros.bytes());
  return zeros;
}

Tensor zeros_of(const ir::Node& node, const Sizes& sizes) {
  const ir::Value* value = node.input(kZeros);
  if (value == nullptr) return middle(sizes);
  if (value->is_constant() && is_floating_point(value->initializer().dtype()))
    fail(Errc::unsupported, "{} its zero points are not integers", node.label());
  const int64_t row_bytes = (sizes.blocks() * sizes.bits + 7) / 8;
  return read_bytes(node, kZeros, "zero points", sizes, sizes.blocks(), row_bytes);
}

Tensor scales_of(const ir::Node& node, const Sizes& sizes) {
  const Tensor scales = constant_input(node, kScales, "scales");
  const int64_t wanted = checked_mul(sizes.n, sizes.blocks());
  if (scales.size() != wanted)
    fail(Errc::invalid_file, "{} it has {} scales; expected {}", node.label(), scales.size(),
         wanted);
  return scales.reshape({sizes.n, sizes.blocks()});
}

}  // namespace

void adapt_mat_mul_n_bits(const Adaptation& adaptation) {
  ir::Node& node = adaptation.node;
  for (const char* attribute : {"K", "N", "bits", "block_size"})
    adaptation.require_value(attribute);
  const Sizes sizes = sizes_of(node);
  if (node.input(kGroupIndex) != nullptr)
    fail(Errc::unsupported, "{} g_idx, the order of its columns, is not read", node.label());
  const int64_t row_bytes = checked_mul(sizes.blocks(), sizes.block * sizes.bits / 8);
  ir::Builder b = adaptation.builder();
  ir::Value* weight =
      adaptation.constant(read_bytes(node, kWeight, "weights", sizes, sizes.k, row_bytes));
  ir::Value* dequantized = b.op("DequantizeLinear",
                                {weight, adaptation.constant(scales_of(node, sizes)),
                                 adaptation.constant(zeros_of(node, sizes))},
                                {{"axis", int64_t{1}}, {"block_size", sizes.block}});
  ir::Value* turned = b.op("Transpose", {dequantized}, {{"perm", std::vector<int64_t>{1, 0}}});
  ir::Value* result = b.op("MatMul", {node.input(0), turned});
  result->producer()->name = node.name;
  result->type = node.output()->type;
  if (node.input(kBias) != nullptr) result = b.add(result, node.input(kBias));
  take_over(node.output(), result);
  node.graph().erase(&node);
}

}  // namespace tercel::passes

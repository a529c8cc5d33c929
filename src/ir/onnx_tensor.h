#pragma once
// TensorProto and SparseTensorProto to Tensor, without copying where the bytes lie aligned.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/wire.h"
#include "src/ir/external_data.h"
#include "tercel/tensor.h"

namespace tercel::ir {

struct NamedTensor {
  std::string_view name;  // in the file's bytes
  std::string_view doc;
  std::vector<std::pair<std::string, std::string>> metadata;
  Tensor tensor;
};

class TensorReader {
 public:
  // `keep_alive` owns source.bytes; null: every tensor is copied. Tensors that lie unaligned are
  // copied too: all together may take 64 MiB plus twice the size of the files, however often they
  // name the same bytes.
  TensorReader(const WireSource& source, const std::filesystem::path& folder,
               std::shared_ptr<const void> keep_alive);

  // `place` begins messages: the graph or the node. Throws Errc::invalid_file, and
  // Errc::unsupported for an element type that Tercel does not know.
  NamedTensor read(WireReader proto, const std::string& place);
  // Dense. All sparse tensors of a file together may take 64 MiB plus 16 times the file's size.
  NamedTensor read_sparse(WireReader proto, const std::string& place);

 private:
  struct Proto;
  Tensor read_data(const Proto& proto, WireReader fields, const std::string& place);
  Tensor read_external(const Proto& proto, std::size_t bytes, const std::string& place);
  Tensor from_bytes(const Proto& proto, std::span<const std::byte> bytes,
                    const std::shared_ptr<const void>& owner, const std::string& place);

  std::shared_ptr<const void> keep_alive_;
  ExternalFiles files_;
  int64_t dense_budget_;
  std::size_t copy_budget_;
};

}  // namespace tercel::ir

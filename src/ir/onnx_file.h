#pragma once
// ONNX files: reading over a memory map without copying weights, and writing.
// Specification: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "src/ir/model.h"

namespace tercel::ir {

// Reads a model. Tensors whose bytes lie aligned in the file or in external data refer to the
// mapping. External data is opened only inside the model's folder. Throws Errc::invalid_file with
// the file, the place (graph, node, tensor) and what was expected; Errc::not_found, Errc::io as
// MappedFile::open.
std::unique_ptr<Model> read_onnx(const std::filesystem::path& path);

// The same from memory; `folder` is where external data may lie (empty: none is allowed), `source`
// what messages call the model. `keep_alive` owns the bytes.
std::unique_ptr<Model> parse_onnx(std::span<const std::byte> bytes, const std::string& source,
                                  const std::filesystem::path& folder = {},
                                  std::shared_ptr<const void> keep_alive = nullptr);

inline constexpr std::size_t kLargestFile = std::numeric_limits<int32_t>::max();  // of protobuf

struct WriteOptions {
  // Initializers of at least `external_threshold` bytes go to `<file name>.data` beside the model
  // when the whole would pass `largest`, or always when `external` is set.
  bool external = false;
  std::size_t external_threshold = 1024;
  std::size_t largest = kLargestFile;
};

// Writes through a temporary file that replaces `path` at the end: a failed write leaves no half
// file.
void write_onnx(const Model& model, const std::filesystem::path& path,
                const WriteOptions& options = {});

std::string serialize_onnx(const Model& model);

}  // namespace tercel::ir

#pragma once
// safetensors files: 8 bytes of header length (little endian), a JSON header with the type, shape
// and place of each tensor, and the tensors' bytes.
// Specification: https://github.com/huggingface/safetensors#format
//
// The reader checks all that the format demands before it hands out a tensor: a header of at most
// 100 MB within the file, names and members once each, known types, byte ranges that agree with
// type and shape, and ranges that fill the rest of the file without gap or overlap.

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "src/hub/weights.h"

namespace tercel::hub {

// Maps `path`; a tensor is a view of the mapping, or a copy where its bytes are not aligned for its
// type. Throws Errc::invalid_file with the file, the tensor and what was expected;
// Errc::unsupported for an element type Tercel does not have; Errc::not_found, Errc::io as
// MappedFile::open.
std::unique_ptr<WeightSource> open_safetensors(const std::filesystem::path& path);

// The same from memory that `keep_alive` owns; `source` is what messages call it.
std::unique_ptr<WeightSource> parse_safetensors(std::span<const std::byte> bytes,
                                                std::string source,
                                                std::shared_ptr<const void> keep_alive = nullptr);

// Writes an AtomicFile. Tensors lie in the given order without gaps, as the format demands, the
// first of them aligned to 8 bytes: larger element types first keep all aligned. Throws
// Errc::invalid_argument for a name given twice or a type that the format lacks, Errc::io when
// writing fails.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace tercel::hub

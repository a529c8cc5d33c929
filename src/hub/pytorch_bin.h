#pragma once
// pytorch_model.bin: what torch.save writes of a state_dict, as a ZIP file (PyTorch 1.6 and newer)
// or as a sequence of pickles with the storages behind them (before).
//
// Nothing of a file is run: its pickle is read by src/hub/pickle.h. Every tensor is checked against
// its storage before any is handed out.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "src/hub/weights.h"

namespace tercel::hub {

// Maps `path`. A tensor is a view of the mapping, or a copy where its elements are not dense and
// row-major or its bytes are not aligned for its type; all copies together take no more than the
// file. Entries of the state_dict that are no tensors are left out. Throws Errc::invalid_file with
// the file, the place or tensor and what was expected; Errc::unsupported, by name, for what a
// pickle refers to beside tensors; Errc::not_found, Errc::io as MappedFile::open.
std::unique_ptr<WeightSource> open_pytorch_bin(const std::filesystem::path& path);

// The same from memory that `keep_alive` owns; `source` is what messages call it.
std::unique_ptr<WeightSource> parse_pytorch_bin(std::span<const std::byte> bytes,
                                                std::string source,
                                                std::shared_ptr<const void> keep_alive = nullptr);

}  // namespace tercel::hub

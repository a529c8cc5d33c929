#pragma once
// Where the weights of a checkpoint come from. One file format is one WeightSource.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tercel/tensor.h"

namespace tercel::hub {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // What messages call it: the path of its file.
  virtual const std::string& name() const = 0;

  // In the order of the file.
  virtual std::vector<std::string> names() const = 0;

  virtual bool has(std::string_view tensor) const = 0;

  // The tensor, sharing the file's bytes where it can; undefined when there is none of that name.
  // It keeps the file mapped for as long as it lives.
  virtual Tensor find(std::string_view tensor) const = 0;
};

// The weights in `directory`: the first there is of model.safetensors,
// model.safetensors.index.json (shards), pytorch_model.bin, pytorch_model.bin.index.json, the order
// of transformers. A file may be a symbolic link, wherever it leads: in the cache of the hub each
// is a link to ../../blobs, and the user chose the directory. Throws Errc::not_found when there are
// none, and what the reader throws. Where every name begins with "module." or "_orig_mod.", as
// torch's DataParallel and compile save them, names are those behind.
std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& directory);

}  // namespace tercel::hub

#include "src/hub/weights.h"

#include "src/base/fail.h"
#include "src/hub/pytorch_bin.h"
#include "src/hub/safetensors.h"
#include "src/hub/sharded.h"

namespace tercel::hub {
namespace {

struct Format {
  const char* whole;
  const char* index;
  std::unique_ptr<WeightSource> (*open)(const std::filesystem::path&);
};

constexpr Format kFormats[] = {
    {"model.safetensors", "model.safetensors.index.json", open_safetensors},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", open_pytorch_bin},
};

}  // namespace

std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const Format& format : kFormats) {
    const auto whole = directory / format.whole;
    if (std::filesystem::exists(whole, ignored)) return format.open(whole);
    const auto index = directory / format.index;
    if (std::filesystem::exists(index, ignored)) return open_sharded(index, format.open);
  }
  fail(Errc::not_found,
       "{}: no such file, nor pytorch_model.bin or the index of either; a checkpoint directory "
       "holds its weights there",
       (directory / kFormats[0].whole).string());
}

}  // namespace tercel::hub

#include "src/hub/weights.h"

#include "src/base/fail.h"
#include "src/hub/safetensors.h"

namespace tercel::hub {

std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& directory) {
  const auto whole = directory / "model.safetensors";
  if (std::filesystem::exists(whole)) return open_safetensors(whole);
  for (const char* other : {"model.safetensors.index.json", "pytorch_model.bin"}) {
    if (std::filesystem::exists(directory / other)) {
      fail(Errc::unsupported,
           "{}: has the weights as {}, which has no reader; save them as one model.safetensors "
           "(save_pretrained(…, max_shard_size=\"100GB\") of transformers)",
           directory.string(), other);
    }
  }
  fail(Errc::not_found, "{}: no such file; a checkpoint directory holds its weights there",
       whole.string());
}

}  // namespace tercel::hub

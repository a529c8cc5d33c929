#include "src/hub/weights.h"

#include <algorithm>
#include <iterator>
#include <utility>

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

// What DistributedDataParallel and torch.compile put in front of every name when the wrapped
// module is saved in place of the model.
constexpr std::string_view kWrappers[] = {"module.", "_orig_mod."};

class UnwrappedWeights final : public WeightSource {
 public:
  UnwrappedWeights(std::unique_ptr<WeightSource> wrapped, std::string prefix)
      : wrapped_(std::move(wrapped)), prefix_(std::move(prefix)) {}

  const std::string& name() const override { return wrapped_->name(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names = wrapped_->names();
    for (std::string& name : names) name.erase(0, prefix_.size());
    return names;
  }
  bool has(std::string_view tensor) const override { return wrapped_->has(wrapped_name(tensor)); }
  Tensor find(std::string_view tensor) const override {
    return wrapped_->find(wrapped_name(tensor));
  }

 private:
  std::string wrapped_name(std::string_view tensor) const { return prefix_ + std::string(tensor); }

  std::unique_ptr<WeightSource> wrapped_;
  std::string prefix_;
};

// Wrappers may be around each other, each once.
std::string common_wrappers(const std::vector<std::string>& names) {
  std::string prefix;
  for (std::size_t depth = 0; !names.empty() && depth < std::size(kWrappers); ++depth) {
    for (const std::string_view wrapper : kWrappers) {
      const std::string longer = prefix + std::string(wrapper);
      const auto wrapped = [&](const std::string& name) { return name.starts_with(longer); };
      if (!std::all_of(names.begin(), names.end(), wrapped)) continue;
      prefix = longer;
      break;
    }
  }
  return prefix;
}

std::unique_ptr<WeightSource> open_first(const std::filesystem::path& directory) {
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

}  // namespace

std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& directory) {
  auto weights = open_first(directory);
  std::string prefix = common_wrappers(weights->names());
  if (prefix.empty()) return weights;
  return std::make_unique<UnwrappedWeights>(std::move(weights), std::move(prefix));
}

}  // namespace tercel::hub

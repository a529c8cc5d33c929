#include "src/text/normalizer.h"

#include <algorithm>
#include <vector>

#include "src/text/registry.h"

namespace tercel::text {
namespace {

class SequenceNormalizer final : public Normalizer {
 public:
  explicit SequenceNormalizer(const Json& config) {
    config["normalizers"].for_each(
        [&](const Json& part) { parts_.push_back(make_normalizer(part)); });
  }
  void apply(AlignedText& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }
  bool apply_ascii(std::string& ascii) const override {
    return std::all_of(parts_.begin(), parts_.end(),
                       [&](const auto& part) { return part->apply_ascii(ascii); });
  }
  bool is_local() const override {
    return std::all_of(parts_.begin(), parts_.end(),
                       [](const auto& part) { return part->is_local(); });
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> parts_;
};

std::unique_ptr<const Normalizer> make_normalizer_sequence(const Json& config) {
  return std::make_unique<SequenceNormalizer>(config);
}

constexpr StageRow<Normalizer> kNormalizers[] = {
    {"BertNormalizer", make_bert_normalizer},
    {"ByteLevel", make_byte_level_normalizer},
    {"Lowercase", make_lowercase},
    {"NFC", make_nfc},
    {"NFD", make_nfd},
    {"NFKC", make_nfkc},
    {"NFKD", make_nfkd},
    {"Nmt", make_nmt},
    {"Precompiled", make_precompiled},
    {"Prepend", make_prepend},
    {"Replace", make_replace},
    {"Sequence", make_normalizer_sequence},
    {"Strip", make_strip},
    {"StripAccents", make_strip_accents},
};

}  // namespace

std::unique_ptr<const Normalizer> make_normalizer(const Json& config) {
  return find_stage<Normalizer>(kNormalizers, "normalizer", config["type"].string()).make(config);
}

}  // namespace tercel::text

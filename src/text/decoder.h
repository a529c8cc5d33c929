#pragma once
// Decoders turn the tokens of some ids into text: each rewrites the list, whose parts are joined in
// the end. One file per kind in decoders/, one row each in decoder.cc.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"

namespace tercel::text {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

std::unique_ptr<const Decoder> make_decoder(const Json& config);

std::unique_ptr<const Decoder> make_fuse(const Json& config);
std::unique_ptr<const Decoder> make_metaspace_decoder(const Json& config);
std::unique_ptr<const Decoder> make_replace_decoder(const Json& config);
std::unique_ptr<const Decoder> make_strip_decoder(const Json& config);
std::unique_ptr<const Decoder> make_wordpiece_decoder(const Json& config);

// Every occurrence of `pattern` (not empty), from left to right.
void replace_all(std::string& text, std::string_view pattern, std::string_view content);

}  // namespace tercel::text

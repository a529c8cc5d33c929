#pragma once
// Normalizers rewrite text before it is split. One file per kind in normalizers/, one row each in
// normalizer.cc.

#include <memory>
#include <string>

#include "src/base/json.h"
#include "src/text/aligned_text.h"

namespace tercel::text {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(AlignedText& text) const = 0;
  // The fast path: rewrites pure ASCII in place if no byte has to move, and says so. The content of
  // `ascii` is void after false.
  virtual bool apply_ascii(std::string& ascii) const {
    static_cast<void>(ascii);
    return false;
  }
  // Whether text may be cut between an ASCII space and an ASCII letter, and its parts normalized
  // one by one.
  virtual bool is_local() const = 0;
};

std::unique_ptr<const Normalizer> make_normalizer(const Json& config);

std::unique_ptr<const Normalizer> make_bert_normalizer(const Json& config);
std::unique_ptr<const Normalizer> make_byte_level_normalizer(const Json& config);
std::unique_ptr<const Normalizer> make_lowercase(const Json& config);
std::unique_ptr<const Normalizer> make_nfc(const Json& config);
std::unique_ptr<const Normalizer> make_nfd(const Json& config);
std::unique_ptr<const Normalizer> make_nfkc(const Json& config);
std::unique_ptr<const Normalizer> make_nfkd(const Json& config);
std::unique_ptr<const Normalizer> make_nmt(const Json& config);
std::unique_ptr<const Normalizer> make_precompiled(const Json& config);
std::unique_ptr<const Normalizer> make_prepend(const Json& config);
std::unique_ptr<const Normalizer> make_replace(const Json& config);
std::unique_ptr<const Normalizer> make_strip(const Json& config);
std::unique_ptr<const Normalizer> make_strip_accents(const Json& config);

void lowercase(AlignedText& text);
void lowercase_ascii(std::string& ascii);

// Appends each byte of UTF-8 as a character of the byte-level alphabet.
void append_byte_level(AlignedText& result, const AlignedChar* begin, const AlignedChar* end);

}  // namespace tercel::text

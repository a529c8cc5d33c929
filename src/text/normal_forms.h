#pragma once
// Unicode normalisation (UAX #15) of aligned text. A character of the result has the origin of the
// old character at whose place it ends up; a composite has that of its first part alone.

#include "src/text/aligned_text.h"

namespace tercel::text {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

void normalize(AlignedText& text, NormalForm form);

}  // namespace tercel::text

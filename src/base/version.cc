#include "tercel/version.h"

namespace tercel {

std::string_view version() { return TERCEL_VERSION; }

}  // namespace tercel

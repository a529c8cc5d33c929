#include "src/base/cache_folder.h"

#include <cstdlib>

#include "src/base/fail.h"

namespace tercel {
namespace {

std::filesystem::path named(const char* variable) {
  const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nothing here sets it
  return value != nullptr ? value : "";
}

}  // namespace

std::filesystem::path cache_folder() {
  if (const auto own = named("TERCEL_CACHE_DIR"); !own.empty()) return own;
  if (const auto shared = named("XDG_CACHE_HOME"); shared.is_absolute()) return shared / "tercel";
  if (const auto home = named("HOME"); home.is_absolute()) return home / ".cache/tercel";
  fail(Errc::not_found,
       "there is no folder for caches: set TERCEL_CACHE_DIR, XDG_CACHE_HOME or HOME to one");
}

}  // namespace tercel

#pragma once
// Where files lie that can be made again: $TERCEL_CACHE_DIR, else $XDG_CACHE_HOME/tercel, else
// ~/.cache/tercel (the XDG Base Directory Specification).

#include <filesystem>

namespace tercel {

// It may not be there yet. Throws Errc::not_found when the environment names none.
std::filesystem::path cache_folder();

}  // namespace tercel

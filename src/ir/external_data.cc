#include "src/ir/external_data.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/shown.h"

namespace tercel::ir {

namespace fs = std::filesystem;

fs::path ExternalFiles::resolve(const std::string& location, const std::string& place) const {
  const std::string name = shown(location);
  if (folder_.empty()) {
    fail(Errc::invalid_file,
         "{}: external data \"{}\" needs a model on disk; load the model from its file", place,
         name);
  }
  const fs::path relative(location);
  const bool climbs = std::find(relative.begin(), relative.end(), "..") != relative.end();
  if (location.empty() || relative.is_absolute() || climbs ||
      location.find('\0') != std::string::npos) {
    fail(Errc::invalid_file,
         "{}: external data \"{}\": expected a relative path inside the model's folder", place,
         name);
  }
  std::error_code error;
  const fs::path root = fs::canonical(folder_, error);
  const fs::path file = error ? fs::path() : fs::canonical(folder_ / relative, error);
  if (error == std::errc::no_such_file_or_directory) {
    fail(Errc::not_found, "{}: external data \"{}\" is missing; put it beside the model", place,
         name);
  }
  if (error) fail(Errc::io, "{}: external data \"{}\": {}", place, name, error.message());
  const auto [end, ignored] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  if (end != root.end()) {
    fail(Errc::invalid_file,
         "{}: external data \"{}\" is a link out of the model's folder; copy the file there", place,
         name);
  }
  if (!fs::is_regular_file(file, error)) {
    fail(Errc::invalid_file, "{}: external data \"{}\" is not a regular file", place, name);
  }
  return file;
}

const std::shared_ptr<const MappedFile>& ExternalFiles::open(const std::string& location,
                                                             const std::string& place) {
  auto& path = resolved_[location];
  if (path.empty()) path = resolve(location, place);
  auto& file = files_[path];
  if (file == nullptr) file = MappedFile::open(path);
  return file;
}

}  // namespace tercel::ir

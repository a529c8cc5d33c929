#include "cli/models.h"

#include <charconv>

#include <fmt/format.h>

#include "cli/files.h"

namespace tercel::cli {

std::filesystem::path find_model(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code ignored;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::filesystem::path name = std::filesystem::path("models") / "minilm-qa";
  const std::vector<std::filesystem::path> places = {name, folder.parent_path() / name,
                                                     folder.parent_path() / "share/tercel" / name};
  for (const auto& place : places) {
    if (std::filesystem::is_directory(place, ignored)) return place;
  }
  throw Error(Errc::not_found,
              fmt::format("no model: {} is not there, nor are {} and {}; name one with --model",
                          places[0].string(), places[1].string(), places[2].string()));
}

void explain(const Session& session) { print_error(session.explain()); }

void warn(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) print_error("tercel: warning: " + warning + "\n");
}

std::string shape_text(const TensorInfo& info) {
  if (!info.shape) return "any shape";
  return info.shape->empty() ? "scalar" : fmt::format("{}", fmt::join(*info.shape, " x "));
}

std::map<std::string, int64_t> parse_dimensions(const std::vector<std::string>& given) {
  std::map<std::string, int64_t> dimensions;
  for (const std::string& entry : given) {
    const std::size_t at = entry.find('=');
    int64_t size = 0;
    const char* end = entry.data() + entry.size();
    const char* begin = at == std::string::npos ? end : entry.data() + at + 1;
    const auto [stop, error] = std::from_chars(begin, end, size);
    if (error != std::errc() || stop != end || size < 0) {
      reject("--dim {}: expected name=number, such as sequence=128", entry);
    }
    dimensions[entry.substr(0, at)] = size;
  }
  return dimensions;
}

}  // namespace tercel::cli

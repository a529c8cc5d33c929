#pragma once
// External data of ONNX tensors (https://github.com/onnx/onnx/blob/main/docs/ExternalData.md),
// opened only where a model has a right to look: regular files inside its own folder.

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "src/base/mapped_file.h"

namespace tercel::ir {

class ExternalFiles {
 public:
  // `folder` is the model's; empty: no external data is allowed.
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Maps a file once, however many tensors lie in it. Throws Errc::invalid_file when `location` is
  // empty, absolute, has "..", leads out of the folder by a link, or is not a regular file;
  // Errc::not_found when there is none. `place` begins the message.
  const std::shared_ptr<const MappedFile>& open(const std::string& location,
                                                const std::string& place);
  std::size_t size() const { return files_.size(); }  // different files so far

 private:
  std::filesystem::path resolve(const std::string& location, const std::string& place) const;

  std::filesystem::path folder_;
  std::map<std::string, std::filesystem::path> resolved_;  // by location
  std::map<std::filesystem::path, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace tercel::ir

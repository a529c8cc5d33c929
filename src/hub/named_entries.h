#pragma once
// The tensors of one file by name: what file formats share, whatever an entry of theirs holds.

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/base/fail.h"
#include "src/hub/weights.h"

namespace tercel::hub {

// Entry has a member `name`, a string.
template <class Entry>
class NamedEntries : public WeightSource {
 public:
  explicit NamedEntries(std::string source) : source_(std::move(source)) {}

  const std::string& name() const final { return source_; }

  std::vector<std::string> names() const final {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.push_back(entry.name);
    return names;
  }

  bool has(std::string_view tensor) const final { return by_name_.contains(tensor); }

 protected:
  // Once. Throws Errc::invalid_file for a name that is there twice.
  void set_entries(std::vector<Entry> entries) {
    entries_ = std::move(entries);
    by_name_.reserve(entries_.size());
    for (const Entry& entry : entries_) {
      if (!by_name_.emplace(entry.name, &entry).second) {
        fail(Errc::invalid_file, "{}: tensor \"{}\" is there twice", source_, entry.name);
      }
    }
  }

  // Null when there is none of that name.
  const Entry* entry(std::string_view tensor) const {
    const auto found = by_name_.find(tensor);
    return found != by_name_.end() ? found->second : nullptr;
  }

 private:
  std::string source_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, const Entry*> by_name_;
};

}  // namespace tercel::hub

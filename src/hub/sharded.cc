#include "src/hub/sharded.h"

#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "src/base/fail.h"
#include "src/base/json.h"

namespace tercel::hub {
namespace {

using Open = std::unique_ptr<WeightSource> (*)(const std::filesystem::path&);

class ShardedWeights final : public WeightSource {
 public:
  ShardedWeights(const std::filesystem::path& index, Open open) : source_(index.string()) {
    const auto document = JsonDocument::open(index);
    std::map<std::string, const WeightSource*, std::less<>> by_file;
    document.root()["weight_map"].for_each_member([&](std::string_view, const Json& file) {
      const std::string name(file_name(file));
      if (by_file.contains(name)) return;
      const auto path = index.parent_path() / name;
      std::error_code ignored;
      if (!std::filesystem::exists(path, ignored)) {
        fail(Errc::not_found,
             "{}: \"weight_map\" names {}, which is not beside it: download that file, too",
             source_, name);
      }
      shards_.push_back(open(path));
      by_file.emplace(name, shards_.back().get());
    });
    for (const auto& shard : shards_) add(*shard);
    check(document.root()["weight_map"], by_file);
  }

  const std::string& name() const override { return source_; }
  std::vector<std::string> names() const override { return names_; }
  bool has(std::string_view tensor) const override { return shard_of(tensor) != nullptr; }

  Tensor find(std::string_view tensor) const override {
    const WeightSource* shard = shard_of(tensor);
    return shard == nullptr ? Tensor() : shard->find(tensor);
  }

 private:
  static std::string_view file_name(const Json& file) {
    const std::string_view name = file.string();
    const bool plain = !name.empty() && name != "." && name != ".." &&
                       name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
    if (!plain) file.reject("the name of a file beside the index");
    return name;
  }

  const WeightSource* shard_of(std::string_view tensor) const {
    const auto found = by_name_.find(std::string(tensor));
    return found == by_name_.end() ? nullptr : found->second;
  }

  void add(const WeightSource& shard) {
    for (std::string& tensor : shard.names()) {
      const auto [found, fresh] = by_name_.emplace(tensor, &shard);
      if (!fresh) {
        fail(Errc::invalid_file, "{}: tensor \"{}\" is in {} and in {}", source_, tensor,
             found->second->name(), shard.name());
      }
      names_.push_back(std::move(tensor));
    }
  }

  void check(const Json& weight_map,
             const std::map<std::string, const WeightSource*, std::less<>>& by_file) const {
    std::unordered_set<std::string_view> seen;
    weight_map.for_each_member([&](std::string_view tensor, const Json& file) {
      if (!seen.insert(tensor).second) {
        fail(Errc::invalid_file, "{}: \"weight_map\" has \"{}\" twice", source_, tensor);
      }
      const WeightSource* shard = by_file.find(file.string())->second;
      if (shard_of(tensor) != shard) {
        fail(Errc::invalid_file, "{}: tensor \"{}\" is not in {}, where \"weight_map\" has it",
             source_, tensor, shard->name());
      }
    });
  }

  std::string source_;
  std::vector<std::unique_ptr<WeightSource>> shards_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, const WeightSource*> by_name_;
};

}  // namespace

std::unique_ptr<WeightSource> open_sharded(const std::filesystem::path& index, Open open) {
  return std::make_unique<ShardedWeights>(index, open);
}

}  // namespace tercel::hub

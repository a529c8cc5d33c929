#pragma once
// The way that is chosen for each shape of a library's work. May be used from several threads.

#include <mutex>
#include <string>
#include <unordered_map>

namespace tercel::kernels::cuda {

// `Choice` says in `measured` whether it was raced against others.
template <class Choice>
class Choices {
 public:
  bool find(const std::string& key, Choice& choice) const {
    const std::lock_guard lock(mutex_);
    const auto found = choices_.find(key);
    if (found == choices_.end()) return false;
    choice = found->second;
    return true;
  }
  bool has_measured(const std::string& key) const {
    Choice choice;
    return find(key, choice) && choice.measured;
  }
  void remember(const std::string& key, const Choice& choice) {
    const std::lock_guard lock(mutex_);
    choices_[key] = choice;
  }
  // use(key, choice)
  template <class Use>
  void for_each(const Use& use) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, choice] : choices_) use(key, choice);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Choice> choices_;
};

}  // namespace tercel::kernels::cuda

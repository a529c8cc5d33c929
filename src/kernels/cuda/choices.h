#pragma once
// The way that is chosen for each shape of a library's work. May be used from several threads. What
// was measured becomes lines of text, and such lines choices again: the library's name, the key of
// the shape, the choice in words, and a checksum, as a file may be damaged; tabs are between them.

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tercel::kernels::cuda {

// For what choices are made: the versions of Tercel and cuBLASLt, and the kind of device. A line.
std::string choices_heading();

struct ChoiceLine {
  std::string_view name, key, words;
};
std::string to_text(const ChoiceLine& line);  // with a line end
// Takes the next line off the text. False, and `line` is as before, when to_text() does not write
// such.
bool read_choice_line(std::string_view& text, ChoiceLine& line);

inline constexpr std::size_t kMostChoices = 20000;  // of a library, that a text is made of

// `Choice` says in `measured` whether it was raced against others. words_of(choice) and
// read_words(words, choice), false when the former does not write such, put it in words.
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

  // Of what was measured; sorted.
  std::string text(std::string_view name) const {
    std::vector<std::string> lines;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, choice] : choices_)
        if (choice.measured && lines.size() < kMostChoices)
          lines.push_back(to_text({name, key, words_of(choice)}));
    }
    std::sort(lines.begin(), lines.end());
    std::string all;
    for (const std::string& line : lines) all += line;
    return all;
  }
  // Lines of other libraries, damaged ones, and those of what was measured here are skipped.
  // Returns how many were taken.
  int take(std::string_view name, std::string_view text) {
    int taken = 0;
    while (!text.empty()) {
      ChoiceLine line;
      Choice choice;
      if (!read_choice_line(text, line) || line.name != name) continue;
      const std::string key(line.key);
      if (has_measured(key) || !read_words(line.words, choice)) continue;
      choice.measured = true;
      remember(key, choice);
      ++taken;
    }
    return taken;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Choice> choices_;
};

}  // namespace tercel::kernels::cuda

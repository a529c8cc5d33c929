#include "src/text/regex/regex.h"

#include <algorithm>
#include <new>
#include <utility>

#include "src/text/regex/syntax.h"

namespace tercel::text {

Regex::Regex(std::string_view pattern) : program_(compile_regex(parse_regex(pattern))) {}

std::unique_ptr<Automaton> Regex::lease() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      const auto own = std::find_if(idle_.begin(), idle_.end(), [](const Idle& idle) {
        return idle.last == std::this_thread::get_id();
      });
      if (own != idle_.end()) std::swap(*own, idle_.back());
      auto automaton = std::move(idle_.back().automaton);
      idle_.pop_back();
      return automaton;
    }
  }
  return std::make_unique<Automaton>(program_);
}

void Regex::give_back(std::unique_ptr<Automaton> automaton) const noexcept {
  if (!automaton) return;
  try {
    const std::lock_guard lock(mutex_);
    idle_.push_back({std::this_thread::get_id(), std::move(automaton)});
  } catch (const std::bad_alloc&) {
    return;  // the next search makes a new one
  }
}

const std::vector<IndexRange>& RegexSearch::find_all(std::string_view ascii) {
  classes_.resize(ascii.size());
  std::transform(ascii.begin(), ascii.end(), classes_.begin(), [&](char c) {
    return regex_.program_.classes.of_ascii(static_cast<unsigned char>(c));
  });
  return find_in_classes();
}

const std::vector<IndexRange>& RegexSearch::find_all(const AlignedChar* begin,
                                                     const AlignedChar* end) {
  classes_.resize(static_cast<std::size_t>(end - begin));
  std::transform(begin, end, classes_.begin(),
                 [&](const AlignedChar& c) { return regex_.program_.classes.of(c.code); });
  return find_in_classes();
}

const std::vector<IndexRange>& RegexSearch::find_in_classes() {
  matches_.clear();
  try {
    automaton_->find_all(classes_, matches_);
  } catch (...) {
    automaton_.reset();  // memory ran out: it may have been left half changed
    throw;
  }
  return matches_;
}

}  // namespace tercel::text

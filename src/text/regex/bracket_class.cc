#include <algorithm>

#include "src/text/regex/pattern_reader.h"
#include "src/text/regex/unicode_sets.h"

namespace tercel::text {
namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxPendingRanges = 1 << 14;

// One class, and those inside it.
class BracketClass {
 public:
  BracketClass(PatternReader& reader, std::size_t depth) : reader_(reader), depth_(depth) {}

  // What stands in the brackets, before a '^' turns it around.
  CharSet read(bool& negated) {
    const std::size_t start = reader_.position();
    if (depth_ > kMaxDepth) reader_.unsupported(start, "classes nest too deeply");
    negated = reader_.accept(U"^");
    if (reader_.peek() == ']' && !reader_.at_end()) read_item();  // a first "]" stands for itself
    while (!reader_.accept(U"]")) {
      if (reader_.at_end()) reader_.malformed(start, "the class does not end");
      if (reader_.accept(U"&&")) {
        intersect();
      } else {
        read_item();
      }
    }
    intersect();
    return *left_;
  }

 private:
  void intersect() {
    CharSet set(std::move(ranges_));
    ranges_.clear();
    left_ = left_ ? *left_ & set : std::move(set);
  }

  void add(const CharSet& set) {
    ranges_.insert(ranges_.end(), set.ranges().begin(), set.ranges().end());
    if (ranges_.size() > kMaxPendingRanges) ranges_ = CharSet(std::move(ranges_)).ranges();
  }

  // "[:alpha:]" in a class.
  bool read_posix() {
    const std::size_t start = reader_.position();
    if (!reader_.accept(U"[:")) return false;
    const bool negated = reader_.accept(U"^");
    std::string name;
    while (!reader_.at_end() && reader_.peek() >= 'a' && reader_.peek() <= 'z') {
      name += static_cast<char>(reader_.next());
    }
    if (!reader_.accept(U":]")) {
      reader_.rewind(start);
      return false;
    }
    static constexpr std::string_view kNames[] = {"alnum", "alpha", "ascii", "blank",
                                                  "cntrl", "digit", "lower", "punct",
                                                  "space", "upper", "word",  "xdigit"};
    if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames)) {
      reader_.unsupported(start, fmt::format("the POSIX class [:{}:] is not supported", name));
    }
    CharSet set = *find_property(name);
    if (name == "punct") set = set | *find_property("S");  // \p{Punct} has them not
    add(negated ? ~set : set);
    return true;
  }

  PatternReader::Escape read_member() {
    if (!reader_.accept(U"\\")) return {false, {}, reader_.next()};
    if (reader_.accept(U"b")) return {false, {}, '\b'};
    return reader_.read_escape();
  }

  void read_item() {
    if (reader_.peek() == '[') {
      if (read_posix()) return;
      reader_.next();
      bool negated = false;
      const CharSet set = BracketClass(reader_, depth_ + 1).read(negated);
      add(negated ? ~set : set);
      return;
    }
    const std::size_t start = reader_.position();
    const PatternReader::Escape first = read_member();
    if (first.is_class) {
      add(first.set);
      return;
    }
    const std::size_t after = reader_.position();
    const bool is_range = reader_.accept(U"-") && !reader_.at_end() && reader_.peek() != ']' &&
                          reader_.peek() != '[' && !reader_.starts_with(U"&&");
    if (!is_range) {
      reader_.rewind(after);
      ranges_.push_back({first.code, first.code});
      return;
    }
    const PatternReader::Escape last = read_member();
    if (last.is_class) reader_.malformed(start, "a range cannot end in a class");
    if (last.code < first.code) reader_.malformed(start, "the range is empty");
    ranges_.push_back({first.code, last.code});
  }

  PatternReader& reader_;
  std::size_t depth_;
  std::vector<CharRange> ranges_;
  std::optional<CharSet> left_;  // of an intersection
};

}  // namespace

CharSet read_bracket_class(PatternReader& reader, bool any_case) {
  const std::size_t start = reader.position() - 1;
  bool negated = false;
  CharSet set = BracketClass(reader, 0).read(negated);
  if (any_case) {
    if (!negated && has_long_fold(set)) {
      reader.unsupported(start,
                         "without regard to case, a character of this class is also several "
                         "characters; that is not supported");
    }
    set = close_over_case(set);
  }
  return negated ? ~set : set;
}

}  // namespace tercel::text

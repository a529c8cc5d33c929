// SQuAD's files: {"data": [{"paragraphs": [{"context": …, "qas": [{"id": …, "question": …}]}]}]}. A
// file may be larger than memory: a scanner finds the paragraphs, and each is parsed alone.

#include <array>
#include <deque>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "src/base/fail.h"
#include "src/data/formats.h"
#include "src/data/json_values.h"

namespace tercel::data {
namespace {

// Follows strings and brackets of JSON, byte by byte, without looking at the rest.
class JsonScanner {
 public:
  // Depth of brackets after this byte. Throws Errc::invalid_file, without the place.
  std::size_t push(char c) {
    if (in_string_) {
      push_in_string(c);
    } else if (c == '"') {
      in_string_ = true;
      key_.clear();
    } else if (c == '{' || c == '[') {
      open_.push_back({c, {}});
      if (open_.size() > kMaxDepth) fail(Errc::invalid_file, "it is nested too deeply");
    } else if (c == '}' || c == ']') {
      if (open_.empty() || open_.back().bracket != (c == '}' ? '{' : '[')) {
        fail(Errc::invalid_file, "a bracket '{}' closes nothing", c);
      }
      open_.pop_back();
    } else if (c == ':' && !open_.empty()) {
      open_.back().key = key_;
    }
    return open_.size();
  }

  // Inside an element of the arrays that stand under "data", then "paragraphs".
  bool in_paragraph() const {
    return open_.size() >= 5 && open_[0].key == "data" && open_[1].bracket == '[' &&
           open_[2].key == "paragraphs" && open_[3].bracket == '[';
  }
  bool is_open() const { return !open_.empty() || in_string_; }

 private:
  void push_in_string(char c) {
    constexpr std::size_t kLongestKey = 16;
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    } else if (key_.size() < kLongestKey) {
      key_ += c;
    }
  }

  struct Open {
    char bracket;
    std::string key;  // of an object: the one that was read last
  };
  static constexpr std::size_t kMaxDepth = 1024;
  std::vector<Open> open_;
  std::string key_;
  bool in_string_ = false;
  bool escaped_ = false;
};

class SquadQuestions : public FileRecords {
 public:
  explicit SquadQuestions(OpenFile file) : file_(std::move(file)), block_(std::size_t{1} << 16) {}

  bool next(Record& record) override {
    while (questions_.empty()) {
      if (!next_paragraph()) return false;
    }
    record = std::move(questions_.front());
    questions_.pop_front();
    return true;
  }

 private:
  // Puts the questions of the next paragraph into the queue.
  bool next_paragraph() {
    std::string text;
    bool inside = false;
    for (char c = 0; next_byte(c);) {
      scan(c);
      const bool now = scanner_.in_paragraph();
      if (now && !inside) paragraph_line_ = line_;
      if (now || inside) {
        if (text.size() <= file_.max_record_bytes) text += c;
      }
      if (inside && !now) {
        add_paragraph(std::move(text));
        return true;
      }
      inside = now;
      found_any_ = found_any_ || now;
    }
    if (scanner_.is_open()) fail(Errc::invalid_file, "{}: the JSON ends too early", file_.name);
    if (!found_any_) {
      fail(Errc::invalid_file,
           "{}: no paragraphs in it; expected SQuAD's format, {{\"data\": [{{\"paragraphs\": [{{"
           "\"context\": …, \"qas\": […]}}]}}]}}",
           file_.name);
    }
    return false;
  }

  bool next_byte(char& c) {
    if (at_ == size_) {
      size_ = file_.bytes->read(block_);
      at_ = 0;
      if (size_ == 0) return false;
    }
    c = block_[at_++];
    line_ += c == '\n' ? 1 : 0;
    return true;
  }

  void scan(char c) {
    try {
      scanner_.push(c);
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", file_.name, error.what());
    }
  }

  void add_paragraph(std::string text) {
    if (text.size() > file_.max_record_bytes) return reject("", too_long(file_.max_record_bytes));
    simdjson::dom::element root;
    const auto code = parser_.parse(text).get(root);
    if (code != simdjson::SUCCESS) return reject(std::move(text), json_problem(code));
    std::string_view context;
    simdjson::dom::array list;
    if (root["context"].get(context) != simdjson::SUCCESS ||
        root["qas"].get(list) != simdjson::SUCCESS) {
      return reject(std::move(text), "a paragraph without a \"context\" and \"qas\"");
    }
    for (const auto question : list) add_question(question, context);
  }

  void add_question(simdjson::dom::element entry, std::string_view context) {
    Record record;
    record.line = paragraph_line_;
    record.raw = simdjson::minify(entry);
    std::string_view question;
    std::string_view id;
    if (entry["question"].get(question) != simdjson::SUCCESS) {
      record.error = "an entry of \"qas\" without a \"question\"";
    } else {
      if (entry["id"].get(id) == simdjson::SUCCESS)
        record.fields.push_back({"id", std::string(id)});
      record.fields.push_back({"question", std::string(question)});
      record.fields.push_back({"context", std::string(context)});
    }
    questions_.push_back(std::move(record));
  }

  void reject(std::string text, std::string reason) {
    Record record;
    record.line = paragraph_line_;
    record.raw = std::move(text);
    record.error = std::move(reason);
    questions_.push_back(std::move(record));
  }

  OpenFile file_;
  std::vector<char> block_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
  int64_t line_ = 1;
  int64_t paragraph_line_ = 0;
  JsonScanner scanner_;
  simdjson::dom::parser parser_;
  std::deque<Record> questions_;
  bool found_any_ = false;
};

}  // namespace

std::unique_ptr<FileRecords> squad_questions(OpenFile file) {
  return std::make_unique<SquadQuestions>(std::move(file));
}

}  // namespace tercel::data

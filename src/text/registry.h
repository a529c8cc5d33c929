#pragma once
// Each kind of stage in a tokenizer.json ("type": "…") is a row of its stage's table.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "src/base/fail.h"
#include "src/base/json.h"
#include "src/text/utf8.h"

namespace tercel::text {

template <class Stage>
struct StageRow {
  std::string_view type;
  std::unique_ptr<const Stage> (*make)(const Json& config);
};

// The row for `type`; Errc::unsupported with the list of what is known when there is none.
template <class Stage>
const StageRow<Stage>& find_stage(std::span<const StageRow<Stage>> table, std::string_view stage,
                                  std::string_view type) {
  std::string known;
  for (const StageRow<Stage>& row : table) {
    if (row.type == type) return row;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.type);
  }
  fail(Errc::unsupported, "the {} type \"{}\" is not supported; supported are: {}", stage, type,
       known);
}

// A member that is exactly one character.
inline char32_t read_char(const Json& config, std::string_view key) {
  const Json member = config[key];
  const std::u32string text = to_utf32(member.string());
  if (text.size() != 1) member.reject("one character");
  return text.front();
}

}  // namespace tercel::text

// JSON from a file: parse it, then ask every value for every kind of content.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/json.h"
#include "tercel/error.h"

namespace {

void visit(const tercel::Json& value) {
  if (value.is_object()) {
    value.for_each_member([](std::string_view, const tercel::Json& member) { visit(member); });
  } else if (value.is_array()) {
    value.for_each([](const tercel::Json& element) { visit(element); });
  } else if (value.is_string()) {
    static_cast<void>(value.string());
  } else if (value.is_number()) {
    static_cast<void>(value.number());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto document = tercel::JsonDocument::parse(text, "input.json");
    visit(document.root());
    static_cast<void>(document.root()["version"].integer());
  } catch (const tercel::Error&) {
    return 0;  // a malformed file gets a typed error
  }
  return 0;
}

#pragma once
// Results as text: JSON and CSV, a record a line.

#include <span>
#include <string>
#include <string_view>

#include "tercel/dataset.h"

namespace tercel::tasks {

// With quotes. What is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);
// The shortest text that is this number; null for what JSON has no number for.
void append_json_number(std::string& out, float value);
// Numbers of a row of any shape, as nested arrays. Types without numbers throw Errc::unsupported.
void append_json_tensor(std::string& out, const Tensor& tensor);
void append_json_value(std::string& out, const data::Value& value);

// In quotes where RFC 4180 wants them.
void append_csv_field(std::string& out, std::string_view text, char separator);
// A value as a field of a table.
std::string plain_text(const data::Value& value);

}  // namespace tercel::tasks

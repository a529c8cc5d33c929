#pragma once
// JSON as the values of a record's fields.

#include <simdjson.h>

#include "tercel/dataset.h"

namespace tercel::data {

Value value_of(simdjson::dom::element element);

// The parser of the calling thread: it keeps its memory from one record to the next.
simdjson::dom::parser& thread_parser();

// What is wrong with a text that cannot be parsed, for people.
std::string json_problem(simdjson::error_code code);

}  // namespace tercel::data

// For the comparison with the `tokenizers` and `sentencepiece` packages in tests/python.
//
//   tokenizer_dump TOKENIZER.JSON [option=value]… < RECORDS
//
// A record is "text NUL" or, with pair=1, "first NUL second NUL". For each one JSON line is
// written: {"ids": […], "type_ids": …, "offsets": [[begin, end], …] in bytes, "chars": the same in
// characters, …, "overflowing": [{…}, …]}; with flat=1 the same as numbers. With decode=1 it is
// "text NUL", decoded from the record's ids, or with ids=1 from ids that the record lists; skip=0
// keeps special tokens. What a DecodeStream gives is compared with it. With batch=1 all records are
// encoded at once, by threads=N.

#include <charconv>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tercel/error.h"
#include "tercel/tokenizer.h"

namespace {

using tercel::CharOffsets;
using tercel::Encoding;
using tercel::TextSpan;

template <class Values>
void write_list(std::string& out, const char* name, const Values& values) {
  out += fmt::format("\"{}\":[", name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    if constexpr (std::is_same_v<typename Values::value_type, TextSpan>) {
      out += fmt::format("[{},{}]", values[i].begin, values[i].end);
    } else {
      out += fmt::format_int(values[i]).c_str();
    }
  }
  out += "],";
}

void write_encoding(std::string& out, const Encoding& encoding,
                    const std::vector<CharOffsets>& texts) {
  std::vector<TextSpan> chars;
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const int32_t sequence = encoding.sequence_ids[i];
    chars.push_back(sequence < 0
                        ? TextSpan{}
                        : texts[static_cast<std::size_t>(sequence)].to_chars(encoding.offsets[i]));
  }
  out += '{';
  write_list(out, "ids", encoding.ids);
  write_list(out, "type_ids", encoding.type_ids);
  write_list(out, "attention_mask", encoding.attention_mask);
  write_list(out, "special_tokens_mask", encoding.special_tokens_mask);
  write_list(out, "sequence_ids", encoding.sequence_ids);
  write_list(out, "word_ids", encoding.word_ids);
  write_list(out, "offsets", encoding.offsets);
  write_list(out, "chars", chars);
  out += "\"overflowing\":[";
  for (std::size_t i = 0; i < encoding.overflowing.size(); ++i) {
    if (i > 0) out += ',';
    write_encoding(out, encoding.overflowing[i], texts);
  }
  out += "]}";
}

// As int32: the number of tokens; ids, types, masks, offsets in characters and words; the number of
// windows, and each in the same way.
void write_flat(std::vector<int32_t>& out, const Encoding& encoding,
                const std::vector<CharOffsets>& texts) {
  const auto append = [&](const std::vector<int32_t>& values) {
    out.insert(out.end(), values.begin(), values.end());
  };
  out.push_back(static_cast<int32_t>(encoding.size()));
  append(encoding.ids);
  append(encoding.type_ids);
  append(encoding.attention_mask);
  append(encoding.special_tokens_mask);
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const int32_t sequence = encoding.sequence_ids[i];
    const TextSpan span =
        sequence < 0 ? TextSpan{}
                     : texts[static_cast<std::size_t>(sequence)].to_chars(encoding.offsets[i]);
    out.push_back(static_cast<int32_t>(span.begin));
    out.push_back(static_cast<int32_t>(span.end));
  }
  append(encoding.word_ids);
  out.push_back(static_cast<int32_t>(encoding.overflowing.size()));
  for (const Encoding& window : encoding.overflowing) write_flat(out, window, texts);
}

std::size_t to_size(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Arguments {
  bool pair = false;
  bool decode = false;
  bool flat = false;
  bool ids = false;
  bool skip = true;
  bool batch = false;
  tercel::EncodeOptions options;
};

void read_argument(std::string_view argument, Arguments& result) {
  const std::size_t equals = argument.find('=');
  const std::string_view key = argument.substr(0, equals);
  const std::string_view value = argument.substr(equals + 1);
  auto& options = result.options;
  if (key == "pair") result.pair = value == "1";
  if (key == "decode") result.decode = value == "1";
  if (key == "flat") result.flat = value == "1";
  if (key == "ids") result.ids = value == "1";
  if (key == "skip") result.skip = value == "1";
  if (key == "batch") result.batch = value == "1";
  if (key == "threads") options.threads = static_cast<int>(to_size(value));
  if (key == "special") options.add_special_tokens = value == "1";
  if (key == "max_length" || key == "stride" || key == "strategy" || key == "truncate") {
    if (!options.truncation) options.truncation.emplace();
  }
  if (key == "max_length") options.truncation->max_length = to_size(value);
  if (key == "stride") options.truncation->stride = to_size(value);
  if (key == "strategy") {
    options.truncation->strategy = value == "only_first" ? tercel::TruncationStrategy::only_first
                                   : value == "only_second"
                                       ? tercel::TruncationStrategy::only_second
                                       : tercel::TruncationStrategy::longest_first;
  }
  if (key == "truncate" && value == "left") {
    options.truncation->direction = tercel::TextDirection::left;
  }
}

std::vector<std::string_view> read_records(std::string_view input) {
  std::vector<std::string_view> records;
  for (std::size_t at = 0; at < input.size();) {
    const std::size_t end = std::min(input.find('\0', at), input.size());
    records.push_back(input.substr(at, end - at));
    at = end + 1;
  }
  return records;
}

std::vector<int32_t> read_ids(std::string_view text) {
  std::vector<int32_t> ids;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    ids.push_back(static_cast<int32_t>(to_size(text.substr(at, end - at))));
    at = end + 1;
  }
  return ids;
}

// The whole text, which must be what the stream gives, in pieces of whole characters.
std::string decode(const tercel::Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  const std::string text = tokenizer.decode(ids, skip);
  tercel::DecodeStream stream(tokenizer, skip);
  std::string streamed;
  const auto take = [&](const std::string& part) {
    if (!part.empty() && (part.front() & 0xC0) == 0x80)
      throw std::runtime_error("half a character");
    streamed += part;
  };
  for (const int32_t id : ids) take(stream.push(id));
  take(stream.finish());
  if (streamed != text) throw std::runtime_error("the stream gives another text: " + streamed);
  return text;
}

void write_records(std::string& out, const tercel::Tokenizer& tokenizer, const Arguments& arguments,
                   const std::vector<std::string_view>& records) {
  const std::size_t step = arguments.pair ? 2 : 1;
  for (std::size_t i = 0; i + step <= records.size(); i += step) {
    const Encoding encoding =
        arguments.ids    ? Encoding{.ids = read_ids(records[i])}
        : arguments.pair ? tokenizer.encode_pair(records[i], records[i + 1], arguments.options)
                         : tokenizer.encode(records[i], arguments.options);
    if (arguments.decode) {
      out += decode(tokenizer, encoding.ids, arguments.skip);
      out += '\0';
      continue;
    }
    std::vector<CharOffsets> texts;
    for (std::size_t j = 0; j < step; ++j) texts.emplace_back(records[i + j]);
    if (arguments.flat) {
      std::vector<int32_t> numbers;
      write_flat(numbers, encoding, texts);
      out.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(int32_t));
      continue;
    }
    write_encoding(out, encoding, texts);
    out += '\n';
  }
}

int run(int count, char** values) {
  const auto tokenizer = tercel::Tokenizer::load(values[1]);
  Arguments arguments;
  arguments.options = tokenizer.default_options();
  for (int i = 2; i < count; ++i) read_argument(values[i], arguments);
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  const std::vector<std::string_view> records = read_records(input);
  std::string out;
  if (arguments.batch) {
    std::size_t at = 0;
    for (const Encoding& encoding : tokenizer.encode_batch(records, arguments.options)) {
      write_encoding(out, encoding, {CharOffsets(records[at++])});
      out += '\n';
    }
  } else {
    write_records(out, tokenizer, arguments, records);
  }
  std::cout.write(out.data(), static_cast<std::streamsize>(out.size()));
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    if (count >= 2) return run(count, values);
    std::cerr << "usage: tokenizer_dump TOKENIZER.JSON [option=value]…\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }
  return 2;
}

#include "src/tasks/text_model.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/base/json.h"

namespace tercel::tasks {
namespace {

constexpr int kDefaultMaxLength = 512;
constexpr std::size_t kTokensAtOnce = 1024;

std::filesystem::path folder_of(const std::filesystem::path& model) {
  std::error_code ignored;
  return std::filesystem::is_directory(model, ignored) ? model : model.parent_path();
}

// The tokenizer is read on another thread while this one loads the session. A model that is not
// there is reported before a tokenizer that is not.
std::pair<Tokenizer, Session> load_both(const std::filesystem::path& path,
                                        const SessionOptions& options) {
  const auto folder = folder_of(path);
  auto tokenizer = std::async(std::launch::async,
                              [&folder] { return Tokenizer::load(folder.empty() ? "." : folder); });
  auto session = Session::load(path, options);
  return {tokenizer.get(), std::move(session)};
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The number of a dimension that is not symbolic, otherwise 0.
int64_t fixed_dimension(const TensorInfo& info, std::size_t axis) {
  if (!info.shape || axis >= info.shape->size()) return 0;
  return parse_integer((*info.shape)[axis]).value_or(0);
}

// What the metadata, the configuration beside an ONNX file, or the tokenizer says.
int find_max_length(const Session& session, const Tokenizer& tokenizer,
                    const std::filesystem::path& folder) {
  const auto& metadata = session.metadata();
  if (const auto found = metadata.find("tercel.max_length"); found != metadata.end()) {
    const auto value = parse_integer(found->second);
    if (value && *value > 0 && *value <= INT32_MAX) return static_cast<int>(*value);
  }
  std::error_code ignored;
  if (std::filesystem::is_regular_file(folder / "config.json", ignored)) {
    const auto config = JsonDocument::open(folder / "config.json");
    const int64_t positions = config.root().integer_or("max_position_embeddings", 0);
    if (positions > 0 && positions <= INT32_MAX) return static_cast<int>(positions);
  }
  if (const auto& truncation = tokenizer.default_options().truncation) {
    return static_cast<int>(std::min<std::size_t>(truncation->max_length, INT32_MAX));
  }
  return kDefaultMaxLength;
}

int32_t find_pad_id(const Tokenizer& tokenizer) {
  if (const auto& padding = tokenizer.default_options().padding) return padding->pad_id;
  for (const char* name : {"[PAD]", "<pad>"}) {
    if (const auto id = tokenizer.token_to_id(name)) return *id;
  }
  return 0;
}

template <class T, class Convert>
Tensor converted(const Tensor& tensor, Convert convert) {
  Tensor result(Dtype::f32, tensor.shape());
  const auto* from = static_cast<const T*>(tensor.data());
  std::transform(from, from + tensor.size(), result.values<float>().begin(), convert);
  return result;
}

Tensor as_f32(const Tensor& tensor, std::string_view name) {
  switch (tensor.dtype()) {
    case Dtype::f32:
      return tensor;
    case Dtype::f16:
      return converted<f16>(tensor, [](f16 value) { return to_float(value); });
    case Dtype::bf16:
      return converted<bf16>(tensor, [](bf16 value) { return to_float(value); });
    case Dtype::f64:
      return converted<double>(tensor, [](double value) { return static_cast<float>(value); });
    default:
      fail(Errc::unsupported, "output \"{}\" has element type {}; expected floating point", name,
           to_string(tensor.dtype()));
  }
}

// What each row of the batch says at its positions, `padding` beyond its end.
template <class T, class Get>
Tensor fill(Dtype dtype, std::span<const TokenRow* const> rows, int64_t batch, int64_t length,
            T padding, Get get) {
  Tensor tensor(dtype, {batch, length});
  auto* out = static_cast<T*>(tensor.data());
  for (int64_t b = 0; b < batch; ++b) {
    // A model of a fixed batch size gets the last row repeated.
    const TokenRow& row = *rows[std::min<std::size_t>(b, rows.size() - 1)];
    for (std::size_t i = 0; i < static_cast<std::size_t>(length); ++i) {
      *out++ = i < row.ids.size() ? static_cast<T>(get(row, i)) : padding;
    }
  }
  return tensor;
}

template <class Get>
Tensor fill_as(Dtype dtype, std::span<const TokenRow* const> rows, int64_t batch, int64_t length,
               int32_t padding, Get get) {
  if (dtype == Dtype::i32) return fill<int32_t>(dtype, rows, batch, length, padding, get);
  return fill<int64_t>(Dtype::i64, rows, batch, length, padding, get);
}

// A row joins a batch when at most a quarter of it would be padding.
bool fits(std::size_t longest, std::size_t length) { return length * 4 >= longest * 3; }

std::string_view command_for(const TextModel& model) {
  const auto has = [&](std::string_view name) { return model.has_output(name); };
  if (has("start_logits")) return "`tercel ask`";
  if (has("sentence_embedding") || has("last_hidden_state")) return "`tercel embed`";
  for (const TensorInfo& info : model.session().outputs()) {
    if (info.name != "logits" || !info.shape) continue;
    if (info.shape->size() == 2) return "`tercel classify`";
    if (model.metadata("tercel.task") != "fill-mask") return "`tercel classify --tokens`";
  }
  return "`tercel run`";
}

}  // namespace

std::string outputs_of(const Session& session) {
  std::string list;
  for (const TensorInfo& info : session.outputs()) {
    list += fmt::format("{}{}", list.empty() ? "" : ", ", info.name);
    if (info.shape) list += fmt::format(" [{}]", fmt::join(*info.shape, ", "));
  }
  return list;
}

TextModel::TextModel(const std::filesystem::path& path, const SessionOptions& options)
    : TextModel(path, load_both(path, options)) {}

TextModel::TextModel(const std::filesystem::path& path, std::pair<Tokenizer, Session> loaded)
    : folder_(folder_of(path)),
      tokenizer_(std::move(loaded.first)),
      session_(std::move(loaded.second)),
      max_length_(find_max_length(session_, tokenizer_, folder_)),
      pad_id_(find_pad_id(tokenizer_)),
      packed_(metadata("tercel.rows") == "packed") {
  check_inputs();
}

void TextModel::check_inputs() {
  bool has_ids = false;
  for (const TensorInfo& info : session_.inputs()) {
    const bool known =
        info.name == "input_ids" || info.name == "attention_mask" || info.name == "token_type_ids";
    if (!known || (info.dtype != Dtype::i64 && info.dtype != Dtype::i32)) {
      fail(Errc::invalid_argument,
           "the model's input \"{}\" ({}) is not one that text goes into; expected input_ids, "
           "attention_mask and token_type_ids of i64 or i32; run such a model with `tercel run`",
           info.name, to_string(info.dtype));
    }
    if (info.name != "input_ids") continue;
    has_ids = true;
    fixed_batch_ = fixed_dimension(info, 0);
    fixed_length_ = fixed_dimension(info, 1);
  }
  if (!has_ids) {
    fail(Errc::invalid_argument,
         "the model has no input \"input_ids\", so no text goes into it; run it with `tercel run`");
  }
  if (fixed_length_ > 0)
    max_length_ = static_cast<int>(std::min<int64_t>(max_length_, fixed_length_));
}

std::string TextModel::metadata(const std::string& key) const {
  const auto found = session_.metadata().find(key);
  return found == session_.metadata().end() ? std::string() : found->second;
}

bool TextModel::has_output(std::string_view name) const {
  const auto& outputs = session_.outputs();
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](const TensorInfo& info) { return info.name == name; });
}

void TextModel::require_outputs(std::string_view task, std::span<const std::string> names) const {
  for (const std::string& name : names) {
    if (!has_output(name)) reject(task, fmt::format("it has no output \"{}\"", name));
  }
}

void TextModel::reject(std::string_view task, std::string_view reason) const {
  fail(Errc::invalid_argument,
       "the model is not one for {}: {}; its outputs are: {}; use {} for it", task, reason,
       outputs_of(session_), command_for(*this));
}

EncodeOptions TextModel::row_options() const {
  EncodeOptions options;
  options.truncation = Truncation{.max_length = static_cast<std::size_t>(max_length_)};
  options.keep_overflowing = false;
  return options;
}

TokenRow TextModel::row_of(std::string_view text) const {
  Encoding encoding = tokenizer_.encode(text, row_options());
  return {std::move(encoding.ids), std::move(encoding.type_ids)};
}

std::vector<TokenRow> TextModel::rows_of(std::span<const std::string> texts) const {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  EncodeOptions options = row_options();
  options.threads = session_.options().threads;
  std::vector<TokenRow> rows;
  rows.reserve(texts.size());
  for (Encoding& encoding : tokenizer_.encode_batch(views, options))
    rows.push_back({std::move(encoding.ids), std::move(encoding.type_ids)});
  return rows;
}

TokenRow TextModel::row_of(std::string_view first, std::string_view text) const {
  Encoding encoding = tokenizer_.encode_pair(first, text, row_options());
  return {std::move(encoding.ids), std::move(encoding.type_ids)};
}

NamedTensors TextModel::make_inputs(std::span<const TokenRow* const> rows) const {
  int64_t length = fixed_length_;
  if (length == 0) {
    for (const TokenRow* row : rows) {
      length = std::max(length, static_cast<int64_t>(row->ids.size()));
    }
  }
  const int64_t batch = fixed_batch_ > 0 ? fixed_batch_ : static_cast<int64_t>(rows.size());
  NamedTensors inputs;
  for (const TensorInfo& info : session_.inputs()) {
    if (info.name == "input_ids") {
      inputs[info.name] = fill_as(info.dtype, rows, batch, length, pad_id_,
                                  [](const TokenRow& row, std::size_t i) { return row.ids[i]; });
    } else if (info.name == "token_type_ids") {
      inputs[info.name] =
          fill_as(info.dtype, rows, batch, length, 0,
                  [](const TokenRow& row, std::size_t i) { return row.type_ids[i]; });
    } else {
      inputs[info.name] = fill_as(info.dtype, rows, batch, length, 0,
                                  [](const TokenRow&, std::size_t) { return 1; });
    }
  }
  return inputs;
}

// Where in the order of lengths the batch that begins at `begin` ends.
std::size_t TextModel::batch_end(std::span<const TokenRow> rows, std::span<const std::size_t> order,
                                 std::size_t begin, std::size_t limit) const {
  const std::size_t longest = rows[order[begin]].ids.size();
  std::size_t tokens = longest;
  std::size_t end = begin + 1;
  for (; end < order.size() && end - begin < limit; ++end) {
    const std::size_t length = rows[order[end]].ids.size();
    if (!packed_ && !fits(longest, length)) break;
    tokens += packed_ ? length : longest;
    if (tokens > kTokensAtOnce) break;
  }
  return end;
}

void TextModel::run(std::span<const TokenRow> rows, const std::vector<std::string>& outputs,
                    int batch_size, const RunOptions& options, RowDone done) const {
  const auto limit =
      static_cast<std::size_t>(fixed_batch_ > 0 ? fixed_batch_ : std::max(batch_size, 1));
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return rows[a].ids.size() > rows[b].ids.size();
  });

  std::vector<const TokenRow*> batch;
  std::vector<Tensor> results(outputs.size());
  for (std::size_t begin = 0; begin < order.size(); begin += batch.size()) {
    batch.clear();
    const std::size_t end = batch_end(rows, order, begin, limit);
    for (std::size_t i = begin; i < end; ++i) batch.push_back(&rows[order[i]]);
    NamedTensors computed = session_.run(make_inputs(batch), outputs, options);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      results[i] = as_f32(computed[outputs[i]], outputs[i]);
      if (results[i].rank() < 1 || results[i].shape()[0] < static_cast<int64_t>(batch.size())) {
        fail(Errc::invalid_file, "output \"{}\" has shape {} for a batch of {}", outputs[i],
             to_string(results[i].shape()), batch.size());
      }
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      done(order[begin + i], results, static_cast<int64_t>(i));
    }
  }
}

}  // namespace tercel::tasks

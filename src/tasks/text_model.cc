#include "src/tasks/text_model.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/base/json.h"

namespace tercel::tasks {
namespace {

constexpr int kDefaultMaxLength = 512;
constexpr int64_t kTokensAtOnce = 1024;

std::filesystem::path folder_of(const std::filesystem::path& model) {
  std::error_code ignored;
  return std::filesystem::is_directory(model, ignored) ? model : model.parent_path();
}

// The tokenizer is read on another thread while this one loads the session. A model that is not
// there is reported before a tokenizer that is not.
std::pair<Tokenizer, Replicas> load_both(const std::filesystem::path& path,
                                         const SessionOptions& options) {
  const auto folder = folder_of(path);
  auto tokenizer = std::async(std::launch::async,
                              [&folder] { return Tokenizer::load(folder.empty() ? "." : folder); });
  auto replicas = Replicas::load(path, options);
  return {tokenizer.get(), std::move(replicas)};
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

TextModel::TextModel(const std::filesystem::path& path, std::pair<Tokenizer, Replicas> loaded)
    : folder_(folder_of(path)),
      tokenizer_(std::move(loaded.first)),
      replicas_(std::move(loaded.second)),
      max_length_(find_max_length(session(), tokenizer_, folder_)),
      pad_id_(find_pad_id(tokenizer_)),
      packed_(metadata("tercel.rows") == "packed") {
  check_inputs();
  collate_ = make_collate();
}

data::PadCollate TextModel::make_collate() const {
  std::vector<data::PadCollate::Input> inputs;
  for (const TensorInfo& info : session().inputs()) {
    const bool is_mask = info.name == "attention_mask";
    inputs.push_back({info.name, info.dtype, info.name == "input_ids" ? pad_id_ : 0, is_mask});
  }
  return data::PadCollate(std::move(inputs), fixed_batch_, fixed_length_);
}

void TextModel::check_inputs() {
  bool has_ids = false;
  for (const TensorInfo& info : session().inputs()) {
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
  const auto found = session().metadata().find(key);
  return found == session().metadata().end() ? std::string() : found->second;
}

bool TextModel::has_output(std::string_view name) const {
  const auto& outputs = session().outputs();
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
       outputs_of(session()), command_for(*this));
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
  options.threads = static_cast<int>(replicas_.size()) * session().options().threads;
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

data::BatchRule TextModel::batch_rule(int batch_size) const {
  return {.max_rows = fixed_batch_ > 0 ? fixed_batch_ : std::max(batch_size, 1),
          .max_tokens = kTokensAtOnce,
          .count_padding = !packed_};
}

data::Example TextModel::example_of(const TokenRow& row) {
  const auto view = [](const std::vector<int32_t>& values) {
    return Tensor::view_of(values.data(), Dtype::i32, {static_cast<int64_t>(values.size())});
  };
  data::Example example;
  example.length = static_cast<int64_t>(row.ids.size());
  example.features.emplace("input_ids", view(row.ids));
  example.features.emplace("token_type_ids", view(row.type_ids));
  return example;
}

std::vector<Tensor> TextModel::run_batch(const Session& session, const NamedTensors& inputs,
                                         std::size_t rows, const std::vector<std::string>& outputs,
                                         const RunOptions& options) const {
  NamedTensors computed = session.run(inputs, outputs, options);
  std::vector<Tensor> results;
  for (const std::string& name : outputs) {
    results.push_back(as_f32(computed[name], name));
    const Tensor& result = results.back();
    if (result.rank() < 1 || result.shape()[0] < static_cast<int64_t>(rows)) {
      fail(Errc::invalid_file, "output \"{}\" has shape {} for a batch of {}", name,
           to_string(result.shape()), rows);
    }
  }
  return results;
}

void TextModel::run(std::span<const TokenRow> rows, const std::vector<std::string>& outputs,
                    int batch_size, const RunOptions& options, RowDone done) const {
  std::vector<data::RowSize> sizes;
  for (const TokenRow& row : rows) sizes.push_back({static_cast<int64_t>(row.ids.size()), 0});
  const auto batches = data::batches_by_length(sizes, batch_rule(batch_size));
  std::mutex mutex;
  replicas_.for_each(batches.size(), [&](const Session& session, std::size_t item) {
    const std::vector<std::size_t>& batch = batches[item];
    std::vector<data::Example> examples;
    for (const std::size_t row : batch) examples.push_back(example_of(rows[row]));
    const auto results = run_batch(session, collate_(examples), batch.size(), outputs, options);
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      done(batch[i], results, static_cast<int64_t>(i));
    }
  });
}

}  // namespace tercel::tasks

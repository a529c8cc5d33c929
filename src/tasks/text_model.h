#pragma once
// What every task has: a session, the tokenizer that belongs to it, and the way from token ids to
// batches.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/function_ref.h"
#include "src/data/batching.h"
#include "tercel/data_loader.h"
#include "tercel/replicas.h"
#include "tercel/session.h"
#include "tercel/tokenizer.h"

namespace tercel::tasks {

// One input of the model, not padded.
struct TokenRow {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;
};

class TextModel {
 public:
  // Loads the model and the tokenizer at the same time; a replica for each of options.devices.
  // Throws tercel::Error.
  TextModel(const std::filesystem::path& path, const SessionOptions& options);

  const Session& session() const { return replicas_[0]; }
  const Replicas& replicas() const { return replicas_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::filesystem::path& folder() const { return folder_; }

  // Tokens that the model takes, special tokens included.
  int max_length() const { return max_length_; }
  // "tercel.problem_type" and its like; empty when there is none.
  std::string metadata(const std::string& key) const;

  bool has_output(std::string_view name) const;
  // Throws Errc::invalid_argument unless the model has the outputs: "… cannot do `task`", the
  // outputs it has, and the command that fits.
  void require_outputs(std::string_view task, std::span<const std::string> names) const;
  [[noreturn]] void reject(std::string_view task, std::string_view reason) const;

  // Called with the row's index, the wanted outputs as f32 [batch, …] and the row's place in them.
  using RowDone = FunctionRef<void(std::size_t row, std::span<const Tensor> outputs, int64_t at)>;

  // Which rows run together: at most `batch_size`, and no more than some thousand tokens, as more
  // would not stay in the cache between one operator and the next. Rows of similar length, so that
  // padding is little where the graph computes it.
  data::BatchRule batch_rule(int batch_size) const;
  // A row as the loader knows it; it refers to the row's memory.
  static data::Example example_of(const TokenRow& row);
  // From examples with the features input_ids and token_type_ids to the model's inputs.
  const data::PadCollate& collate() const { return collate_; }
  // The wanted outputs of a batch of `rows` examples, as f32 [rows or more, …].
  std::vector<Tensor> run_batch(const Session& session, const NamedTensors& inputs,
                                std::size_t rows, const std::vector<std::string>& outputs,
                                const RunOptions& options) const;

  // Runs every row once, on all replicas. `done` is called by one thread at a time, for rows in no
  // particular order.
  void run(std::span<const TokenRow> rows, const std::vector<std::string>& outputs, int batch_size,
           const RunOptions& options, RowDone done) const;

  // The text's tokens as a row, or those of `first` and the text as a pair, cut at max_length().
  TokenRow row_of(std::string_view text) const;
  // Those of many texts, by all threads of the session.
  std::vector<TokenRow> rows_of(std::span<const std::string> texts) const;
  TokenRow row_of(std::string_view first, std::string_view text) const;

 private:
  TextModel(const std::filesystem::path& path, std::pair<Tokenizer, Replicas> loaded);
  void check_inputs();
  data::PadCollate make_collate() const;
  EncodeOptions row_options() const;

  std::filesystem::path folder_;
  Tokenizer tokenizer_;
  Replicas replicas_;
  int max_length_ = 0;
  int32_t pad_id_ = 0;
  int64_t fixed_batch_ = 0;   // 0: any
  int64_t fixed_length_ = 0;  // 0: any
  bool packed_ = false;       // the graph runs over rows of real tokens alone
  data::PadCollate collate_{{}};
};

// "logits [batch, 3]": the name and shape of each output, for messages.
std::string outputs_of(const Session& session);

}  // namespace tercel::tasks

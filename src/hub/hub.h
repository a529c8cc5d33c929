#pragma once
// Hugging Face checkpoints: a directory with config.json and its weights (weights.h) becomes an
// ONNX graph at ir::kOpset. Weights stay in the file's type and are views of the mapped file;
// passes choose other types later. Files of the directory may be symbolic links, as in the hub's
// cache.
//
// The graph has the inputs `input_ids`, `attention_mask` (1: a token, 0: padding) and, where the
// model has several kinds of segments, `token_type_ids`, all int64 [batch, sequence] with both
// dimensions symbolic; of a model for images `pixel_values`, f32 [batch, channels, height, width].
// It computes in f32. Outputs by task:
//   question-answering    start_logits, end_logits [batch, sequence]
//   text-classification   logits [batch, labels]
//   token-classification  logits [batch, sequence, labels]
//   fill-mask             logits [batch, sequence, vocabulary]
//   feature-extraction    last_hidden_state [batch, sequence, hidden], pooler_output [batch,
//                         hidden] when the checkpoint has a pooler; of CLIP also text_embeds
//                         [batch, size] when it has a projection
//   sentence-similarity   sentence_embedding [batch, size], token_embeddings [batch, sequence,
//                         hidden]; pooling and normalisation by modules.json
//   image-classification  logits [batch, labels]
//   replaced-token-detection  logits [batch, sequence]
// Model metadata: "tercel.task", "tercel.architecture", "tercel.max_length" (tokens, special ones
// among them), and for classification "tercel.id2label" (a JSON object, "0" to a name) and
// "tercel.problem_type" where config.json has one.

#include <filesystem>
#include <memory>
#include <string>

#include "src/ir/model.h"

namespace tercel::hub {

// A directory with config.json, or with modules.json (sentence-transformers).
bool is_checkpoint(const std::filesystem::path& path);

struct LoadOptions {
  // One of the tasks above. Empty: what modules.json or the config's "architectures" say.
  std::string task;
};

// Throws Errc::not_found for a missing file, Errc::invalid_file for a malformed one or for tensors
// that are missing or of another shape than config.json says, Errc::unsupported for an architecture
// or an option that has no builder, Errc::invalid_argument for an unknown task.
std::unique_ptr<ir::Model> load_checkpoint(const std::filesystem::path& directory,
                                           const LoadOptions& options = {});

}  // namespace tercel::hub

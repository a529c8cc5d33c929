#pragma once
// The outputs of a model by its task, from what the encoder gives.

#include <initializer_list>
#include <string>

#include "src/hub/models/common.h"

namespace tercel::hub {

// start_logits and end_logits from `layer`, a linear layer of two rows.
void question_answering_head(Net& net, ir::Value* tokens, const std::string& layer, int64_t hidden);

// The heads that most text encoders have under the same names: question answering (`qa_outputs`),
// token classification (`classifier`) and sentence embedding. False when the task is another.
bool common_head(Net& net, ir::Value* tokens, ir::Value* attention_mask, int64_t hidden);

// Throws Errc::unsupported: the architecture has no head for the task.
[[noreturn]] void reject_task(const Net& net);

// logits from `layer`; its rows are the labels. `x` is [batch, sequence, hidden] for token
// classification, [batch, hidden] for the classification of texts and images.
void classification_head(Net& net, ir::Value* x, const std::string& layer, int64_t hidden);

// A linear layer, an activation and a layer norm in front of masked_lm_head.
struct LmTransform {
  std::string dense, norm;
  std::string act;
  double epsilon;
};
ir::Value* lm_transform(Net& net, ir::Value* tokens, const LmTransform& layers, int64_t out,
                        int64_t in);

// The first of these tensors that the checkpoint has: their names differ by age.
std::string first_of(const Net& net, std::initializer_list<std::string> names);

// `embeddings` where config.json ties the output to them, else `decoder`.
std::string lm_matrix(const Net& net, const std::string& embeddings, const std::string& decoder);

// logits over the vocabulary; the matrix may be that of the word embeddings.
void masked_lm_head(Net& net, ir::Value* x, const std::string& weight, const std::string& bias,
                    int64_t vocabulary, int64_t hidden);

// The masked language model that most encoders have: lm_transform, then masked_lm_head with the
// matrix `embeddings` or `part`.decoder.weight (lm_matrix) and `part`.bias or `part`.decoder.bias.
struct LmHead {
  LmTransform transform;
  std::string part;  // "cls.predictions"
  std::string embeddings;
  int64_t vocabulary, width;  // of the matrix
};
void masked_lm(Net& net, ir::Value* tokens, const LmHead& head, int64_t hidden);

// `layer` of the first token, then the activation: [batch, hidden].
ir::Value* pooled_first(Net& net, ir::Value* tokens, const std::string& layer, int64_t hidden,
                        std::string_view act);

// All outputs of BERT and those after it whose linear layer `pooler`, over the first token, stands
// before `classifier`: common_head, texts' labels, masked_lm, the encoder itself.
void pooled_heads(Net& net, ir::Value* tokens, ir::Value* attention_mask, const std::string& pooler,
                  const LmHead& lm, int64_t hidden);

// last_hidden_state, and pooler_output when `pooled` is not null.
void encoder_head(Net& net, ir::Value* tokens, ir::Value* pooled, int64_t hidden);

// sentence_embedding and token_embeddings by modules.json: Pooling (cls, mean, max,
// mean_sqrt_len_tokens, and several side by side), Dense, Normalize. Without modules.json: the mean
// of the tokens, as sentence-transformers does.
void sentence_head(Net& net, ir::Value* tokens, ir::Value* attention_mask, int64_t hidden);

// The mean of the tokens that are not padding: [batch, hidden].
ir::Value* mean_token(Net& net, ir::Value* tokens, ir::Value* attention_mask);

}  // namespace tercel::hub

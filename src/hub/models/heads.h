#pragma once
// The outputs of a model by its task, from what the encoder gives.

#include "src/hub/models/common.h"

namespace tercel::hub {

// start_logits and end_logits from `layer`, a linear layer of two rows.
void question_answering_head(Net& net, ir::Value* tokens, const std::string& layer, int64_t hidden);

// logits from `layer`; its rows are the labels. `x` is
// [batch, sequence, hidden] for token classification, [batch, hidden] for text classification.
void classification_head(Net& net, ir::Value* x, const std::string& layer, int64_t hidden);

// logits over the vocabulary; the matrix may be that of the word embeddings.
void masked_lm_head(Net& net, ir::Value* x, const std::string& weight, const std::string& bias,
                    int64_t vocabulary, int64_t hidden);

// last_hidden_state, and pooler_output when `pooled` is not null.
void encoder_head(Net& net, ir::Value* tokens, ir::Value* pooled, int64_t hidden);

// sentence_embedding and token_embeddings by modules.json: Pooling (cls, mean, max,
// mean_sqrt_len_tokens, and several side by side), Dense, Normalize. Without modules.json: the mean
// of the tokens, as sentence-transformers does.
void sentence_head(Net& net, ir::Value* tokens, ir::Value* attention_mask, int64_t hidden);

}  // namespace tercel::hub

#include "src/hub/models/heads.h"

#include "src/base/fail.h"

namespace tercel::hub {

using ir::Dim;
using ir::Value;

namespace {

Dim batch() { return Dim("batch"); }
Dim sequence() { return Dim("sequence"); }

}  // namespace

void question_answering_head(Net& net, Value* tokens, const std::string& layer, int64_t hidden) {
  Value* logits = net.linear(tokens, layer, 2, hidden);
  ir::Node* split =
      net.b.node("Split", {logits}, 2, {{"axis", int64_t{2}}, {"num_outputs", int64_t{2}}});
  int index = 0;
  for (const char* name : {"start_logits", "end_logits"}) {
    Value* column = net.b.op("Squeeze", {split->output(index++), net.b.ints({2})});
    net.output(name, column, {batch(), sequence()});
  }
}

bool common_head(Net& net, Value* tokens, Value* attention_mask, int64_t hidden) {
  switch (net.checkpoint().task) {
    case Task::question_answering:
      question_answering_head(net, tokens, "qa_outputs", hidden);
      return true;
    case Task::token_classification:
      classification_head(net, tokens, "classifier", hidden);
      return true;
    case Task::sentence_similarity:
      sentence_head(net, tokens, attention_mask, hidden);
      return true;
    default:
      return false;
  }
}

void reject_task(const Net& net) {
  const Checkpoint& checkpoint = net.checkpoint();
  fail(Errc::unsupported, "{}: {} models have no head for {} here", net.config_path(),
       checkpoint.model_type, task_name(checkpoint.task));
}

void classification_head(Net& net, Value* x, const std::string& layer, int64_t hidden) {
  const int64_t labels = net.rows_of(layer + ".weight");
  Value* logits = net.linear(x, layer, labels, hidden);
  if (net.checkpoint().task == Task::token_classification) {
    net.output("logits", logits, {batch(), sequence(), labels});
  } else {
    net.output("logits", logits, {batch(), labels});
  }
}

Value* lm_transform(Net& net, Value* tokens, const LmTransform& layers, int64_t out, int64_t in) {
  Value* x = net.activation(net.linear(tokens, layers.dense, out, in), layers.act);
  return net.layer_norm(x, layers.norm, out, layers.epsilon);
}

std::string first_of(const Net& net, std::initializer_list<std::string> names) {
  for (const std::string& name : names) {
    if (net.has(name)) return name;
  }
  return *names.begin();
}

std::string lm_matrix(const Net& net, const std::string& embeddings, const std::string& decoder) {
  return net.config().boolean_or("tie_word_embeddings", true) ? embeddings : decoder;
}

void masked_lm_head(Net& net, Value* x, const std::string& weight, const std::string& bias,
                    int64_t vocabulary, int64_t hidden) {
  Value* logits = net.linear_of(x, weight, bias, vocabulary, hidden);
  net.output("logits", logits, {batch(), sequence(), vocabulary});
}

void encoder_head(Net& net, Value* tokens, Value* pooled, int64_t hidden) {
  net.output("last_hidden_state", tokens, {batch(), sequence(), hidden});
  if (pooled != nullptr) net.output("pooler_output", pooled, {batch(), hidden});
}

void masked_lm(Net& net, Value* tokens, const LmHead& head, int64_t hidden) {
  Value* x = lm_transform(net, tokens, head.transform, head.width, hidden);
  net.scope(head.part + ".decoder");
  masked_lm_head(net, x, lm_matrix(net, head.embeddings, head.part + ".decoder.weight"),
                 first_of(net, {head.part + ".bias", head.part + ".decoder.bias"}), head.vocabulary,
                 head.width);
}

Value* pooled_first(Net& net, Value* tokens, const std::string& layer, int64_t hidden,
                    std::string_view act) {
  net.scope(layer);
  return net.activation(net.linear(net.first_token(tokens), layer, hidden, hidden), act);
}

void pooled_heads(Net& net, Value* tokens, Value* attention_mask, const std::string& pooler,
                  const LmHead& lm, int64_t hidden) {
  if (common_head(net, tokens, attention_mask, hidden)) return;
  const auto pooled = [&] { return pooled_first(net, tokens, pooler, hidden, "tanh"); };
  switch (net.checkpoint().task) {
    case Task::text_classification:
      return classification_head(net, pooled(), "classifier", hidden);
    case Task::fill_mask:
      return masked_lm(net, tokens, lm, hidden);
    case Task::feature_extraction:
      return encoder_head(net, tokens, net.has(pooler + ".weight") ? pooled() : nullptr, hidden);
    default:
      reject_task(net);
  }
}

}  // namespace tercel::hub

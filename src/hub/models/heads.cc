#include "src/hub/models/heads.h"

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

void classification_head(Net& net, Value* x, const std::string& layer, int64_t hidden) {
  const int64_t labels = net.rows_of(layer + ".weight");
  Value* logits = net.linear(x, layer, labels, hidden);
  if (net.checkpoint().task == Task::token_classification) {
    net.output("logits", logits, {batch(), sequence(), labels});
  } else {
    net.output("logits", logits, {batch(), labels});
  }
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

}  // namespace tercel::hub

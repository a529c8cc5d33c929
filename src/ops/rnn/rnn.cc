#include "src/ops/rnn/rnn.h"

#include "src/ops/definitions.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kRnn[] = {{"activation_alpha", AttributeKind::numbers},
                                 {"activation_beta", AttributeKind::numbers},
                                 {"activations", AttributeKind::strings},
                                 {"clip", AttributeKind::number},
                                 {"direction", AttributeKind::string},
                                 {"hidden_size", AttributeKind::integer},
                                 {"layout", AttributeKind::integer}};
constexpr AttributeDef kGru[] = {
    {"activation_alpha", AttributeKind::numbers}, {"activation_beta", AttributeKind::numbers},
    {"activations", AttributeKind::strings},      {"clip", AttributeKind::number},
    {"direction", AttributeKind::string},         {"hidden_size", AttributeKind::integer},
    {"layout", AttributeKind::integer},           {"linear_before_reset", AttributeKind::integer}};
constexpr AttributeDef kLstm[] = {
    {"activation_alpha", AttributeKind::numbers}, {"activation_beta", AttributeKind::numbers},
    {"activations", AttributeKind::strings},      {"clip", AttributeKind::number},
    {"direction", AttributeKind::string},         {"hidden_size", AttributeKind::integer},
    {"input_forget", AttributeKind::integer},     {"layout", AttributeKind::integer}};

int64_t directions_of(const InferContext& context) {
  const std::string direction = context.node().string_or("direction", "forward");
  if (direction == "bidirectional") return 2;
  if (direction == "forward" || direction == "reverse") return 1;
  context.reject("direction is \"{}\"; expected forward, reverse or bidirectional", direction);
}

// Input `index`, where it is given, has this shape.
void expect(InferContext& context, int index, const ir::Dims& wanted) {
  if (index > 0 && context.dtype(index) != Dtype::i32) require_same_dtype(context, 0, index);
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr) return;
  if (dims->size() != wanted.size())
    context.reject("input {} has rank {}; expected {}", index, dims->size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool clash = (*dims)[i].known() && wanted[i].known() && (*dims)[i] != wanted[i];
    if (clash)
      context.reject("input {} has shape {}; expected {}", index, ir::to_string(*dims),
                     ir::to_string(wanted));
  }
}

// The state, given at the start and at the end.
ir::Dims state_dims(int64_t layout, const ir::Dim& directions, const ir::Dim& batch,
                    const ir::Dim& hidden) {
  return layout == 0 ? ir::Dims{directions, batch, hidden} : ir::Dims{batch, directions, hidden};
}

template <int kGates>
void infer_rnn(InferContext& context) {
  const int64_t layout = context.node().int_or("layout", 0);
  if (layout != 0 && layout != 1) context.reject("layout is {}; expected 0 or 1", layout);
  const ir::Dim directions(directions_of(context));
  expect(context, 0, ir::Dims(3));
  expect(context, 2, ir::Dims(3));
  ir::Dim hidden;
  if (context.dims(2) != nullptr) hidden = context.dims(2)->back();
  const int64_t named = context.node().int_or("hidden_size", -1);
  if (named >= 0) hidden = same_dim(context, hidden, ir::Dim(named), "hidden_size");
  const ir::Dim gates = mul(hidden, ir::Dim(kGates));
  ir::Dim steps;
  ir::Dim batch;
  ir::Dim size;
  if (const ir::Dims* x = context.dims(0)) {
    steps = (*x)[layout == 0 ? 0 : 1];
    batch = (*x)[layout == 0 ? 1 : 0];
    size = (*x)[2];
  }
  const ir::Dims state = state_dims(layout, directions, batch, hidden);
  expect(context, 1, {directions, gates, size});
  expect(context, 2, {directions, gates, hidden});
  expect(context, 3, {directions, mul(gates, ir::Dim(2))});
  if (context.has_input(4) && context.dtype(4) != Dtype::undefined &&
      context.dtype(4) != Dtype::i32)
    context.reject("sequence_lens must be i32; it has {}", to_string(context.dtype(4)));
  expect(context, 4, {batch});
  expect(context, 5, state);
  expect(context, 6, state);
  expect(context, 7, {directions, mul(hidden, ir::Dim(3))});
  const Dtype dtype = context.dtype(0);
  context.set_output(0, dtype,
                     layout == 0 ? ir::Dims{steps, directions, batch, hidden}
                                 : ir::Dims{batch, steps, directions, hidden});
  context.set_output(1, dtype, state);
  context.set_output(2, dtype, state);
}

constexpr OpDef recurrent(std::string_view name, int max_inputs, int max_outputs,
                          std::span<const AttributeDef> attributes, void (*rule)(InferContext&)) {
  return {.name = name,
          .since = 22,
          .compatible_since = 14,
          .min_inputs = 3,
          .max_inputs = max_inputs,
          .min_outputs = 0,
          .max_outputs = max_outputs,
          .attributes = attributes,
          .infer = rule};
}

}  // namespace

constinit const OpDef gru = recurrent("GRU", 6, 2, kGru, infer_rnn<3>);
constinit const OpDef lstm = recurrent("LSTM", 8, 3, kLstm, infer_rnn<4>);
constinit const OpDef rnn = recurrent("RNN", 6, 2, kRnn, infer_rnn<1>);

Family rnn_ops() {
  static constexpr const OpDef* kOps[] = {&gru, &lstm, &rnn};
  return kOps;
}

}  // namespace tercel::ops

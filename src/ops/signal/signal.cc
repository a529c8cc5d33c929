#include "src/ops/signal/signal.h"

#include "src/ops/definitions.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kDft[] = {{"inverse", AttributeKind::integer},
                                 {"onesided", AttributeKind::integer}};
constexpr AttributeDef kStft[] = {{"onesided", AttributeKind::integer}};
constexpr AttributeDef kWindow[] = {{"output_datatype", AttributeKind::integer},
                                    {"periodic", AttributeKind::integer}};
constexpr AttributeDef kMel[] = {{"output_datatype", AttributeKind::integer}};

// The one number of input `index`; nothing when it is left out or not known.
std::optional<int64_t> scalar(const InferContext& context, int index) {
  const auto numbers = context.numbers(index);
  if (!numbers) return std::nullopt;
  if (numbers->size() != 1)
    context.reject("input {} has {} elements; expected 1", index, numbers->size());
  return numbers->front();
}

std::optional<int64_t> positive_scalar(const InferContext& context, int index) {
  const auto value = scalar(context, index);
  if (value && *value < 1) context.reject("input {} is {}; expected 1 or more", index, *value);
  return value;
}

// Of `length` bins, those that are not a mirror of another.
ir::Dim half_of(const ir::Dim& length) {
  return length.known() ? ir::Dim(length.value() / 2 + 1) : ir::Dim();
}

void infer_dft(InferContext& context) {
  const bool inverse = context.node().int_or("inverse", 0) != 0;
  const bool onesided = context.node().int_or("onesided", 0) != 0;
  const auto length = positive_scalar(context, 1);
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  if (x->size() < 2) context.reject("the input has rank {}; expected 2 or more", x->size());
  const ir::Dim& parts = x->back();
  const int64_t most = onesided && !inverse ? 1 : 2;
  if (parts.known() && (parts.value() < 1 || parts.value() > most))
    context.reject("the last dimension is {}; expected {}", parts.value(),
                   most == 1 ? "1 (real), which onesided needs" : "1 (real) or 2 (complex)");
  ir::Dims out = *x;
  out.back() = inverse && onesided ? 1 : 2;
  const auto axis = context.has_input(2) ? scalar(context, 2) : std::optional<int64_t>(-2);
  if (!axis) {
    for (std::size_t d = 0; d + 1 < out.size(); ++d) out[d] = ir::Dim();
    context.set_output(0, context.dtype(0), std::move(out));
    return;
  }
  const auto at = static_cast<std::size_t>(context.axis(*axis, static_cast<int>(x->size())));
  if (at + 1 == x->size()) context.reject("axis {} is that of the complex parts", *axis);
  ir::Dim size;
  if (length)
    size = *length;
  else if (!context.has_input(1) && out[at].known())
    size = default_dft_length(out[at].value(), inverse, onesided);
  else if (!context.has_input(1) && !(inverse && onesided))
    size = out[at];
  if (size.known() && size.value() < 1 && !length && out[at].known() && out[at].value() > 0)
    context.reject("the transform has length {}; expected 1 or more", size.value());
  out[at] = onesided && !inverse ? half_of(size) : size;
  context.set_output(0, context.dtype(0), std::move(out));
}

void infer_stft(InferContext& context) {
  const bool onesided = context.node().int_or("onesided", 1) != 0;
  const auto step = positive_scalar(context, 1);
  auto length = positive_scalar(context, 3);
  const ir::Dims* signal = context.dims(0);
  const ir::Dims* window = context.dims(2);
  if (context.has_input(2)) require_same_dtype(context, 0, 2);
  if (window != nullptr) {
    if (window->size() != 1) context.reject("the window has rank {}; expected 1", window->size());
    const ir::Dim& size = window->front();
    if (size.known() && length && size.value() != *length)
      context.reject("the window has {} elements for a frame of {}", size.value(), *length);
    if (!length && size.known()) length = size.value();
  }
  if (signal == nullptr) {
    context.set_output(0, context.dtype(0), ir::Dims(4));
    return;
  }
  // PyTorch's exporter leaves the last axis of a real signal away.
  if (signal->size() != 2 && signal->size() != 3)
    context.reject("the signal has rank {}; expected 3 (batch, length, 1 or 2), or 2 when real",
                   signal->size());
  const ir::Dim parts = signal->size() == 3 ? signal->back() : ir::Dim(1);
  const int64_t most = onesided ? 1 : 2;
  if (parts.known() && (parts.value() < 1 || parts.value() > most))
    context.reject("the signal's last dimension is {}; expected {}", parts.value(),
                   most == 1 ? "1 (real), which onesided needs" : "1 (real) or 2 (complex)");
  const ir::Dim& samples = (*signal)[1];
  if (!length && !context.has_input(2) && !context.has_input(3) && samples.known())
    length = samples.value();
  ir::Dim frames;
  if (samples.known() && length && step) {
    if (*length > samples.value() || *length < 1)
      context.reject("a frame of {} does not fit a signal of {}", *length, samples.value());
    frames = (samples.value() - *length) / *step + 1;
  }
  const ir::Dim bins = length ? ir::Dim(*length) : ir::Dim();
  context.set_output(0, context.dtype(0),
                     {signal->front(), frames, onesided ? half_of(bins) : bins, ir::Dim(2)});
}

Dtype output_dtype(const InferContext& context) {
  const int64_t value = context.node().int_or("output_datatype", 1);
  const auto dtype = static_cast<Dtype>(value);
  if (bits_of(dtype) == 0) context.reject("output_datatype {} is no numeric type", value);
  return dtype;
}

ir::Dim size_from(InferContext& context, int index) {
  const auto size = scalar(context, index);
  if (size && *size < 0) context.reject("input {} is {}; expected 0 or more", index, *size);
  return size ? ir::Dim(*size) : ir::Dim();
}

void infer_window(InferContext& context) {
  context.set_output(0, output_dtype(context), {size_from(context, 0)});
}

void infer_mel(InferContext& context) {
  context.set_output(0, output_dtype(context),
                     {half_of(size_from(context, 1)), size_from(context, 0)});
}

constexpr OpDef window(std::string_view name) {
  return {.name = name,
          .since = 17,
          .compatible_since = 17,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = kWindow,
          .infer = infer_window};
}

}  // namespace

constinit const OpDef blackman_window = window("BlackmanWindow");
constinit const OpDef hamming_window = window("HammingWindow");
constinit const OpDef hann_window = window("HannWindow");

constinit const OpDef dft{.name = "DFT",
                          .since = 20,
                          .compatible_since = 20,
                          .min_inputs = 1,
                          .max_inputs = 3,
                          .min_outputs = 1,
                          .max_outputs = 1,
                          .attributes = kDft,
                          .infer = infer_dft};

constinit const OpDef mel_weight_matrix{.name = "MelWeightMatrix",
                                        .since = 17,
                                        .compatible_since = 17,
                                        .min_inputs = 5,
                                        .max_inputs = 5,
                                        .min_outputs = 1,
                                        .max_outputs = 1,
                                        .attributes = kMel,
                                        .infer = infer_mel};

constinit const OpDef stft{.name = "STFT",
                           .since = 17,
                           .compatible_since = 17,
                           .min_inputs = 2,
                           .max_inputs = 4,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attributes = kStft,
                           .infer = infer_stft};

Family signal_ops() {
  static constexpr const OpDef* kOps[] = {&blackman_window,   &dft, &hamming_window, &hann_window,
                                          &mel_weight_matrix, &stft};
  return kOps;
}

}  // namespace tercel::ops

#include "src/kernels/cuda/conv_graph.h"

#include <algorithm>
#include <utility>

#include "src/base/fail.h"

namespace tercel::kernels::cuda {

using cudnn::Attribute;
using cudnn::Kind;
using cudnn::Type;

// --- Descriptors ---------------------------------------------------------------------------------

CudnnDescriptor::CudnnDescriptor(Kind kind) {
  cudnn::check(cudnn::library().create_descriptor(kind, &raw_), "cudnnBackendCreateDescriptor");
}
CudnnDescriptor::~CudnnDescriptor() {
  if (raw_ != nullptr) cudnn::library().destroy_descriptor(raw_);
}
CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : raw_(std::exchange(other.raw_, nullptr)) {}

void CudnnDescriptor::set(Attribute attribute, Type type, int64_t count, const void* elements) {
  const auto status = cudnn::library().set_attribute(raw_, attribute, type, count, elements);
  if (status == 0) return;
  fail(Errc::internal, "cudnnBackendSetAttribute {}: {}", static_cast<int>(attribute),
       cudnn::describe(status));
}
void CudnnDescriptor::set(Attribute attribute, const std::vector<int64_t>& values) {
  set(attribute, Type::int64, static_cast<int64_t>(values.size()), values.data());
}
void CudnnDescriptor::set(Attribute attribute, const CudnnDescriptor& value) {
  set(attribute, Type::descriptor, value.raw_);
}
void CudnnDescriptor::finalize() {
  cudnn::check(cudnn::library().finalize(raw_), "cudnnBackendFinalize");
}

namespace {

// Arrays, by which the plan knows them.
enum Id : int64_t { kX = 1, kW, kY, kBias, kResidual, kVirtual };
constexpr int64_t kAlignment = 16;

cudnn::DataType data_type(Dtype type) {
  switch (type) {
    case Dtype::f32:
      return cudnn::DataType::f32;
    case Dtype::f16:
      return cudnn::DataType::f16;
    case Dtype::bf16:
      return cudnn::DataType::bf16;
    default:
      unsupported_type("conv", type);
  }
}

cudnn::PointwiseMode pointwise_mode(Activation activation) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::relu:
      return cudnn::PointwiseMode::relu;
    case Activation::gelu:
      return cudnn::PointwiseMode::gelu;
    case Activation::gelu_tanh:
      return cudnn::PointwiseMode::gelu_tanh;
    case Activation::silu:
      return cudnn::PointwiseMode::swish;
    case Activation::tanh:
      return cudnn::PointwiseMode::tanh;
    case Activation::sigmoid:
      return cudnn::PointwiseMode::sigmoid;
  }
  fail(Errc::internal, "no such activation");
}

// cuDNN's kernels for images and for volumes.
int first_axis(const ConvArgs& args) {
  const ConvAxis& outer = args.axes[0];
  return outer.in == 1 && outer.out == 1 && outer.taps == 1 ? 1 : 0;
}

template <class Of>
std::vector<int64_t> over_axes(const ConvArgs& args, Of of) {
  std::vector<int64_t> values;
  for (int d = first_axis(args); d < kConvAxes; ++d) values.push_back(of(args.axes[d]));
  return values;
}

template <class Of>
std::vector<int64_t> dims_of(const ConvArgs& args, int64_t first, int64_t channels, Of of) {
  std::vector<int64_t> dims = over_axes(args, of);
  dims.insert(dims.begin(), {first, channels});
  return dims;
}

// Of [N, C, …] that lies as [N, …, C].
std::vector<int64_t> channels_last_strides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  int64_t stride = dims[1];
  for (std::size_t d = dims.size() - 1; d >= 2; --d) {
    strides[d] = stride;
    stride *= dims[d];
  }
  strides[0] = stride;
  return strides;
}

}  // namespace

// --- The graph -----------------------------------------------------------------------------------

const CudnnDescriptor& ConvGraph::add_tensor(int64_t id, const std::vector<int64_t>& dims) {
  const bool is_virtual = id >= kVirtual;
  auto& tensor = *parts_.emplace_back(std::make_unique<CudnnDescriptor>(Kind::tensor));
  tensor.set(Attribute::tensor_data_type, Type::data_type,
             data_type(is_virtual ? Dtype::f32 : type_));
  tensor.set(Attribute::tensor_dimensions, dims);
  tensor.set(Attribute::tensor_strides, channels_last_strides(dims));
  tensor.set(Attribute::tensor_unique_id, Type::int64, id);
  tensor.set(Attribute::tensor_alignment, Type::int64, kAlignment);
  tensor.set(Attribute::tensor_is_virtual, Type::boolean, is_virtual);
  tensor.finalize();
  return tensor;
}

void ConvGraph::add_convolution(const ConvArgs& args, const CudnnDescriptor& y) {
  auto& conv = *parts_.emplace_back(std::make_unique<CudnnDescriptor>(Kind::convolution));
  const auto begin = over_axes(args, [](const ConvAxis& axis) { return axis.begin; });
  conv.set(Attribute::convolution_precision, Type::data_type, cudnn::DataType::f32);
  conv.set(Attribute::convolution_mode, Type::convolution_mode,
           cudnn::ConvolutionMode::cross_correlation);
  conv.set(Attribute::convolution_spatial_dims, Type::int64, static_cast<int64_t>(begin.size()));
  conv.set(Attribute::convolution_pre_paddings, begin);
  conv.set(Attribute::convolution_post_paddings, begin);
  conv.set(Attribute::convolution_strides,
           over_axes(args, [](const ConvAxis& axis) { return axis.stride; }));
  conv.set(Attribute::convolution_dilations,
           over_axes(args, [](const ConvAxis& axis) { return axis.dilation; }));
  conv.finalize();

  const auto& x = add_tensor(kX, dims_of(args, args.batch, args.in_channels,
                                         [](const ConvAxis& axis) { return axis.in; }));
  const bool back = args.transposed;
  const int64_t rows = back ? args.in_channels : args.out_channels;
  const int64_t columns = (back ? args.out_channels : args.in_channels) / args.groups;
  const auto& w =
      add_tensor(kW, dims_of(args, rows, columns, [](const ConvAxis& axis) { return axis.taps; }));
  auto& operation = *parts_.emplace_back(std::make_unique<CudnnDescriptor>(
      back ? Kind::convolution_backward_data : Kind::convolution_forward));
  const float one = 1, zero = 0;
  operation.set(back ? Attribute::backward_data_alpha : Attribute::forward_alpha, Type::float32,
                one);
  operation.set(back ? Attribute::backward_data_beta : Attribute::forward_beta, Type::float32,
                zero);
  operation.set(back ? Attribute::backward_data_convolution : Attribute::forward_convolution, conv);
  operation.set(back ? Attribute::backward_data_w : Attribute::forward_w, w);
  operation.set(back ? Attribute::backward_data_dy : Attribute::forward_x, x);
  operation.set(back ? Attribute::backward_data_dx : Attribute::forward_y, y);
  operation.finalize();
  operations_.push_back(operation.get());
}

void ConvGraph::add_pointwise(cudnn::PointwiseMode mode, const CudnnDescriptor& x,
                              const CudnnDescriptor* b, const CudnnDescriptor& y) {
  auto& pointwise = *parts_.emplace_back(std::make_unique<CudnnDescriptor>(Kind::pointwise));
  pointwise.set(Attribute::pointwise_mode, Type::pointwise_mode, mode);
  pointwise.set(Attribute::pointwise_precision, Type::data_type, cudnn::DataType::f32);
  pointwise.finalize();
  auto& operation =
      *parts_.emplace_back(std::make_unique<CudnnDescriptor>(Kind::pointwise_operation));
  operation.set(Attribute::operation_pointwise, pointwise);
  operation.set(Attribute::operation_x, x);
  if (b != nullptr) operation.set(Attribute::operation_b, *b);
  operation.set(Attribute::operation_y, y);
  operation.finalize();
  operations_.push_back(operation.get());
}

ConvGraph::ConvGraph(cudnn::Handle handle, const ConvArgs& args, ConvPart part)
    : handle_(handle), part_(part), type_(args.type), graph_(Kind::operation_graph) {
  struct Step {
    cudnn::PointwiseMode mode;
    int64_t operand;  // 0: none
  };
  std::vector<Step> steps;
  const auto add = [&](const void* operand, Id id) {
    if (operand != nullptr) steps.push_back({cudnn::PointwiseMode::add, id});
  };
  const auto activate = [&](Activation activation) {
    if (activation != Activation::none) steps.push_back({pointwise_mode(activation), 0});
  };
  if (part == ConvPart::all) {
    // Without an activation between them the order is free: cuDNN's compiled kernels know this one.
    const bool residual_first = args.activation == Activation::none;
    if (residual_first) add(args.residual, kResidual);
    add(args.bias, kBias);
    activate(args.activation);
    if (!residual_first) add(args.residual, kResidual);
    activate(args.last);
  }
  const auto dims =
      dims_of(args, args.batch, args.out_channels, [](const ConvAxis& axis) { return axis.out; });
  int64_t next = kVirtual;
  const auto result_of = [&](std::size_t step) -> const CudnnDescriptor& {
    return add_tensor(step == steps.size() ? int64_t{kY} : next++, dims);
  };
  const CudnnDescriptor* value = &result_of(0);
  add_convolution(args, *value);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const CudnnDescriptor* operand = nullptr;
    if (steps[i].operand == kResidual) operand = &add_tensor(kResidual, dims);
    if (steps[i].operand == kBias) {
      std::vector<int64_t> vector(dims.size(), 1);
      vector[1] = args.out_channels;
      operand = &add_tensor(kBias, vector);
    }
    const CudnnDescriptor& result = result_of(i + 1);
    add_pointwise(steps[i].mode, *value, operand, result);
    value = &result;
  }
  graph_.set(Attribute::graph_handle, Type::handle, handle_);
  graph_.set(Attribute::graph_operations, Type::descriptor,
             static_cast<int64_t>(operations_.size()), operations_.data());
  graph_.finalize();
}

// --- Plans ---------------------------------------------------------------------------------------

namespace {

// Those of one mode, the best first; empty when cuDNN has none.
std::vector<CudnnDescriptor> configs_of(const CudnnDescriptor& graph, cudnn::HeuristicsMode mode,
                                        std::string& refusals) {
  const cudnn::Library& library = cudnn::library();
  CudnnDescriptor heuristics(Kind::heuristics);
  heuristics.set(Attribute::heuristics_graph, graph);
  heuristics.set(Attribute::heuristics_mode, Type::heuristics_mode, mode);
  auto status = library.finalize(heuristics.get());
  int64_t count = 0;
  if (status == 0) {
    status = library.get_attribute(heuristics.get(), Attribute::heuristics_results,
                                   Type::descriptor, 0, &count, nullptr);
  }
  std::vector<CudnnDescriptor> configs;
  std::vector<cudnn::RawDescriptor> raw;
  for (int64_t i = 0; i < count && status == 0; ++i)
    raw.push_back(configs.emplace_back(Kind::engine_config).get());
  if (status == 0 && count > 0) {
    status = library.get_attribute(heuristics.get(), Attribute::heuristics_results,
                                   Type::descriptor, count, &count, raw.data());
  }
  if (status != 0) {
    refusals += fmt::format("heuristics: {}; ", cudnn::describe(status));
    return {};
  }
  while (std::ssize(configs) > count) configs.pop_back();
  return configs;
}

struct EngineFacts {
  int64_t index = -1;
  bool exact = false;  // sums in f32, in one order
};

EngineFacts facts_of(const CudnnDescriptor& config, Dtype type) {
  const cudnn::Library& library = cudnn::library();
  const CudnnDescriptor engine(Kind::engine);
  cudnn::RawDescriptor raw = engine.get();
  int64_t count = 0;
  if (library.get_attribute(config.get(), Attribute::config_engine, Type::descriptor, 1, &count,
                            &raw) != 0) {
    return {};
  }
  EngineFacts facts;
  library.get_attribute(engine.get(), Attribute::engine_index, Type::int64, 1, &count,
                        &facts.index);
  const auto notes_of = [&](int64_t wanted, cudnn::NumericalNote* notes) {
    return library.get_attribute(engine.get(), Attribute::engine_numerical_notes,
                                 Type::numerical_note, wanted, &count, notes) == 0;
  };
  count = 0;
  if (!notes_of(0, nullptr)) return facts;
  std::vector<cudnn::NumericalNote> notes(static_cast<std::size_t>(count));
  if (count > 0 && !notes_of(count, notes.data())) return facts;
  const auto has = [&](cudnn::NumericalNote note) {
    return std::find(notes.begin(), notes.end(), note) != notes.end();
  };
  using Note = cudnn::NumericalNote;
  facts.exact =
      !has(Note::nondeterministic) && !has(Note::reduced_precision_reduction) &&
      (type != Dtype::f32 || (!has(Note::tensor_core) && !has(Note::down_convert_inputs)));
  return facts;
}

}  // namespace

std::vector<std::shared_ptr<const ConvGraph::Plan>> ConvGraph::plans(
    const std::shared_ptr<const ConvGraph>& graph, int64_t first, std::size_t most,
    std::size_t scratch, std::string& refusals) {
  std::vector<std::shared_ptr<const Plan>> plans;
  int64_t next = 0;
  for (const auto mode : {cudnn::HeuristicsMode::a, cudnn::HeuristicsMode::fallback}) {
    if (mode == cudnn::HeuristicsMode::fallback && !plans.empty()) break;
    for (CudnnDescriptor& config : configs_of(graph->graph_, mode, refusals)) {
      const int64_t place = next++;
      if (place < first) continue;
      if (plans.size() == most) break;
      const EngineFacts facts = facts_of(config, graph->type_);
      if (!facts.exact) {
        refusals += fmt::format("engine {} is not exact; ", facts.index);
        continue;
      }
      CudnnDescriptor plan(Kind::plan);
      plan.set(Attribute::plan_handle, Type::handle, graph->handle_);
      plan.set(Attribute::plan_config, config);
      const auto status = cudnn::library().finalize(plan.get());
      int64_t workspace = 0, count = 0;
      if (status != 0 || cudnn::library().get_attribute(plan.get(), Attribute::plan_workspace_size,
                                                        Type::int64, 1, &count, &workspace) != 0) {
        refusals += fmt::format("engine {}: {}; ", facts.index, cudnn::describe(status));
        continue;
      }
      if (workspace > static_cast<int64_t>(scratch)) {
        refusals += fmt::format("engine {} wants {} bytes; ", facts.index, workspace);
        continue;
      }
      plans.push_back(std::make_shared<const Plan>(
          Plan{graph, std::move(config), std::move(plan), facts.index, place}));
    }
  }
  return plans;
}

cudnn::Status ConvGraph::run(const Plan& plan, const ConvArgs& args, cudnn::Handle handle) {
  std::vector<int64_t> ids;
  std::vector<const void*> pointers;
  const auto give = [&](Id id, const void* pointer) {
    if (pointer == nullptr) return;
    ids.push_back(id);
    pointers.push_back(pointer);
  };
  give(kX, args.x);
  give(kW, args.w);
  give(kY, args.y);
  if (plan.graph->part_ == ConvPart::all) {
    give(kBias, args.bias);
    give(kResidual, args.residual);
  }
  CudnnDescriptor pack(Kind::variant_pack);
  pack.set(Attribute::pack_unique_ids, ids);
  pack.set(Attribute::pack_pointers, Type::pointer, static_cast<int64_t>(pointers.size()),
           pointers.data());
  pack.set(Attribute::pack_workspace, Type::pointer, args.scratch);
  pack.finalize();
  return cudnn::library().execute(handle, plan.plan.get(), pack.get());
}

}  // namespace tercel::kernels::cuda

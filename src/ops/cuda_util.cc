#include "src/ops/cuda_util.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <mutex>

#include "src/kernels/cuda/choices.h"

namespace tercel::ops {

int element_bytes_of(Dtype dtype) { return bits_of(dtype) / 8; }

cuda::Extents extents(std::span<const int64_t> dims) {
  if (dims.size() > cuda::kMaxRank) {
    fail(Errc::unsupported, "{} dimensions; CUDA kernels take {} at most", dims.size(),
         cuda::kMaxRank);
  }
  cuda::Extents extents;
  extents.rank = static_cast<int>(dims.size());
  for (std::size_t i = 0; i < dims.size(); ++i) extents.at[i] = dims[i];
  return extents;
}

DeviceBroadcast device_broadcast(const Shape& out, std::initializer_list<const Shape*> inputs) {
  const BroadcastLoop loop = broadcast_loop(out, inputs);
  const auto rank = static_cast<std::size_t>(loop.rank);
  DeviceBroadcast result;
  result.dims = extents(std::span(loop.dims).first(rank));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    result.strides[i] = extents(std::span(loop.strides[i]).first(rank));
  return result;
}

Tensor keep(const KernelContext& context, const Tensor& constant, Dtype dtype) {
  Tensor kept = allocate_tensor(dtype, constant.shape(), context.memory, "weights");
  context.uploads->add(kept.data(), dtype, constant.data(), constant.dtype(), constant.size(),
                       context.pool);
  return kept;
}

Tensor keep_stacked(const KernelContext& context, std::span<const Tensor> constants, Dtype dtype) {
  const auto some = std::find_if(constants.begin(), constants.end(), std::mem_fn(&Tensor::defined));
  TERCEL_CHECK(some != constants.end());
  Tensor zeros;
  if (!std::all_of(constants.begin(), constants.end(), std::mem_fn(&Tensor::defined))) {
    zeros = Tensor(Dtype::f32, some->shape());
    std::fill_n(zeros.values<float>().begin(), zeros.size(), 0.0F);
  }
  Shape shape = some->shape();
  shape.insert(shape.begin(), static_cast<int64_t>(constants.size()));
  Tensor kept = allocate_tensor(dtype, shape, context.memory, "weights");
  auto* to = static_cast<std::byte*>(kept.data());
  for (const Tensor& constant : constants) {
    const Tensor& from = constant.defined() ? constant : zeros;
    context.uploads->add(to, dtype, from.data(), from.dtype(), from.size(), context.pool);
    to += bytes_of(dtype, from.size());
  }
  return kept;
}

cuda::Activation to_device(Activation activation) {
  switch (activation) {
    case Activation::none:
      return cuda::Activation::none;
    case Activation::relu:
      return cuda::Activation::relu;
    case Activation::gelu_erf:
      return cuda::Activation::gelu;
    case Activation::gelu_tanh:
      return cuda::Activation::gelu_tanh;
    case Activation::silu:
      return cuda::Activation::silu;
    case Activation::tanh:
      return cuda::Activation::tanh;
    case Activation::sigmoid:
      return cuda::Activation::sigmoid;
  }
  fail(Errc::internal, "no such activation");
}

std::string refuse_unless_float(const KernelContext& context) {
  constexpr std::array kAccepted{Dtype::f32, Dtype::f16, Dtype::bf16};
  return refuse_dtype(kAccepted, context.input_dtype(0));
}

std::string refuse_unless_bytes(const KernelContext& context) {
  const Dtype dtype = context.output_dtype(0);
  return element_bytes_of(dtype) > 0 ? std::string() : fmt::format("moves no {}", to_string(dtype));
}

bool has_constant(const KernelContext& context, int index) {
  return context.node.input(index) == nullptr || context.constant(index) != nullptr;
}

void convert(void* to, Dtype to_type, const void* from, Dtype from_type, int64_t count,
             Stream& stream) {
  cuda::cast({.count = count,
              .from = from,
              .from_type = from_type,
              .to = to,
              .to_type = to_type,
              .finite = true},
             static_cast<cudaStream_t>(stream.native()));
}

namespace {

// One of a kind for each device, for as long as the process lives: the driver may be gone before
// static objects are.
template <class T>
struct PerDevice {
  std::mutex mutex;
  std::map<int, std::unique_ptr<T>> made;
};
template <class T>
PerDevice<T>& per_device() {
  static auto* const kAll = new PerDevice<T>();
  return *kAll;
}

}  // namespace

std::string tuned(Device& device) {
  device.use();
  return cuda::choices_heading() + conv_library(device).save() + gemm_library(device).save();
}

void take_tuned(Device& device, std::string_view text) {
  device.use();
  const std::string heading = cuda::choices_heading();
  if (!text.starts_with(heading)) return;
  text.remove_prefix(heading.size());
  conv_library(device).load(text);
  gemm_library(device).load(text);
}

cuda::GemmLibrary& gemm_library(Device& device) {
  auto& libraries = per_device<cuda::GemmLibrary>();
  const std::lock_guard lock(libraries.mutex);
  auto& library = libraries.made[device.index()];
  if (library == nullptr) {
    device.use();
    library = std::make_unique<cuda::GemmLibrary>();
  }
  return *library;
}

cuda::ConvLibrary& conv_library(Device& device) {
  cuda::GemmLibrary& products = gemm_library(device);
  auto& libraries = per_device<cuda::ConvLibrary>();
  const std::lock_guard lock(libraries.mutex);
  auto& library = libraries.made[device.index()];
  if (library == nullptr) {
    device.use();
    library = std::make_unique<cuda::ConvLibrary>(products);
  }
  return *library;
}

}  // namespace tercel::ops

#pragma once
// cuDNN's graph API, opened at run time: a machine without it still opens the CUDA half. What is
// used of it is declared here, with the numbers of its interface, because its headers come in one
// package with libraries of hundreds of megabytes; conv_cuda_test.cc compares them where a header
// is there. What each descriptor and attribute means: NVIDIA's "cuDNN Backend API" reference.

#include <cstddef>
#include <cstdint>
#include <string>

#include <cuda_runtime_api.h>

namespace tercel::kernels::cuda {

namespace cudnn {

using Handle = struct HandleTag*;
using Status = int;  // 0: success

enum class Kind {
  pointwise = 0,
  convolution = 1,
  engine = 2,
  engine_config = 3,
  heuristics = 4,
  plan = 5,
  convolution_forward = 10,
  convolution_backward_data = 12,
  pointwise_operation = 13,
  operation_graph = 15,
  variant_pack = 16,
  tensor = 17,
};

enum class Attribute {
  pointwise_mode = 0,
  pointwise_precision = 1,
  convolution_precision = 100,
  convolution_mode = 101,
  convolution_dilations = 102,
  convolution_strides = 103,
  convolution_post_paddings = 104,
  convolution_pre_paddings = 105,
  convolution_spatial_dims = 106,
  heuristics_mode = 200,
  heuristics_graph = 201,
  heuristics_results = 202,
  config_engine = 300,
  plan_handle = 400,
  plan_config = 401,
  plan_workspace_size = 402,
  forward_alpha = 700,
  forward_beta = 701,
  forward_convolution = 702,
  forward_w = 703,
  forward_x = 704,
  forward_y = 705,
  backward_data_alpha = 706,
  backward_data_beta = 707,
  backward_data_convolution = 708,
  backward_data_w = 709,
  backward_data_dx = 710,
  backward_data_dy = 711,
  operation_pointwise = 750,
  operation_x = 751,
  operation_b = 752,
  operation_y = 753,
  graph_handle = 800,
  graph_operations = 801,
  tensor_alignment = 900,
  tensor_data_type = 901,
  tensor_dimensions = 902,
  tensor_strides = 903,
  tensor_unique_id = 906,
  tensor_is_virtual = 907,
  pack_unique_ids = 1000,
  pack_pointers = 1001,
  pack_workspace = 1003,
  engine_index = 1301,
  engine_numerical_notes = 1303,
};

enum class Type {
  handle = 0,
  data_type = 1,
  boolean = 2,
  int64 = 3,
  float32 = 4,
  pointer = 6,
  convolution_mode = 7,
  heuristics_mode = 8,
  numerical_note = 11,
  pointwise_mode = 14,
  descriptor = 15,
};

enum class DataType { f32 = 0, f16 = 2, bf16 = 9 };
enum class ConvolutionMode { cross_correlation = 1 };
enum class HeuristicsMode { fallback = 2, a = 3 };
enum class PointwiseMode {
  add = 0,
  relu = 100,
  tanh = 101,
  sigmoid = 102,
  gelu = 104,
  swish = 106,
  gelu_tanh = 107,
};
enum class NumericalNote {
  tensor_core = 0,
  down_convert_inputs = 1,
  reduced_precision_reduction = 2,
  nondeterministic = 4,
};

using RawDescriptor = void*;

struct Library {
  Status (*create)(Handle*);
  Status (*destroy)(Handle);
  Status (*set_stream)(Handle, cudaStream_t);
  std::size_t (*version)();
  const char* (*error_string)(Status);
  void (*last_error)(char* message, std::size_t size);
  Status (*create_descriptor)(Kind, RawDescriptor*);
  Status (*destroy_descriptor)(RawDescriptor);
  Status (*finalize)(RawDescriptor);
  Status (*set_attribute)(RawDescriptor, Attribute, Type, int64_t count, const void* elements);
  Status (*get_attribute)(RawDescriptor, Attribute, Type, int64_t wanted, int64_t* count,
                          void* elements);
  Status (*execute)(Handle, RawDescriptor plan, RawDescriptor variant_pack);
};

// Looks for libcudnn.so.9 where cuBLASLt is looked for (shared_library.h), and in
// ../nvidia/cudnn/lib. Throws Errc::unsupported when it is in none.
const Library& library();

// "CUDNN_STATUS_…: what cuDNN says of it", of this thread's last call.
std::string describe(Status status);
// Throws Errc::internal naming the call.
void check(Status status, const char* call);

}  // namespace cudnn

}  // namespace tercel::kernels::cuda

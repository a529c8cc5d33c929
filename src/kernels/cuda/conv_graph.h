#pragma once
// One convolution in cuDNN's graph API: the graph, and the plans that may run it.

#include <memory>
#include <string>
#include <vector>

#include "src/kernels/cuda/conv.h"
#include "src/kernels/cuda/cudnn.h"

namespace tercel::kernels::cuda {

// Owns a descriptor of cuDNN's.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnn::Kind kind);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor& operator=(CudnnDescriptor&&) = delete;

  cudnn::RawDescriptor get() const { return raw_; }
  // Each throws Errc::internal when cuDNN refuses it.
  void set(cudnn::Attribute attribute, cudnn::Type type, int64_t count, const void* elements);
  void set(cudnn::Attribute attribute, const std::vector<int64_t>& values);
  void set(cudnn::Attribute attribute, const CudnnDescriptor& value);
  template <class Value>
  void set(cudnn::Attribute attribute, cudnn::Type type, const Value& value) {
    set(attribute, type, 1, &value);
  }
  void finalize();

 private:
  cudnn::RawDescriptor raw_ = nullptr;
};

// Which parts of a convolution are in the graph.
enum class ConvPart { product, all };

// Depends on types and sizes, not on the arrays.
class ConvGraph {
 public:
  // With ConvPart::product the rest is left to bias_activation(). Errc::internal when cuDNN refuses
  // to describe it.
  ConvGraph(cudnn::Handle handle, const ConvArgs& args, ConvPart part);

  struct Plan {
    std::shared_ptr<const ConvGraph> graph;
    CudnnDescriptor config;
    CudnnDescriptor plan;
    int64_t engine = 0;
    int64_t place = 0;  // in the list of cuDNN's heuristics
  };
  // At most `most`, in the order of cuDNN's heuristics from place `first` on, each with at most
  // `scratch` bytes: of those that sum in f32, in one order. Empty where cuDNN has none; `refusals`
  // then says why.
  static std::vector<std::shared_ptr<const Plan>> plans(
      const std::shared_ptr<const ConvGraph>& graph, int64_t first, std::size_t most,
      std::size_t scratch, std::string& refusals);
  // `handle` has its stream.
  static cudnn::Status run(const Plan& plan, const ConvArgs& args, cudnn::Handle handle);

  ConvPart part() const { return part_; }

 private:
  const CudnnDescriptor& add_tensor(int64_t id, const std::vector<int64_t>& dims);
  void add_convolution(const ConvArgs& args, const CudnnDescriptor& y);
  void add_pointwise(cudnn::PointwiseMode mode, const CudnnDescriptor& x, const CudnnDescriptor* b,
                     const CudnnDescriptor& y);

  cudnn::Handle handle_;
  ConvPart part_;
  Dtype type_;
  std::vector<std::unique_ptr<CudnnDescriptor>> parts_;  // what the graph refers to
  std::vector<cudnn::RawDescriptor> operations_;
  CudnnDescriptor graph_;
};

}  // namespace tercel::kernels::cuda

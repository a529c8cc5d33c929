#include "src/kernels/cuda/gemm_wgmma.cuh"
#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/tensor_map.h"

namespace tercel::kernels::cuda {
namespace wgmma {
namespace {

template <class In, class T, class S, bool Residual>
void launch_shape(const Maps& maps, const GemmArgs& args, const Scales& scales,
                  cudaStream_t stream) {
  const auto kernel = gemm_wgmma_kernel<In, T, S, Residual>;
  check_cuda(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes),
      "gemm_wgmma");
  const unsigned clusters =
      std::min(Tiles(args, S::kColumns).count, static_cast<unsigned>(multiprocessors() / kCluster));
  launch_clusters_early("gemm_wgmma", kernel, clusters * kCluster, kThreads, S::kSharedBytes,
                        stream, kCluster, maps, args, scales);
}

// use(shape, whether there is a residual)
template <class In, class Use>
void with_shape(const GemmArgs& args, const Use& use) {
  if (args.epilogue.residual != nullptr) return use(WithResidual(), std::true_type());
  if constexpr (sizeof(In) == 2) {
    if (args.epilogue.activation == Activation::none) return use(Wide(), std::false_type());
  }
  use(Deep(), std::false_type());
}

// In: that of A and B.
template <class In>
bool takes(const GemmArgs& args) {
  if (!has_hopper_kernels()) return false;
  if (args.type != Dtype::f16 && args.type != Dtype::bf16) return false;
  const GemmEpilogue& epilogue = args.epilogue;
  if (epilogue.activation != Activation::none && epilogue.activation != Activation::gelu)
    return false;
  if (epilogue.last != Activation::none) return false;
  const auto aligned = [](auto tag, const void* pointer, int64_t row, int64_t batch) {
    using T = typename decltype(tag)::type;
    return packs<T, kPackOf<T>>(pointer, row) && batch % kPackOf<T> == 0;
  };
  // Coordinates, and the number of tiles, have 32 bits.
  constexpr int64_t kMost = int64_t{1} << 30;
  const auto tiles = [](int64_t size) { return size / kRows + 2; };
  const bool small = args.m < kMost && args.n < kMost && args.k < kMost && args.batch < kMost &&
                     tiles(args.m) * tiles(args.n) < kMost / args.batch;
  return small && args.b_transposed && args.k > 0 && args.n % 2 == 0 &&
         aligned(Tag<In>{}, args.a, args.a_row, args.a_batch) &&
         aligned(Tag<In>{}, args.b, args.b_row, args.b_batch) &&
         aligned(Tag<uint16_t>{}, args.c, args.c_row, args.c_batch) &&
         aligned(Tag<uint16_t>{}, epilogue.residual, epilogue.residual_row, args.c_batch);
}

template <class S>
Maps maps_of(const GemmArgs& args, Dtype in) {
  const GemmEpilogue& epilogue = args.epilogue;
  const bool residual = epilogue.residual != nullptr;
  const auto of_c = [&](const void* data, int64_t row) {
    return make_tensor_map({args.type, data, args.batch, args.c_batch, args.m, args.n, row, kRows});
  };
  return {
      make_tensor_map({in, args.a, args.batch, args.a_batch, args.m, args.k, args.a_row, kRows}),
      make_tensor_map({in, args.b, args.batch, args.b_batch, args.n, args.k, args.b_row,
                       S::kColumns / kCluster}),
      of_c(args.c, args.c_row),
      residual ? of_c(epilogue.residual, epilogue.residual_row) : CUtensorMap{}};
}

// `in`: the type of A and B, In.
template <class In, class T>
void launch(const GemmArgs& args, Dtype in, const Scales& scales, cudaStream_t stream) {
  with_shape<In>(args, [&](auto shape, auto residual) {
    using S = decltype(shape);
    launch_shape<In, T, S, decltype(residual)::value>(maps_of<S>(args, in), args, scales, stream);
  });
}

// With the strides that are known of bytes.
GemmArgs spelt_out(const ByteGemmArgs& args) {
  GemmArgs gemm = args.gemm;
  gemm.a_row = gemm.b_row = gemm.k;
  gemm.b_transposed = true;
  gemm.a_batch = 0;
  gemm.b_batch = gemm.n * gemm.k;
  return gemm;
}

}  // namespace
}  // namespace wgmma

bool gemm_wgmma_takes(const GemmArgs& args) { return wgmma::takes<uint16_t>(args); }

bool gemm_wgmma_takes(const ByteGemmArgs& args) {
  return wgmma::takes<uint8_t>(wgmma::spelt_out(args));
}

void gemm_wgmma(const GemmArgs& args, cudaStream_t stream) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  if (args.type == Dtype::f16)
    wgmma::launch<Half, Half>(args, args.type, {}, stream);
  else
    wgmma::launch<Bfloat, Bfloat>(args, args.type, {}, stream);
}

void gemm_wgmma(const ByteGemmArgs& args, cudaStream_t stream) {
  const GemmArgs gemm = wgmma::spelt_out(args);
  if (gemm.m == 0 || gemm.n == 0 || gemm.batch == 0) return;
  const wgmma::Scales scales{args.a_scales, args.b_scales};
  const auto launch = [&](auto in) {
    using In = typename decltype(in)::type;
    if (gemm.type == Dtype::f16)
      wgmma::launch<In, Half>(gemm, args.factors, scales, stream);
    else
      wgmma::launch<In, Bfloat>(gemm, args.factors, scales, stream);
  };
  if (args.factors == Dtype::i8)
    launch(Tag<int8_t>{});
  else
    launch(Tag<wgmma::Fp8>{});
}

}  // namespace tercel::kernels::cuda

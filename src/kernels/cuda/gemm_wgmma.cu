#include "src/kernels/cuda/gemm_wgmma.cuh"
#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/tensor_map.h"

namespace tercel::kernels::cuda {
namespace wgmma {
namespace {

template <class In, class T>
void launch(const Maps& maps, const GemmArgs& args, const Scales& scales, cudaStream_t stream) {
  const auto kernel = gemm_wgmma_kernel<In, T>;
  check_cuda(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
      "gemm_wgmma");
  const unsigned clusters =
      std::min(Tiles(args).count, static_cast<unsigned>(multiprocessors() / kCluster));
  launch_clusters_early("gemm_wgmma", kernel, clusters * kCluster, kThreads, kSharedBytes, stream,
                        kCluster, maps, args, scales);
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
  const auto paired = [](const void* pointer, int64_t stride) {
    return packs<uint16_t, 2>(pointer, stride);
  };
  // Coordinates, and the number of tiles, have 32 bits.
  constexpr int64_t kMost = int64_t{1} << 30;
  const auto tiles = [](int64_t size) { return size / kTile + 2; };
  const bool small = args.m < kMost && args.n < kMost && args.k < kMost && args.batch < kMost &&
                     tiles(args.m) * tiles(args.n) < kMost / args.batch;
  return small && args.b_transposed && args.k > 0 && args.n % 2 == 0 &&
         aligned(Tag<In>{}, args.a, args.a_row, args.a_batch) &&
         aligned(Tag<In>{}, args.b, args.b_row, args.b_batch) &&
         aligned(Tag<uint16_t>{}, args.c, args.c_row, args.c_batch) &&
         paired(epilogue.bias, epilogue.bias_batch) &&
         paired(epilogue.residual, epilogue.residual_row);
}

Maps maps_of(const GemmArgs& args, Dtype in) {
  return {
      make_tensor_map({in, args.a, args.batch, args.a_batch, args.m, args.k, args.a_row, kTile}),
      make_tensor_map(
          {in, args.b, args.batch, args.b_batch, args.n, args.k, args.b_row, kTile / kCluster}),
      make_tensor_map(
          {args.type, args.c, args.batch, args.c_batch, args.m, args.n, args.c_row, kTile})};
}

// With the strides that are known of fp8.
GemmArgs spelt_out(const Fp8GemmArgs& args) {
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

bool gemm_wgmma_takes(const Fp8GemmArgs& args) {
  return wgmma::takes<uint8_t>(wgmma::spelt_out(args));
}

void gemm_wgmma(const GemmArgs& args, cudaStream_t stream) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  const wgmma::Maps maps = wgmma::maps_of(args, args.type);
  if (args.type == Dtype::f16)
    wgmma::launch<Half, Half>(maps, args, {}, stream);
  else
    wgmma::launch<Bfloat, Bfloat>(maps, args, {}, stream);
}

void gemm_wgmma(const Fp8GemmArgs& args, cudaStream_t stream) {
  const GemmArgs gemm = wgmma::spelt_out(args);
  if (gemm.m == 0 || gemm.n == 0 || gemm.batch == 0) return;
  const wgmma::Maps maps = wgmma::maps_of(gemm, Dtype::f8e4m3fn);
  const wgmma::Scales scales{args.a_scales, args.b_scales};
  if (gemm.type == Dtype::f16)
    wgmma::launch<wgmma::Fp8, Half>(maps, gemm, scales, stream);
  else
    wgmma::launch<wgmma::Fp8, Bfloat>(maps, gemm, scales, stream);
}

}  // namespace tercel::kernels::cuda

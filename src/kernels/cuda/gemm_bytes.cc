// Products of bytes, by wgmma, of fp8 also by cuBLASLt.

#include "src/kernels/cuda/gemm_state.h"
#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/race.h"

namespace tercel::kernels::cuda {
namespace {

const void* bytes_behind(const void* from, int64_t bytes) {
  return from == nullptr ? nullptr : static_cast<const char*>(from) + bytes;
}

// Item `i` of a batch by itself, without what comes behind the product.
ByteGemmArgs item_of(const ByteGemmArgs& args, int64_t i) {
  ByteGemmArgs item = args;
  GemmArgs& gemm = item.gemm;
  gemm.b = bytes_behind(gemm.b, i * gemm.n * gemm.k);
  gemm.c = const_cast<void*>(bytes_behind(gemm.c, i * gemm.c_batch * (bits_of(gemm.type) / 8)));
  item.b_scales += i * gemm.n;
  return item;
}

bool run_items(cublasLtHandle_t handle, const ByteGemmArgs& args, const Choice& choice,
               const GemmEpilogue& rest, cudaStream_t stream) {
  for (int64_t i = 0; i < args.gemm.batch; ++i)
    if (!LtProduct(handle, item_of(args, i)).run(choice.algorithm, stream)) return false;
  const bool ends =
      rest.bias == nullptr && rest.residual == nullptr && rest.activation == Activation::none;
  if (!ends) finish_product(args.gemm, rest, stream);
  return true;
}

// cuBLASLt has a pass of its own for any epilogue, and a call for each item.
bool prefers_wgmma(const ByteGemmArgs& args, const LtProduct& product) {
  return (product.has_rest() || args.gemm.batch > 1) && gemm_wgmma_takes(args);
}

bool empty(const ByteGemmArgs& args) {
  return args.gemm.m == 0 || args.gemm.n == 0 || args.gemm.batch == 0;
}

}  // namespace

std::size_t GemmLibrary::scratch(const ByteGemmArgs&) { return kMostScratch; }

void GemmLibrary::gemm_bytes(const ByteGemmArgs& args, cudaStream_t stream) {
  if (compute_capability() != 90)
    fail(Errc::unsupported, "products of {} need compute capability 9.0; this is {}.{}",
         to_string(args.factors), compute_capability() / 10, compute_capability() % 10);
  if (empty(args)) return;
  if (args.factors == Dtype::i8) {
    if (!gemm_wgmma_takes(args))
      fail(Errc::unsupported, "no CUDA kernel of this build takes the product {}x{}x{} of i8",
           args.gemm.m, args.gemm.n, args.gemm.k);
    return gemm_wgmma(args, stream);
  }
  const LtProduct product(state_->handle, args);
  Choice choice;
  const bool known = state_->find(product.key(), choice);
  const bool by_wgmma = known ? choice.engine == Engine::wgmma && gemm_wgmma_takes(args)
                              : prefers_wgmma(args, product);
  if (by_wgmma) return gemm_wgmma(args, stream);
  const auto run = [&] { return run_items(state_->handle, args, choice, product.rest(), stream); };
  if (known && choice.engine == Engine::cublas_lt && run()) return;
  if (!state_->choose_lt(product, choice)) {
    if (gemm_wgmma_takes(args)) return gemm_wgmma(args, stream);
    fail(Errc::unsupported, "cuBLASLt takes no product {}", product.key());
  }
  if (!run()) fail(Errc::internal, "cublasLtMatmul refuses the product {}", product.key());
}

void GemmLibrary::tune(const ByteGemmArgs& args, cudaStream_t stream) {
  if (empty(args) || compute_capability() != 90 || args.factors == Dtype::i8) return;
  const LtProduct product(state_->handle, args);
  if (state_->has_measured(product.key())) return;
  Race<Choice> race(stream);
  const cudaStream_t own = race.stream();
  const auto enter_wgmma = [&] {
    if (gemm_wgmma_takes(args))
      race.enter({.engine = Engine::wgmma}, [&] { return gemm_wgmma(args, own), true; });
  };
  const bool wgmma_first = prefers_wgmma(args, product);
  if (wgmma_first) enter_wgmma();
  for (const auto& algorithm : product.algorithms(kAlgorithms)) {
    const Choice choice{.algorithm = algorithm};
    race.enter(choice,
               [&] { return run_items(state_->handle, args, choice, product.rest(), own); });
  }
  if (!wgmma_first) enter_wgmma();
  if (race.won()) state_->remember(product.key(), race.best());
}

}  // namespace tercel::kernels::cuda

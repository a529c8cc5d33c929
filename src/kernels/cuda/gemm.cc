#include "src/kernels/cuda/gemm.h"

#include <algorithm>

#include "src/kernels/cuda/elementwise.h"
#include "src/kernels/cuda/gemm_narrow.h"
#include "src/kernels/cuda/gemm_state.h"
#include "src/kernels/cuda/gemm_tile.h"
#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/norm.h"
#include "src/kernels/cuda/race.h"

namespace tercel::kernels::cuda {
namespace {

// Tiles fetch their weights while earlier kernels still run, from further away than in a race.
constexpr float kOverlap = 0.85F;

std::size_t partial_bytes(const GemmArgs& args, int splits) {
  return static_cast<std::size_t>(splits) * static_cast<std::size_t>(args.m * args.n) *
         sizeof(float);
}

}  // namespace

void finish_product(const GemmArgs& args, const GemmEpilogue& rest, cudaStream_t stream) {
  for (int64_t i = 0; i < args.batch; ++i) {
    const int64_t element = bits_of(args.type) / 8;
    const int64_t at = i * args.c_batch * element;
    BiasActivationArgs part{args.type,  args.m,
                            args.n,     static_cast<char*>(args.c) + at,
                            args.c_row, static_cast<char*>(args.c) + at,
                            args.c_row, rest};
    if (rest.residual != nullptr)
      part.epilogue.residual = static_cast<const char*>(rest.residual) + at;
    if (rest.bias != nullptr)
      part.epilogue.bias = static_cast<const char*>(rest.bias) + i * rest.bias_batch * element;
    bias_activation(part, stream);
  }
}

GemmLibrary::GemmLibrary() : state_(std::make_unique<State>()) {}
GemmLibrary::~GemmLibrary() = default;

std::string GemmLibrary::save() const { return state_->text("gemm"); }
int GemmLibrary::load(std::string_view text) { return state_->take("gemm", text); }

std::size_t GemmLibrary::scratch(const GemmArgs& args) {
  const double flops = 2.0 * static_cast<double>(args.m) * static_cast<double>(args.n) *
                       static_cast<double>(args.k) * static_cast<double>(args.batch);
  return flops < 1e9 ? kMostScratch / 8 : kMostScratch;
}
std::size_t GemmLibrary::scratch(const GemmNormArgs& args) {
  return std::max(scratch(args.gemm), partial_bytes(args.gemm, gemm_tile_splits(args.gemm)));
}

namespace {

bool takes(Engine engine, const GemmArgs& args) {
  return engine == Engine::tile    ? gemm_tile_takes(args)
         : engine == Engine::wgmma ? gemm_wgmma_takes(args)
                                   : true;
}

// Few enough tiles that cuBLASLt's large ones would leave most of the device idle.
bool prefers_tiles(const GemmArgs& args) {
  if (!gemm_tile_takes(args)) return false;
  const int64_t blocks = (args.m + 63) / 64 * ((args.n + 63) / 64) * args.batch;
  return blocks <= int64_t{2} * multiprocessors() && args.k <= 8192;
}

// Enough tiles to fill the device, and an end that takes a pass of its own behind cuBLASLt.
bool prefers_wgmma(const GemmArgs& args) {
  const int64_t blocks = (args.m + 127) / 128 * ((args.n + 127) / 128) * args.batch;
  return args.epilogue.activation == Activation::gelu && blocks >= multiprocessors() &&
         gemm_wgmma_takes(args);
}

// What an untuned shape runs by.
Engine usual_engine(const GemmArgs& args) {
  return prefers_wgmma(args)   ? Engine::wgmma
         : prefers_tiles(args) ? Engine::tile
                               : Engine::cublas_lt;
}

// How much faster than what runs untuned a choice must be.
float margin_of(const GemmArgs& args) { return prefers_tiles(args) ? kOverlap : kNoise; }

// What cuBLASLt cannot do: an empty K, and a residual in C that an activation comes before.
bool needs_tiles(const GemmArgs& args) {
  const GemmEpilogue& epilogue = args.epilogue;
  const bool aliased = epilogue.residual == args.c && (epilogue.activation != Activation::none ||
                                                       epilogue.last != Activation::none);
  if (aliased && !gemm_tile_takes(args))
    fail(Errc::unsupported, "the CUDA kernel gemm takes no residual in C behind an activation");
  return aliased || (gemm_tile_takes(args) && (args.batch_invariant || args.k == 0));
}

void product_of_nothing(const GemmArgs& args, cudaStream_t stream) {
  if (args.epilogue.residual == args.c)
    fail(Errc::unsupported, "the CUDA kernel gemm takes no residual in C with an empty K");
  const auto element = static_cast<std::size_t>(bits_of(args.type) / 8);
  for (int64_t i = 0; i < args.batch; ++i) {
    check_cuda(
        cudaMemset2DAsync(
            static_cast<char*>(args.c) + static_cast<std::size_t>(i * args.c_batch) * element,
            static_cast<std::size_t>(args.c_row) * element, 0,
            static_cast<std::size_t>(args.n) * element, static_cast<std::size_t>(args.m), stream),
        "cudaMemset2DAsync");
  }
  finish_product(args, args.epilogue, stream);
}

// Item `i` of a batch by itself.
GemmArgs item_of(const GemmArgs& args, int64_t i) {
  const int64_t element = bits_of(args.type) / 8;
  const auto at = [&](const void* from, int64_t stride) -> const void* {
    return from == nullptr ? nullptr : static_cast<const char*>(from) + i * stride * element;
  };
  GemmArgs item = args;
  item.batch = 1;
  item.a = at(args.a, args.a_batch);
  item.b = at(args.b, args.b_batch);
  item.c = const_cast<void*>(at(args.c, args.c_batch));
  item.epilogue.bias = at(args.epilogue.bias, args.epilogue.bias_batch);
  item.epilogue.bias_batch = 0;
  item.epilogue.residual = at(args.epilogue.residual, args.c_batch);
  return item;
}

bool empty(const GemmArgs& args) { return args.m == 0 || args.n == 0 || args.batch == 0; }

}  // namespace

void GemmLibrary::gemm(const GemmArgs& args, cudaStream_t stream) {
  if (empty(args)) return;
  if (gemm_narrow_takes(args)) return gemm_narrow(args, stream);
  if (needs_tiles(args)) return gemm_tile(args, nullptr, 1, stream);
  if (args.k == 0) return product_of_nothing(args, stream);
  if (args.batch_invariant) {
    for (int64_t i = 0; i < args.batch; ++i) {
      const GemmArgs item = item_of(args, i);
      const LtProduct product(state_->handle, item);
      state_->run_first(product, stream);
      if (product.has_rest()) finish_product(item, product.rest(), stream);
    }
    return;
  }
  const LtProduct product(state_->handle, args);
  Choice choice;
  const bool known = state_->find(product.key(), choice) && takes(choice.engine, args);
  const Engine engine = known ? choice.engine : usual_engine(args);
  if (engine == Engine::tile) return gemm_tile(args, nullptr, 1, stream);
  if (engine == Engine::wgmma) return gemm_wgmma(args, stream);
  if (!known && args.batch > 1 && !state_->choose_lt(product, choice)) {
    for (int64_t i = 0; i < args.batch; ++i) gemm(item_of(args, i), stream);
    return;
  }
  state_->run_lt(product, choice, known || args.batch > 1, stream);
  if (product.has_rest()) finish_product(args, product.rest(), stream);
}

void GemmLibrary::tune(const GemmArgs& args, cudaStream_t stream) {
  if (empty(args) || args.k == 0 || gemm_narrow_takes(args) || needs_tiles(args)) return;
  if (args.batch_invariant) return;
  const LtProduct product(state_->handle, args);
  if (state_->has_measured(product.key())) return;
  Race<Choice> race(stream, margin_of(args));
  const cudaStream_t own = race.stream();
  const auto enter = [&](Engine engine) {
    if (engine == Engine::tile)
      race.enter({.engine = engine}, [&] { return gemm_tile(args, nullptr, 1, own), true; });
    if (engine == Engine::wgmma)
      race.enter({.engine = engine}, [&] { return gemm_wgmma(args, own), true; });
    if (engine != Engine::cublas_lt) return;
    for (const auto& algorithm : product.algorithms(kAlgorithms)) {
      race.enter({.engine = engine, .algorithm = algorithm}, [&] {
        if (!product.run(algorithm, own)) return false;
        if (product.has_rest()) finish_product(args, product.rest(), own);
        return true;
      });
    }
  };
  const Engine first = usual_engine(args);
  enter(first);
  for (const Engine engine : {Engine::cublas_lt, Engine::tile, Engine::wgmma})
    if (engine != first && takes(engine, args)) enter(engine);
  if (race.won()) state_->remember(product.key(), race.best());
}

namespace {

NormArgs norm_of(const GemmNormArgs& args) {
  NormArgs norm;
  norm.type = args.gemm.type;
  norm.rms = args.rms;
  norm.rows = args.gemm.m;
  norm.columns = args.gemm.n;
  norm.scale = args.scale;
  norm.shift = args.shift;
  norm.epsilon = args.epsilon;
  norm.y = args.y;
  norm.y_row = args.y_row;
  return norm;
}

// Parts of K into scratch; the norm adds them up, with bias and residual.
void split_gemm_norm(const GemmNormArgs& args, int splits, cudaStream_t stream) {
  auto* partial_sums = static_cast<float*>(args.gemm.scratch);
  gemm_tile(args.gemm, partial_sums, splits, stream);
  NormArgs norm = norm_of(args);
  norm.partial_sums = partial_sums;
  norm.partials = splits;
  norm.bias = args.gemm.epilogue.bias;
  norm.residual = args.gemm.epilogue.residual;
  norm.residual_row = args.gemm.epilogue.residual_row;
  norm.sum = args.gemm.c;
  norm.sum_row = args.gemm.c_row;
  kernels::cuda::norm(norm, stream);
}

// The product with bias and residual, into c or y, and the norm of it.
GemmArgs whole_gemm(const GemmNormArgs& args) {
  GemmArgs gemm = args.gemm;
  if (gemm.c == nullptr) {
    gemm.c = args.y;
    gemm.c_row = args.y_row;
  }
  return gemm;
}

bool may_split(const GemmNormArgs& args, int splits) {
  const GemmArgs gemm = whole_gemm(args);
  return !gemm.batch_invariant && gemm.alpha == 1.0F && gemm.k > 0 && gemm_tile_takes(gemm) &&
         gemm.scratch_bytes >= partial_bytes(gemm, splits);
}

std::string norm_key(const GemmArgs& gemm) {
  return fmt::format("norm {} {}x{}x{} {}", to_string(gemm.type), gemm.m, gemm.n, gemm.k,
                     gemm.b_transposed ? "t" : "n");
}

}  // namespace

void GemmLibrary::gemm_norm(const GemmNormArgs& args, cudaStream_t stream) {
  if (empty(args.gemm)) return;
  const GemmArgs gemm_args = whole_gemm(args);
  Choice choice;
  if (!state_->find(norm_key(gemm_args), choice) && prefers_tiles(gemm_args))
    choice = {.engine = Engine::tile, .splits = gemm_tile_splits(gemm_args)};
  if (choice.engine == Engine::tile && may_split(args, choice.splits))
    return split_gemm_norm(args, choice.splits, stream);
  gemm(gemm_args, stream);
  NormArgs norm = norm_of(args);
  norm.x = gemm_args.c;
  norm.x_row = gemm_args.c_row;
  kernels::cuda::norm(norm, stream);
}

void GemmLibrary::tune(const GemmNormArgs& args, cudaStream_t stream) {
  if (empty(args.gemm) || args.gemm.k == 0 || args.gemm.batch_invariant) return;
  const GemmArgs gemm_args = whole_gemm(args);
  tune(gemm_args, stream);
  if (state_->has_measured(norm_key(gemm_args))) return;
  const bool tiles_first = prefers_tiles(gemm_args);
  const int usual = gemm_tile_splits(gemm_args);
  Race<Choice> race(stream, margin_of(gemm_args));
  const cudaStream_t own = race.stream();
  const auto enter_split = [&](int splits) {
    if (may_split(args, splits))
      race.enter({.engine = Engine::tile, .splits = splits},
                 [&] { return split_gemm_norm(args, splits, own), true; });
  };
  if (tiles_first) enter_split(usual);
  state_->remember(norm_key(gemm_args), {});
  race.enter({}, [&] { return gemm_norm(args, own), true; });
  for (int splits = 1; splits <= 2 * usual; ++splits) enter_split(splits);
  if (race.won()) state_->remember(norm_key(gemm_args), race.best());
}

}  // namespace tercel::kernels::cuda

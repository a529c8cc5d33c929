#include "src/kernels/cuda/conv.h"

#include <algorithm>
#include <mutex>
#include <sstream>
#include <vector>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/kernels/cuda/choices.h"
#include "src/kernels/cuda/conv_graph.h"
#include "src/kernels/cuda/elementwise.h"
#include "src/kernels/cuda/movement.h"
#include "src/kernels/cuda/race.h"

namespace tercel::kernels::cuda {
namespace {

constexpr std::size_t kPlans = 5;  // of cuDNN, that are measured for each graph
constexpr std::size_t kScratch = std::size_t{32} << 20;
constexpr std::size_t kMostScratch = std::size_t{256} << 20;
constexpr int64_t kFewChannels = 4;  // of a group
constexpr std::size_t kScratchUnit = 256;

int64_t pixels(const ConvArgs& args, int64_t ConvAxis::*size) {
  int64_t count = args.batch;
  for (const ConvAxis& axis : args.axes) count = checked_mul(count, axis.*size);
  return count;
}
std::size_t image_bytes(const ConvArgs& args, int64_t channels, int64_t ConvAxis::*size) {
  return bytes_of(args.type, checked_mul(pixels(args, size), channels));
}
bool empty(const ConvArgs& args) {
  return args.out_channels == 0 || pixels(args, &ConvAxis::out) == 0;
}

bool has_epilogue(const ConvArgs& args) {
  return args.bias != nullptr || args.residual != nullptr || args.activation != Activation::none ||
         args.last != Activation::none;
}

GemmEpilogue epilogue_of(const ConvArgs& args) {
  GemmEpilogue epilogue;
  epilogue.bias = args.bias;
  epilogue.activation = args.activation;
  epilogue.residual = args.residual;
  epilogue.residual_row = args.out_channels;
  epilogue.last = args.last;
  return epilogue;
}

int64_t reach(const ConvAxis& axis) { return (axis.taps - 1) * axis.dilation + 1; }

// --- As a matrix product -------------------------------------------------------------------------

bool is_product(const ConvArgs& args) {
  return !args.transposed && args.groups == 1 &&
         std::all_of(std::begin(args.axes), std::end(args.axes), [](const ConvAxis& axis) {
           return axis.taps == 1 && axis.stride == 1 && axis.begin == 0 && axis.in == axis.out;
         });
}

GemmArgs product_of(const ConvArgs& args) {
  GemmArgs product;
  product.type = args.type;
  product.m = pixels(args, &ConvAxis::out);
  product.n = args.out_channels;
  product.k = args.in_channels;
  product.a = args.x;
  product.a_row = args.in_channels;
  product.b = args.w;
  product.b_transposed = true;
  product.b_row = args.in_channels;
  product.b_is_weight = true;
  product.c = args.y;
  product.c_row = args.out_channels;
  product.epilogue = epilogue_of(args);
  product.scratch = args.scratch;
  product.scratch_bytes = std::min(args.scratch_bytes, GemmLibrary::scratch(product));
  return product;
}

// --- By cuDNN ------------------------------------------------------------------------------------

// cuDNN's engines pad both ends of an axis alike. Whether that gives the same outputs.
bool pads_alike(const ConvArgs& args) {
  return std::all_of(std::begin(args.axes), std::end(args.axes), [&](const ConvAxis& axis) {
    const int64_t wide = args.transposed ? axis.out : axis.in;
    const int64_t room = wide + 2 * axis.begin - reach(axis);
    return room >= 0 && axis.begin >= 0 &&
           room / axis.stride + 1 == (args.transposed ? axis.in : axis.out);
  });
}

// The same of an image that lies in the scratch, with exactly what the windows cover.
ConvArgs padded(ConvArgs args) {
  for (ConvAxis& axis : args.axes) {
    axis.in = (axis.out - 1) * axis.stride + reach(axis);
    axis.begin = 0;
  }
  const std::size_t bytes = image_bytes(args, args.in_channels, &ConvAxis::in);
  const std::size_t taken = (bytes + kScratchUnit - 1) / kScratchUnit * kScratchUnit;
  args.x = args.scratch;
  args.scratch = static_cast<char*>(args.scratch) + taken;
  args.scratch_bytes -= std::min(taken, args.scratch_bytes);
  return args;
}

void pad_into(const ConvArgs& from, const ConvArgs& to, cudaStream_t stream) {
  PadArgs pads;
  pads.element_bytes = bits_of(from.type) / 8;
  pads.in_dims = {kConvAxes + 2, {from.batch}};
  pads.out_dims = pads.in_dims;
  pads.before = {kConvAxes + 2, {}};
  for (int d = 0; d < kConvAxes; ++d) {
    pads.in_dims.at[d + 1] = from.axes[d].in;
    pads.out_dims.at[d + 1] = to.axes[d].in;
    pads.before.at[d + 1] = from.axes[d].begin;
  }
  pads.in_dims.at[kConvAxes + 1] = pads.out_dims.at[kConvAxes + 1] = from.in_channels;
  pads.in = from.x;
  pads.out = const_cast<void*>(to.x);
  pad(pads, stream);
}

void add_epilogue(const ConvArgs& args, cudaStream_t stream) {
  BiasActivationArgs rest;
  rest.type = args.type;
  rest.rows = pixels(args, &ConvAxis::out);
  rest.columns = args.out_channels;
  rest.x = rest.y = args.y;
  rest.x_row = rest.y_row = args.out_channels;
  rest.epilogue = epilogue_of(args);
  bias_activation(rest, stream);
}

bool cudnn_takes(const ConvArgs& args) {
  const auto aligned = [](const void* pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
  };
  const bool lies_well = aligned(args.x) && aligned(args.w) && aligned(args.y) &&
                         aligned(args.bias) && aligned(args.residual) && aligned(args.scratch);
  return lies_well && args.in_channels > 0 && pixels(args, &ConvAxis::in) > 0 &&
         (!args.transposed || pads_alike(args));
}

// --- The choice ----------------------------------------------------------------------------------

enum class ConvEngine { direct, gemm, cudnn };  // the numbers are in saved choices

// A plan of cuDNN's, by which another process finds it.
struct PlanName {
  ConvPart part = ConvPart::all;
  int64_t place = 0, engine = 0;
};

struct ConvChoice {
  ConvEngine engine = ConvEngine::direct;
  PlanName name;
  std::shared_ptr<const ConvGraph::Plan> plan;
  std::string refusals;  // why cuDNN has none, with ConvEngine::direct
  bool measured = false;
  bool read = false;  // from a text: it may not fit, and there is no plan yet
};

std::string words_of(const ConvChoice& choice) {
  return fmt::format("{} {} {} {}", static_cast<int>(choice.engine),
                     static_cast<int>(choice.name.part), choice.name.place, choice.name.engine);
}

bool read_words(std::string_view words, ConvChoice& choice) {
  std::istringstream in{std::string(words)};
  int engine = 0, part = 0;
  in >> engine >> part >> choice.name.place >> choice.name.engine;
  choice.engine = static_cast<ConvEngine>(engine);
  choice.name.part = static_cast<ConvPart>(part);
  choice.read = true;
  return in && engine >= 0 && engine <= static_cast<int>(ConvEngine::cudnn) && part >= 0 &&
         part <= static_cast<int>(ConvPart::all);
}

std::string key_of(const ConvArgs& args) {
  std::string key = fmt::format(
      "cuDNN {} {}{} {}x{}x{} groups{} epilogue{},{},{},{} aligned{} scratch{}",
      cudnn::library().version(), to_string(args.type), args.transposed ? " transposed" : "",
      args.batch, args.in_channels, args.out_channels, args.groups, args.bias != nullptr,
      static_cast<int>(args.activation), args.residual != nullptr, static_cast<int>(args.last),
      cudnn_takes(args), args.scratch_bytes);
  for (const ConvAxis& axis : args.axes)
    key += fmt::format(" {},{},{},{},{},{}", axis.in, axis.out, axis.taps, axis.stride,
                       axis.dilation, axis.begin);
  return key;
}

}  // namespace

struct ConvLibrary::State : Choices<ConvChoice> {
  explicit State(GemmLibrary& given) : products(given) {}
  ~State() {
    if (handle != nullptr) cudnn::library().destroy(handle);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void open() {
    const std::lock_guard lock(handle_mutex);
    if (handle == nullptr) cudnn::check(cudnn::library().create(&handle), "cudnnCreate");
  }

  // What may run it, what runs it untuned first; no more than that with `first`.
  std::vector<ConvChoice> candidates(const ConvArgs& args, bool first) const {
    std::vector<ConvChoice> found;
    if (is_product(args)) found.push_back({.engine = ConvEngine::gemm});
    std::string refusals;
    if (cudnn_takes(args) && !(first && !found.empty())) {
      for (const ConvPart part : {ConvPart::all, ConvPart::product}) {
        if (part == ConvPart::product && !has_epilogue(args)) break;
        if (first && !found.empty()) break;
        for (auto& plan : plans(args, part, 0, first ? 1 : kPlans, refusals)) {
          const PlanName name{part, plan->place, plan->engine};
          found.push_back({.engine = ConvEngine::cudnn, .name = name, .plan = std::move(plan)});
        }
      }
    }
    if (found.empty() || (!first && args.in_channels / args.groups <= kFewChannels))
      found.push_back({.engine = ConvEngine::direct, .refusals = std::move(refusals)});
    return found;
  }

  std::vector<std::shared_ptr<const ConvGraph::Plan>> plans(const ConvArgs& args, ConvPart part,
                                                            int64_t first, std::size_t most,
                                                            std::string& refusals) const {
    try {
      const ConvArgs given = pads_alike(args) ? args : padded(args);
      return ConvGraph::plans(std::make_shared<const ConvGraph>(handle, given, part), first, most,
                              given.scratch_bytes, refusals);
    } catch (const Error& error) {  // a graph that cuDNN does not know
      refusals += error.what();
      return {};
    }
  }

  // Whether what a text says can run this; its plan is made.
  bool complete(ConvChoice& choice, const ConvArgs& args) const {
    choice.read = false;
    if (choice.engine != ConvEngine::cudnn)
      return choice.engine == ConvEngine::direct || is_product(args);
    if (!cudnn_takes(args)) return false;
    std::string refusals;
    const auto found = plans(args, choice.name.part, choice.name.place, 1, refusals);
    if (found.empty() || found[0]->place != choice.name.place ||
        found[0]->engine != choice.name.engine)
      return false;
    choice.plan = found[0];
    return true;
  }

  ConvChoice choose(const std::string& key, const ConvArgs& args) {
    ConvChoice choice;
    const bool known = find(key, choice);
    if (known && !choice.read) return choice;
    if (!known || !complete(choice, args)) choice = candidates(args, true).front();
    remember(key, choice);
    return choice;
  }

  // What cuDNN says, if it runs it.
  cudnn::Status run(const ConvChoice& choice, const ConvArgs& args, cudaStream_t stream) {
    if (choice.engine == ConvEngine::gemm) return products.gemm(product_of(args), stream), 0;
    if (choice.engine == ConvEngine::direct) return conv_direct(args, stream), 0;
    ConvArgs given = args;
    if (!pads_alike(args)) {
      given = padded(args);
      pad_into(args, given, stream);
    }
    {
      const std::lock_guard lock(handle_mutex);
      cudnn::check(cudnn::library().set_stream(handle, stream), "cudnnSetStream");
      const auto status = ConvGraph::run(*choice.plan, given, handle);
      if (status != 0) return status;
    }
    if (choice.plan->graph->part() == ConvPart::product && has_epilogue(args))
      add_epilogue(args, stream);
    return 0;
  }

  GemmLibrary& products;
  cudnn::Handle handle = nullptr;
  std::mutex handle_mutex;  // of it, and of its stream
};

ConvLibrary::ConvLibrary(GemmLibrary& products) : state_(std::make_unique<State>(products)) {}
ConvLibrary::~ConvLibrary() = default;

std::size_t ConvLibrary::scratch(const ConvArgs& args) {
  if (empty(args)) return 0;
  std::size_t bytes = kScratch;
  // Engines of f32 may turn the images.
  if (args.type == Dtype::f32) {
    bytes = std::clamp(image_bytes(args, args.in_channels, &ConvAxis::in) +
                           image_bytes(args, args.out_channels, &ConvAxis::out) + kScratch,
                       kScratch, kMostScratch);
  }
  if (is_product(args)) bytes = std::max(bytes, GemmLibrary::scratch(product_of(args)));
  if (!args.transposed && !pads_alike(args)) {
    ConvArgs wide = args;
    for (ConvAxis& axis : wide.axes) axis.in = (axis.out - 1) * axis.stride + reach(axis);
    bytes += image_bytes(wide, wide.in_channels, &ConvAxis::in) + kScratchUnit;
  }
  return bytes;
}

void ConvLibrary::conv(const ConvArgs& args, cudaStream_t stream) {
  if (empty(args)) return;
  state_->open();
  const std::string key = key_of(args);
  const ConvChoice choice = state_->choose(key, args);
  if (const auto status = state_->run(choice, args, stream); status != 0)
    fail(Errc::internal, "cudnnBackendExecute: engine {} refuses the convolution {}: {}",
         choice.plan->engine, key, cudnn::describe(status));
}

void ConvLibrary::tune(const ConvArgs& args, cudaStream_t stream) {
  if (empty(args)) return;
  state_->open();
  const std::string key = key_of(args);
  if (state_->has_measured(key)) return;
  if (is_product(args)) state_->products.tune(product_of(args), stream);
  Race<ConvChoice> race(stream);
  for (const ConvChoice& choice : state_->candidates(args, false))
    race.enter(choice, [&] { return state_->run(choice, args, race.stream()) == 0; });
  if (race.won()) state_->remember(key, race.best());
}

std::string ConvLibrary::choice(const ConvArgs& args) const {
  ConvChoice choice;
  if (!state_->find(key_of(args), choice)) return "none yet";
  if (choice.engine == ConvEngine::gemm) return "gemm";
  if (choice.engine == ConvEngine::direct) return "direct " + choice.refusals;
  return fmt::format("cudnn {} {}, engine {}", cudnn::library().version(),
                     choice.name.part == ConvPart::all ? "fused" : "plain", choice.name.engine);
}

std::string ConvLibrary::save() const { return state_->text("conv"); }
int ConvLibrary::load(std::string_view text) { return state_->take("conv", text); }

}  // namespace tercel::kernels::cuda

#include "src/session/options.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/numa.h"

namespace tercel {

CpuIsa choose_isa(const std::string& wanted) {
  if (wanted.empty()) return best_cpu_isa();
  const CpuIsa isa = parse_cpu_isa(wanted);
  if (!cpu_has(isa)) {
    fail(Errc::unsupported, "this CPU has no {}; its best is {}", wanted,
         to_string(best_cpu_isa()));
  }
  return isa;
}

bool multiplies_bytes(CpuIsa isa) { return isa == CpuIsa::avx2_vnni || isa >= CpuIsa::avx512_vnni; }

void check_options(const SessionOptions& options) {
  constexpr std::array kDtypes{Dtype::f32, Dtype::f16,      Dtype::bf16,     Dtype::i8,
                               Dtype::i4,  Dtype::f8e4m3fn, Dtype::undefined};
  if (std::find(kDtypes.begin(), kDtypes.end(), options.dtype) == kDtypes.end()) {
    fail(Errc::invalid_argument,
         "dtype {} cannot be chosen for a session; choose f32, f16, bf16, int8, int4, f8e4m3fn or "
         "auto",
         to_string(options.dtype));
  }
  if (!(options.least_cosine <= 1)) {
    fail(Errc::invalid_argument, "least_cosine = {}: expected a number of at most 1",
         options.least_cosine);
  }
  if (!options.placement.empty() && options.placement != "auto") {
    fail(Errc::invalid_argument, "placement = \"{}\": expected \"auto\", or nothing",
         options.placement);
  }
  constexpr int kMaxThreads = 1024;
  if (options.threads < 0 || options.threads > kMaxThreads) {
    fail(Errc::invalid_argument, "threads = {}: expected 0 (all that the process may use) to {}",
         options.threads, kMaxThreads);
  }
  const CpuList allowed = options.cpus.empty() ? CpuList() : allowed_cpus();
  for (const int cpu : options.cpus) {
    if (std::find(allowed.begin(), allowed.end(), cpu) != allowed.end()) continue;
    fail(Errc::invalid_argument, "cpus: the process may not run on CPU {}; it may on {}", cpu,
         fmt::join(allowed, ", "));
  }
}

std::vector<std::string> device_list(const std::string& devices) {
  std::vector<std::string> entries;
  for (std::size_t begin = 0; begin <= devices.size();) {
    const std::size_t end = std::min(devices.find(',', begin), devices.size());
    entries.push_back(devices.substr(begin, end - begin));
    if (entries.back().empty()) {
      fail(Errc::invalid_argument,
           "devices = \"{}\": an entry is empty; expected a list such as \"cpu,cpu\"", devices);
    }
    begin = end + 1;
  }
  return entries;
}

std::vector<std::string> chosen_gpus(const SessionOptions& options) {
  std::vector<std::string> names = device_list(options.devices);
  if (options.placement.empty() && names.size() > 1) {
    fail(Errc::invalid_argument,
         "devices = \"{}\": a session runs on one device, or with placement = auto on several GPUs "
         "and the CPU; tercel::Replicas runs a model on each",
         options.devices);
  }
  if (names.back() == "cpu") names.pop_back();
  std::vector<std::string> gpus;
  for (const std::string& name : names) {
    const Device& device = find_device(name);
    if (device.kind() == DeviceKind::cpu) {
      fail(Errc::invalid_argument,
           "devices = \"{}\": the CPU comes last and once, since it takes the layers that the GPUs "
           "have no room for",
           options.devices);
    }
    if (std::find(gpus.begin(), gpus.end(), device.name()) != gpus.end()) {
      fail(Errc::invalid_argument,
           "devices = \"{}\": {} is there twice; layers are spread over different devices",
           options.devices, device.name());
    }
    gpus.push_back(device.name());
  }
  return gpus;
}

namespace {

void check_for_gpus(const SessionOptions& options) {
  if (options.dtype == Dtype::i4 || options.dtype == Dtype::undefined) {
    fail(Errc::unsupported,
         "devices = {}: dtype {} is for the CPU; choose f32, f16, bf16, f8e4m3fn or int8",
         options.devices, options.dtype == Dtype::i4 ? "int4" : "auto");
  }
  if (options.deterministic && options.dtype != Dtype::f16 && options.dtype != Dtype::bf16) {
    fail(Errc::unsupported,
         "devices = {}: deterministic is for dtype f16 and bf16 on a GPU, not for {}; choose one "
         "of them, or devices = cpu",
         options.devices, to_string(options.dtype));
  }
}

}  // namespace

std::vector<std::shared_ptr<runtime::Accelerator>> open_accelerators(
    const SessionOptions& options) {
  const std::vector<std::string> gpus = chosen_gpus(options);
  if (!gpus.empty()) check_for_gpus(options);
  if (gpus.empty() && options.dtype == Dtype::f8e4m3fn) {
    fail(
        Errc::unsupported,
        "devices = {}: dtype f8e4m3fn is for GPUs of compute capability 9.0 (Hopper); choose int8, "
        "bf16, f16, f32 or auto, or devices = cuda",
        options.devices);
  }
  std::vector<std::shared_ptr<runtime::Accelerator>> opened;
  for (const std::string& gpu : gpus) {
    opened.push_back(std::make_shared<runtime::Accelerator>(gpu, options.memory_limit,
                                                            options.dtype, options.deterministic));
  }
  return opened;
}

WeightTypes types_of_weights(Dtype chosen, bool on_cpu) {
  if (!on_cpu && bits_of(chosen) == 8) return {Dtype::f16, Dtype::undefined, {}};
  if (is_integer(chosen)) return {Dtype::f32, chosen, {}};
  return {chosen, Dtype::undefined, {}};
}

}  // namespace tercel

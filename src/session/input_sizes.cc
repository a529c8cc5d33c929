#include "src/session/input_sizes.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace tercel {
namespace {

int64_t usual_sequence(const ir::Model& model) {
  constexpr int64_t kUsual = 128;
  for (const auto& [key, value] : model.metadata) {
    if (key != "tercel.max_length") continue;
    int64_t limit = 0;
    std::from_chars(value.data(), value.data() + value.size(), limit);
    if (limit > 0) return std::min(limit, kUsual);
  }
  return kUsual;
}

std::vector<ir::Type> sized_inputs(const ir::Model& model, const InputSizes& sizes,
                                   int64_t sequence, std::map<std::string, int64_t>& chosen) {
  std::vector<ir::Type> types;
  for (const ir::Value* input : model.graph.inputs()) {
    ir::Type type = input->type;
    for (std::size_t i = 0; type.dims && i < type.dims->size(); ++i) {
      ir::Dim& dim = (*type.dims)[i];
      if (!dim.symbolic()) continue;
      const std::string& symbol = dim.symbol();
      const auto given = sizes.named.find(symbol);
      int64_t size = i == 0 || symbol.find("batch") != std::string::npos ? sizes.batch : 1;
      if (symbol.find("seq") != std::string::npos) size = sequence;
      if (given != sizes.named.end()) size = given->second;
      chosen[symbol] = size;
      dim = size;
    }
    types.push_back(std::move(type));
  }
  return types;
}

}  // namespace

std::string SizedFacts::text() const {
  std::string text;
  for (const auto& [name, size] : chosen)
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, size);
  return text;
}

// A table of positions may be shorter than the usual sequence, which is halved until the graph
// takes it.
SizedFacts infer_sized(const ir::Model& model, const InputSizes& sizes) {
  SizedFacts sized;
  sized.sequence = sizes.sequence > 0 ? sizes.sequence : usual_sequence(model);
  for (;; sized.sequence /= 2) {
    const auto types = sized_inputs(model, sizes, sized.sequence, sized.chosen);
    try {
      sized.facts = ops::infer(model.graph, types, &model);
      return sized;
    } catch (const Error&) {
      if (sizes.sequence > 0 || sized.sequence <= 1) throw;
    }
  }
}

}  // namespace tercel

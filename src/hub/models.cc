#include "src/hub/models.h"

#include "src/base/fail.h"

namespace tercel::hub {

void build_bert(Net& net);
void build_distilbert(Net& net);

namespace {

constexpr Architecture kArchitectures[] = {
    {"bert", "Bert", build_bert},
    {"distilbert", "DistilBert", build_distilbert},
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

const Architecture& find_architecture(const Checkpoint& checkpoint) {
  std::string known;
  for (const Architecture& row : kArchitectures) {
    if (checkpoint.model_type.empty() ? checkpoint.architecture.starts_with(row.class_name)
                                      : checkpoint.model_type == row.model_type) {
      return row;
    }
    known += (known.empty() ? "" : ", ") + std::string(row.model_type);
  }
  fail(Errc::unsupported, "{}: \"model_type\" is \"{}\"{}; supported are {}",
       (checkpoint.directory / "config.json").string(), checkpoint.model_type,
       checkpoint.architecture.empty() ? "" : fmt::format(" ({})", checkpoint.architecture), known);
}

}  // namespace tercel::hub

#include "src/hub/models.h"

#include "src/base/fail.h"

namespace tercel::hub {

void build_albert(Net& net);
void build_bert(Net& net);
void build_clip_text(Net& net);
void build_deberta_v2(Net& net);
void build_distilbert(Net& net);
void build_electra(Net& net);
void build_modernbert(Net& net);
void build_mpnet(Net& net);
void build_nomic_bert(Net& net);
void build_roberta(Net& net);
void build_vit(Net& net);

namespace {

constexpr Architecture kArchitectures[] = {
    {"bert", "Bert", build_bert},
    {"distilbert", "DistilBert", build_distilbert},
    {"roberta", "Roberta", build_roberta},
    {"xlm-roberta", "XLMRoberta", build_roberta},
    {"camembert", "Camembert", build_roberta},
    {"albert", "Albert", build_albert},
    {"electra", "Electra", build_electra},
    {"mpnet", "MPNet", build_mpnet},
    {"deberta-v2", "DebertaV2", build_deberta_v2},
    {"modernbert", "ModernBert", build_modernbert},
    {"nomic_bert", "NomicBert", build_nomic_bert},
    {"vit", "ViT", build_vit},
    {"clip", "CLIP", build_clip_text},
    {"clip_text_model", "CLIPText", build_clip_text},
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
  fail(
      Errc::unsupported,
      "{}: \"model_type\" is \"{}\"{}; supported are {}. Of another architecture, export the model "
      "to ONNX (with Optimum or torch.onnx) and load that file",
      (checkpoint.directory / "config.json").string(), checkpoint.model_type,
      checkpoint.architecture.empty() ? "" : fmt::format(" ({})", checkpoint.architecture), known);
}

}  // namespace tercel::hub

#include "src/base/json.h"
#include "tercel/tasks.h"

namespace tercel::tasks {

SquadData read_squad(const std::filesystem::path& path) {
  const auto document = JsonDocument::open(path);
  SquadData data;
  document.root()["data"].for_each([&](const Json& article) {
    article["paragraphs"].for_each([&](const Json& paragraph) {
      data.contexts.emplace_back(paragraph["context"].string());
      paragraph["qas"].for_each([&](const Json& entry) {
        SquadQuestion& question = data.questions.emplace_back();
        question.id = entry["id"].string();
        question.question = entry["question"].string();
        question.context = data.contexts.size() - 1;
        entry["answers"].for_each(
            [&](const Json& answer) { question.answers.emplace_back(answer["text"].string()); });
      });
    });
  });
  return data;
}

}  // namespace tercel::tasks

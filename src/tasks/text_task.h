#pragma once
// What the record tasks of text have in common: their batches are a TextModel's.

#include <string>
#include <utility>
#include <vector>

#include "src/tasks/record_task.h"
#include "src/tasks/text_model.h"

namespace tercel::tasks {

class TextTask : public RecordTask {
 public:
  TextTask(const std::filesystem::path& model, const PredictOptions& options,
           std::vector<std::string> fields)
      : model_(model, options.session), fields_(std::move(fields)) {
    fields_.push_back(options.id_field);
    fields_.insert(fields_.end(), options.keep.begin(), options.keep.end());
  }

  const Replicas& replicas() const override { return model_.replicas(); }
  std::vector<std::string> fields() const override { return fields_; }
  data::BatchRule batch_rule(int batch_size) const override {
    return model_.batch_rule(batch_size);
  }
  data::Collate collate() const override { return model_.collate(); }
  std::vector<Tensor> run(const Session& session, const NamedTensors& inputs, std::size_t rows,
                          const RunOptions& options) const override {
    return model_.run_batch(session, inputs, rows, outputs(), options);
  }

 protected:
  virtual const std::vector<std::string>& outputs() const = 0;
  const TextModel& model() const { return model_; }

 private:
  TextModel model_;
  std::vector<std::string> fields_;
};

// An example that owns its row.
data::Example owning_example(TokenRow row);

}  // namespace tercel::tasks

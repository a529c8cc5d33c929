#include "src/runtime/program.h"

#include "src/runtime/compiler.h"

namespace tercel::runtime {

Program::Program(std::unique_ptr<ir::Model> model, const ProgramOptions& options, ThreadPool& pool,
                 Allocator& memory)
    : model_(std::move(model)) {
  accelerator_ = options.accelerator;
  ops::forget_declared_shapes(model_->graph);
  Compiler(*this, options, pool, memory).compile();
}

int Program::slot(const ir::Value* value) {
  const auto [found, added] = slots_.emplace(value, num_slots());
  if (added) add_slot(value, false);
  return found->second;
}

int Program::add_slot(const ir::Value* value, bool on_device) {
  values_.push_back(value);
  constants_.emplace_back();
  on_device_.push_back(on_device);
  return num_slots() - 1;
}

std::size_t Program::constant_bytes() const {
  std::size_t bytes = 0;
  for (const Tensor& constant : constants_) bytes += constant.defined() ? constant.bytes() : 0;
  return bytes;
}

namespace {

void explain_step(const Step& step, const std::string& device, const std::string& output,
                  std::string& text) {
  std::string operators;
  for (const ir::Node* node : step.nodes) {
    if (!operators.empty()) operators += " + ";
    if (!node->domain().empty()) operators += node->domain() + ".";
    operators += node->op_type();
  }
  if (step.transfer != Transfer::none) operators = "(transfer)";
  const std::string where = step.on_device ? device + " " : "";
  text += fmt::format("{:<44} {:<28} {}\n", operators, where + step.implementation, output);
  for (const std::string& refusal : step.refusals) text += "    refused " + refusal + "\n";
}

}  // namespace

std::string Program::explain() const {
  const std::string device = accelerator_ != nullptr ? accelerator_->device().name() : "";
  std::string text;
  for (const auto* steps : {&sizing_, &steps_}) {
    for (const Step& step : *steps) {
      const int output = step.outputs.empty() ? -1 : step.outputs.front();
      explain_step(step, device, output >= 0 ? value(output)->name() : "", text);
    }
  }
  return text;
}

}  // namespace tercel::runtime

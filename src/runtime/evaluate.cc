#include "src/runtime/evaluate.h"

#include "src/ir/place.h"
#include "src/ops/cpu_text.h"
#include "src/ops/op_def.h"
#include "src/runtime/allocate.h"

namespace tercel::runtime {

namespace {

std::vector<Tensor> evaluated(const ir::Node& node, const std::vector<Tensor>& inputs, CpuIsa isa,
                              ThreadPool& pool, Allocator& memory) {
  ops::Facts facts;
  std::vector<Shape> input_shapes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value* value = node.input(static_cast<int>(i));
    if (value != nullptr) facts.learn(value, inputs[i]);
    input_shapes.push_back(inputs[i].shape());
  }
  ops::infer_node(node, facts, nullptr);
  const auto choice = ops::choose_cpu_kernel({node, facts, isa, pool, memory, Dtype::f32, {}});

  std::vector<Tensor> outputs(static_cast<std::size_t>(node.num_outputs()));
  std::vector<Shape> output_shapes(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ir::Value* value = node.output(static_cast<int>(i));
    if (value == nullptr || choice.kernel->allocates_outputs()) continue;
    outputs[i] = allocate_output(*node.output(static_cast<int>(i)), facts, memory);
    output_shapes[i] = outputs[i].shape();
  }
  if (all_empty(outputs)) return outputs;
  const std::size_t bytes = choice.kernel->workspace(input_shapes, output_shapes, pool.size());
  const auto workspace = bytes > 0 ? memory.allocate(bytes, "workspace") : nullptr;
  ops::run_kernel(*choice.kernel,
                  {inputs, outputs, workspace ? workspace->data() : nullptr, pool, memory});
  return outputs;
}

}  // namespace

std::vector<Tensor> evaluate(const ir::Node& node, const std::vector<Tensor>& inputs, CpuIsa isa,
                             ThreadPool& pool, Allocator& memory) {
  return ir::at_node(node, [&] { return evaluated(node, inputs, isa, pool, memory); });
}

}  // namespace tercel::runtime

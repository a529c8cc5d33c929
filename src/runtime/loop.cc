// Loop and Scan: the body once an iteration.

#include <algorithm>
#include <limits>

#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"
#include "src/ops/tensor/move_cpu.h"
#include "src/runtime/body.h"
#include "src/runtime/stack.h"

namespace tercel::runtime {
namespace {

int64_t trip_count(const Tensor& tensor, const std::string& label) {
  if (tensor.dtype() != Dtype::i64 || tensor.size() != 1) {
    fail(Errc::invalid_argument, "{} the trip count is {} {}; expected one i64", label,
         to_string(tensor.dtype()), to_string(tensor.shape()));
  }
  return tensor.values<int64_t>()[0];
}

bool flag(const Tensor& tensor, const std::string& label) {
  if (tensor.dtype() != Dtype::boolean || tensor.size() != 1) {
    fail(Errc::invalid_argument, "{} the condition is {} {}; expected one bool", label,
         to_string(tensor.dtype()), to_string(tensor.shape()));
  }
  return tensor.values<bool>()[0];
}

// A value that goes from one iteration to the next. Before the first it lies in memory that is the
// caller's.
Tensor kept(const Tensor& value, bool own, Allocator& memory) {
  return own || !value.defined() ? value : ops::copy_tensor(value, memory, "Loop");
}

std::vector<Stack> make_stacks(const std::string& label, std::size_t count, Allocator& memory) {
  std::vector<Stack> stacks;
  for (std::size_t i = 0; i < count; ++i)
    stacks.emplace_back(fmt::format("{} scan output {}", label, i), memory);
  return stacks;
}

class LoopKernel final : public ops::TextKernel {
 public:
  LoopKernel(const ir::Node& node, Body body)
      : label_(node.label()),
        counts_(node.input(0) != nullptr),
        conditional_(node.input(1) != nullptr),
        carried_(static_cast<std::size_t>(std::max(node.num_inputs() - 2, 0))),
        body_(std::move(body)) {}

  bool allocates_outputs() const override { return true; }

  void run(const ops::KernelRun& run) const override {
    const int64_t trips =
        counts_ ? trip_count(run.inputs[0], label_) : std::numeric_limits<int64_t>::max();
    bool going = !conditional_ || flag(run.inputs[1], label_);
    std::vector<Tensor> carried;
    for (std::size_t i = 0; i < carried_; ++i) carried.push_back(run.inputs[2 + i]);
    const std::size_t scanned = body_.num_outputs() - 1 - carried_;
    std::vector<Stack> stacks = make_stacks(label_, scanned, run.memory);
    int64_t done = 0;
    for (; going && done < trips; ++done) {
      run.limits.check();
      std::vector<Tensor> inputs{Tensor::scalar(done), Tensor::scalar(going)};
      std::move(carried.begin(), carried.end(), std::back_inserter(inputs));
      std::vector<Tensor> results = body_.run(std::move(inputs), run);
      going = flag(results[0], label_);
      const auto first_scanned = results.begin() + 1 + static_cast<std::ptrdiff_t>(carried_);
      std::move(results.begin() + 1, first_scanned, carried.begin());
      for (std::size_t i = 0; i < scanned; ++i) stacks[i].add(results[1 + carried_ + i]);
    }
    std::vector<ir::Type> types(body_.num_outputs());
    if (done == 0 && scanned > 0) types = types_of_first(carried, run);
    for (std::size_t i = 0; i < carried_; ++i)
      run.outputs[i] = kept(carried[i], done > 0, run.memory);
    for (std::size_t i = 0; i < scanned; ++i)
      run.outputs[carried_ + i] = stacks[i].finish(types[1 + carried_ + i], 0, false, run.pool);
  }

 private:
  std::vector<ir::Type> types_of_first(const std::vector<Tensor>& carried,
                                       const ops::KernelRun& run) const {
    std::vector<ir::Type> own{ir::Type::tensor(Dtype::i64, {}),
                              ir::Type::tensor(Dtype::boolean, {})};
    for (const Tensor& value : carried) own.push_back(type_of(value));
    return body_.infer(own, run);
  }

  std::string label_;
  bool counts_;
  bool conditional_;
  std::size_t carried_;
  Body body_;
};

// How one scan input or output lies.
struct Direction {
  int64_t axis = 0;
  bool reversed = false;
};

std::vector<Direction> directions(const ir::Node& node, const char* axes_name,
                                  const char* reversed_name, std::size_t count) {
  const auto axes = node.ints_or(axes_name, std::vector<int64_t>(count, 0));
  const auto reversed = node.ints_or(reversed_name, std::vector<int64_t>(count, 0));
  if (axes.size() != count || reversed.size() != count) {
    fail(Errc::invalid_file, "{} attributes \"{}\" and \"{}\": expected {} numbers", node.label(),
         axes_name, reversed_name, count);
  }
  std::vector<Direction> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = {axes[i], reversed[i] != 0};
  return all;
}

class ScanKernel final : public ops::TextKernel {
 public:
  ScanKernel(const ir::Node& node, Body body)
      : label_(node.label()),
        states_(static_cast<std::size_t>(node.num_inputs() - node.int_or("num_scan_inputs", 0))),
        inputs_(directions(node, "scan_input_axes", "scan_input_directions",
                           static_cast<std::size_t>(node.num_inputs()) - states_)),
        outputs_(directions(node, "scan_output_axes", "scan_output_directions",
                            body.num_outputs() - states_)),
        body_(std::move(body)) {}

  bool allocates_outputs() const override { return true; }

  void run(const ops::KernelRun& run) const override {
    std::vector<Tensor> states(run.inputs.begin(),
                               run.inputs.begin() + static_cast<std::ptrdiff_t>(states_));
    const std::vector<Direction> lines = resolved(run);
    const int64_t length = length_of(run, lines);
    std::vector<Stack> stacks = make_stacks(label_, outputs_.size(), run.memory);
    for (Stack& stack : stacks) stack.reserve(length);
    for (int64_t i = 0; i < length; ++i) {
      run.limits.check();
      std::vector<Tensor> inputs = std::move(states);
      for (std::size_t k = 0; k < lines.size(); ++k) {
        const int64_t at = lines[k].reversed ? length - 1 - i : i;
        inputs.push_back(take_item(run.inputs[states_ + k], lines[k].axis, at, run));
      }
      std::vector<Tensor> results = body_.run(std::move(inputs), run);
      for (std::size_t k = 0; k < stacks.size(); ++k) stacks[k].add(results[states_ + k]);
      results.resize(states_);
      states = std::move(results);
    }
    std::vector<ir::Type> types(body_.num_outputs());
    if (length == 0) types = types_of_first(states, lines, run);
    for (std::size_t i = 0; i < states_; ++i)
      run.outputs[i] = kept(states[i], length > 0, run.memory);
    for (std::size_t i = 0; i < stacks.size(); ++i) {
      run.outputs[states_ + i] =
          stacks[i].finish(types[states_ + i], outputs_[i].axis, outputs_[i].reversed, run.pool);
    }
  }

 private:
  std::vector<ir::Type> types_of_first(const std::vector<Tensor>& states,
                                       const std::vector<Direction>& lines,
                                       const ops::KernelRun& run) const {
    std::vector<ir::Type> own;
    for (const Tensor& state : states) own.push_back(type_of(state));
    for (std::size_t k = 0; k < lines.size(); ++k) {
      own.push_back(type_of(run.inputs[states_ + k]));
      own.back().dims->erase(own.back().dims->begin() + static_cast<std::ptrdiff_t>(lines[k].axis));
    }
    return body_.infer(own, run);
  }

  // With axes counted from the front.
  std::vector<Direction> resolved(const ops::KernelRun& run) const {
    std::vector<Direction> lines = inputs_;
    for (std::size_t k = 0; k < lines.size(); ++k) {
      const Tensor& input = run.inputs[states_ + k];
      if (ops::element_bytes(input.dtype()) == 0) {
        fail(Errc::unsupported, "{} input {}: values of type {} cannot be scanned", label_,
             states_ + k, to_string(input.dtype()));
      }
      const int64_t rank = input.rank();
      if (lines[k].axis < 0) lines[k].axis += rank;
      if (lines[k].axis < 0 || lines[k].axis >= rank) {
        fail(Errc::invalid_file, "{} input {}: axis {} is out of range for rank {}", label_,
             states_ + k, inputs_[k].axis, rank);
      }
    }
    return lines;
  }

  int64_t length_of(const ops::KernelRun& run, const std::vector<Direction>& lines) const {
    int64_t length = 0;
    for (std::size_t k = 0; k < lines.size(); ++k) {
      const auto axis = static_cast<std::size_t>(lines[k].axis);
      const int64_t own = run.inputs[states_ + k].shape()[axis];
      if (k > 0 && own != length) {
        fail(Errc::invalid_argument, "{} scans inputs of {} and of {} items; they must agree",
             label_, length, own);
      }
      length = own;
    }
    return length;
  }

  std::string label_;
  std::size_t states_;
  std::vector<Direction> inputs_;
  std::vector<Direction> outputs_;
  Body body_;
};

}  // namespace

std::unique_ptr<ops::CpuKernel> make_loop(const ir::Node& node, Body body) {
  return std::make_unique<LoopKernel>(node, std::move(body));
}

std::unique_ptr<ops::CpuKernel> make_scan(const ir::Node& node, Body body) {
  return std::make_unique<ScanKernel>(node, std::move(body));
}

}  // namespace tercel::runtime

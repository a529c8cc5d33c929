#pragma once
// Makes a program's steps: which nodes run together, by which kernel, and on which side.

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/runtime/layout.h"
#include "src/runtime/lookups.h"
#include "src/runtime/placement.h"
#include "src/runtime/program.h"

namespace tercel::runtime {

class Program::Compiler {
 public:
  Compiler(Program& program, const ProgramOptions& options, ThreadPool& pool, Allocator& memory);
  void compile();

 private:
  void cut_sizing_steps();
  bool may_give_sizes(const ir::Node& node) const;
  void find_what_goes_together();
  void compile_nodes();
  void drop_unread_constants();

  void add_step(const ir::Node& node);
  void add_subgraphs(Step step, const ir::Node& node);
  void add_group(const FusedGroup& group);
  void add_together(const std::vector<FusedGroup>& groups);
  void add_lookups(const LookupGroup& group);

  // Whether a kernel of the place where the node would run takes all of this.
  bool takes(const ops::KernelContext& context) const;
  bool choose(Step& step, const ops::KernelContext& context) const;
  bool choose_on_device(Step& step, const ops::KernelContext& context) const;
  static void choose_on_cpu(Step& step, const ops::KernelContext& context);
  bool says_shapes(const ir::Node& node) const;
  void require_device(const Step& step, const ir::Node& node) const;

  // Of a node, with all that is computed with it up to `output`, where it would run.
  ops::KernelContext wanted(const ir::Node& node, const ops::Epilogue& epilogue,
                            const ir::Value* output) const;
  ops::KernelContext device_context(const ir::Node& node, const ops::Epilogue& epilogue,
                                    const ir::Value* output) const;
  ops::KernelContext context(const ir::Node& node, const ops::Epilogue& epilogue,
                             const ir::Value* output) const;
  ops::KernelContext context(const ir::Node& node, const ops::Epilogue& epilogue,
                             ops::Layouts layouts = {}) const;
  ops::Layouts layouts(const ir::Node& node, const ir::Value* output) const;
  ops::Rounding rounding(const ir::Node& node, const ir::Value* output) const;

  Program& program_;
  ir::Graph& graph_;
  const ProgramOptions& options_;
  ThreadPool& pool_;
  Allocator& memory_;
  ops::Facts facts_;
  Placement placement_;
  std::unordered_map<const ir::Node*, FusedGroup> groups_;
  ValueSet channels_last_;
  std::unordered_map<const ir::Node*, const ir::Node*> last_of_group_;
  std::unordered_map<const ir::Node*, LookupGroup> lookups_;  // by their last node
  std::unordered_set<const ir::Node*> grouped_;               // in groups, and so not alone
  std::unordered_map<const ir::Node*, std::vector<FusedGroup>> together_;  // by their first node
  std::unordered_set<const ir::Node*> done_;  // in steps of several groups
  std::unordered_set<const ir::Node*> cut_;   // sizing steps
};

}  // namespace tercel::runtime

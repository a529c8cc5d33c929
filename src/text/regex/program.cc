#include "src/text/regex/program.h"

#include <limits>

#include "src/base/fail.h"

namespace tercel::text {
namespace {

using Kind = RegexNode::Kind;
using Op = Instruction::Op;

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kAccept = 0;  // the first instruction
constexpr std::size_t kMaxWork = 64 * kMaxInstructions;

// Where to go on: which of two places depends on whether anything was consumed since the loop
// around began its iteration. Outside loops they are one.
struct Continuation {
  uint32_t on_nothing;
  uint32_t on_some;
  Continuation after_some() const { return {on_some, on_some}; }
  bool is_one() const { return on_nothing == on_some; }
};

class Compiler {
 public:
  explicit Compiler(Program& program) : program_(program) {}

  uint32_t compile(const RegexNode& node, Continuation then);
  uint32_t emit(Instruction instruction) {
    if (program_.code.size() == kMaxInstructions) too_large();
    program_.code.push_back(instruction);
    return static_cast<uint32_t>(program_.code.size() - 1);
  }

 private:
  [[noreturn]] static void too_large() {
    fail(Errc::unsupported,
         "a regular expression needs more than {} instructions: use smaller "
         "numbers of repetitions, and fewer loops inside loops",
         kMaxInstructions);
  }
  // A choice that prefers to go on at `first`, or, lazy, at `second`.
  static Instruction split(uint32_t first, uint32_t second, bool lazy) {
    return {Op::split, false, 0, lazy ? second : first, lazy ? first : second};
  }
  uint32_t compile_sequence(const RegexNode& node, Continuation then);
  uint32_t compile_repeat(const RegexNode& node, Continuation then);
  Continuation compile_both(const RegexNode& node, Continuation then) {
    const uint32_t some = compile(node, then.after_some());
    return {then.is_one() || !node.nullable ? some : compile(node, then), some};
  }

  Program& program_;
  std::size_t work_ = 0;
};

uint32_t Compiler::compile(const RegexNode& node, Continuation then) {
  if (++work_ > kMaxWork) too_large();
  if (!node.nullable) then = then.after_some();
  switch (node.kind) {
    case Kind::empty:
      return then.on_nothing;
    case Kind::one_of:
      return emit({Op::character, false, node.set, then.on_some, 0});
    case Kind::sequence:
      return compile_sequence(node, then);
    case Kind::choice: {
      uint32_t entry = compile(node.parts.back(), then);
      for (std::size_t i = node.parts.size() - 1; i > 0; --i) {
        entry = emit(split(compile(node.parts[i - 1], then), entry, false));
      }
      return entry;
    }
    case Kind::repeat:
      return compile_repeat(node, then);
    case Kind::look_ahead: {
      const uint32_t inner = compile(node.parts.front(), {kAccept, kAccept});
      return emit({Op::look_ahead, node.negated, 0, then.on_nothing, inner});
    }
    case Kind::look_behind:
      return emit({Op::look_behind, node.negated, node.set, then.on_nothing, 0});
  }
  return kNone;
}

uint32_t Compiler::compile_sequence(const RegexNode& node, Continuation then) {
  // From the first part on that must consume, something has been consumed for certain.
  std::size_t certain = 0;
  while (certain < node.parts.size() && node.parts[certain].nullable) ++certain;
  for (std::size_t i = node.parts.size(); i-- > 0;) {
    if (i >= certain) {
      const uint32_t entry = compile(node.parts[i], then.after_some());
      then = {entry, entry};
    } else {
      then = i == 0 ? Continuation{compile(node.parts[i], then), then.on_some}
                    : compile_both(node.parts[i], then);
    }
  }
  return then.on_nothing;
}

uint32_t Compiler::compile_repeat(const RegexNode& node, Continuation then) {
  const RegexNode& child = node.parts.front();
  Continuation entry = then;
  uint32_t copies = node.min;
  if (node.max == RegexNode::kUnbounded) {
    const uint32_t loop = emit({Op::split});
    const uint32_t again = compile(child, {then.on_some, loop});
    program_.code[loop] = split(again, then.on_some, node.lazy);
    const bool is_again = then.is_one() || !child.nullable;
    const uint32_t once = is_again ? again : compile(child, {then.on_nothing, loop});
    if (node.min > 0) {
      --copies;
      entry = {once, again};
    } else {
      entry = {then.is_one() ? loop : emit(split(once, then.on_nothing, node.lazy)), loop};
    }
  } else {
    for (uint32_t i = node.min; i < node.max; ++i) {
      const Continuation more = compile_both(child, entry);
      const uint32_t some = emit(split(more.on_some, then.on_some, node.lazy));
      entry = {then.is_one() ? some : emit(split(more.on_nothing, then.on_nothing, node.lazy)),
               some};
    }
  }
  for (; copies > 0; --copies) entry = compile_both(child, entry);
  return entry.on_nothing;
}

// The instructions that `instruction` leads to without a character.
std::vector<uint32_t> leads_to(const Instruction& instruction) {
  switch (instruction.op) {
    case Op::accept:
    case Op::character:
      return {};
    case Op::look_behind:
      return {instruction.next};
    case Op::split:
    case Op::look_ahead:
      return {instruction.next, instruction.other};
  }
  return {};
}

std::vector<uint32_t> evaluation_order(const std::vector<Instruction>& code) {
  struct Visit {
    uint32_t instruction;
    bool is_last;
  };
  std::vector<uint32_t> order;
  std::vector<bool> seen(code.size());
  std::vector<Visit> stack;
  for (uint32_t root = 0; root < code.size(); ++root) {
    stack.push_back({root, false});
    while (!stack.empty()) {
      const Visit visit = stack.back();
      stack.pop_back();
      if (visit.is_last) {
        order.push_back(visit.instruction);
        continue;
      }
      if (seen[visit.instruction]) continue;
      seen[visit.instruction] = true;
      stack.push_back({visit.instruction, true});
      for (const uint32_t next : leads_to(code[visit.instruction])) {
        if (!seen[next]) stack.push_back({next, false});
      }
    }
  }
  return order;
}

void number_entries(Program& program) {
  program.entry_of.assign(program.code.size(), kNone);
  const auto number = [&](uint32_t instruction) {
    if (program.entry_of[instruction] == kNone) {
      program.entry_of[instruction] = static_cast<uint32_t>(program.entries.size());
      program.entries.push_back(instruction);
    }
    return program.entry_of[instruction];
  };
  program.start_entry = number(program.start);
  for (const uint32_t index : program.characters) number(program.code[index].next);
}

}  // namespace

Program compile_regex(const ParsedRegex& regex) {
  Program program;
  Compiler compiler(program);
  compiler.emit({Op::accept});
  program.start = compiler.compile(regex.root, {kAccept, kAccept});
  program.classes = ClassMap(regex.sets);
  program.order = evaluation_order(program.code);
  for (uint32_t i = 0; i < program.code.size(); ++i) {
    if (program.code[i].op == Op::character) program.characters.push_back(i);
  }
  number_entries(program);
  return program;
}

}  // namespace tercel::text

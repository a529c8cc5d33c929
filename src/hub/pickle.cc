#include "src/hub/pickle.h"

#include <unordered_map>
#include <utility>

#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/hub/pickle_globals.h"

namespace tercel::hub {
namespace {

using Kind = PickledObject::Kind;

// Over 400 lines: one machine, whose opcodes share its stack, marks and memo.

// A large checkpoint has some thousand tensors of about 30 objects each.
constexpr std::size_t kMaxObjects = 1'000'000;
constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxSteps = 10'000'000;
constexpr std::size_t kMaxPickledRank = 64;
constexpr std::size_t kMaxNameShown = 200;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& source, std::size_t begin)
      : bytes_(bytes), source_(source), begin_(begin) {}

  Pickle run();

 private:
  template <class... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Errc::invalid_file, "{}: pickle byte {}: {}", source_, begin_ + step_at_,
         fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Errc::unsupported, "{}: pickle byte {}: {}", source_, begin_ + step_at_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  std::string_view take(uint64_t count);
  uint64_t take_unsigned(std::size_t width);
  int64_t take_signed(std::size_t width);
  std::string_view take_line();

  uint32_t add(PickledObject object);
  void push(uint32_t object);
  void push_new(PickledObject object) { push(add(std::move(object))); }
  uint32_t pop();
  uint32_t top() const;
  std::vector<uint32_t> pop_to_mark();
  PickledObject& at(uint32_t object) { return result_.objects[object]; }
  const PickledObject& expect(uint32_t object, Kind kind, std::string_view what) const;
  std::vector<int64_t> integers(uint32_t object, std::string_view what) const;

  bool step(uint8_t opcode);  // false: the pickle ends
  bool plain_value(uint8_t opcode);
  bool container(uint8_t opcode);
  bool memo(uint8_t opcode);
  bool call(uint8_t opcode);

  void push_integer(uint64_t width);
  void push_string(Kind kind, uint64_t length);
  void push_tuple(std::size_t count);
  void append(uint32_t target, const std::vector<uint32_t>& items);
  void set_items(uint32_t target, const std::vector<uint32_t>& items);
  void store(uint64_t index);
  void load(uint64_t index);
  void push_global(std::string_view module, std::string_view name);
  void reduce();
  void build();
  void push_storage();
  void push_tensor(const std::vector<uint32_t>& arguments);

  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t begin_;
  std::size_t at_ = 0;
  std::size_t step_at_ = 0;
  Pickle result_;
  std::vector<uint32_t> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<uint64_t, uint32_t> memo_;
};

std::string_view Machine::take(uint64_t count) {
  if (count > bytes_.size() - at_) {
    reject("wants {} bytes, but {} follow; the file is cut off or damaged", count,
           bytes_.size() - at_);
  }
  const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_,
                               static_cast<std::size_t>(count));
  at_ += taken.size();
  return taken;
}

uint64_t Machine::take_unsigned(std::size_t width) {
  const std::string_view bytes = take(width);
  uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return value;
}

int64_t Machine::take_signed(std::size_t width) {
  if (width == 0) return 0;
  const auto shift = static_cast<int>(64 - 8 * width);
  return static_cast<int64_t>(take_unsigned(width) << shift) >> shift;
}

std::string_view Machine::take_line() {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_,
                              bytes_.size() - at_);
  const auto end = rest.find('\n');
  if (end == rest.npos) reject("expected a name that ends with its line");
  at_ += end + 1;
  return rest.substr(0, end);
}

uint32_t Machine::add(PickledObject object) {
  if (result_.objects.size() >= kMaxObjects) reject("has more than {} objects", kMaxObjects);
  result_.objects.push_back(std::move(object));
  return static_cast<uint32_t>(result_.objects.size() - 1);
}

void Machine::push(uint32_t object) {
  if (stack_.size() >= kMaxObjects) reject("has more than {} objects on its stack", kMaxObjects);
  stack_.push_back(object);
}

uint32_t Machine::top() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) reject("expected an object before");
  return stack_.back();
}

uint32_t Machine::pop() {
  const uint32_t object = top();
  stack_.pop_back();
  return object;
}

std::vector<uint32_t> Machine::pop_to_mark() {
  if (marks_.empty()) reject("expected a mark before");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<uint32_t> items(from, stack_.end());
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return items;
}

const PickledObject& Machine::expect(uint32_t object, Kind kind, std::string_view what) const {
  const PickledObject& found = result_.objects[object];
  if (found.kind != kind) reject("expected {}", what);
  return found;
}

std::vector<int64_t> Machine::integers(uint32_t object, std::string_view what) const {
  const auto& items = expect(object, Kind::tuple, what).items;
  if (items.size() > kMaxPickledRank) reject("expected {}, at most {}", what, kMaxPickledRank);
  std::vector<int64_t> values;
  for (const uint32_t item : items) {
    values.push_back(expect(item, Kind::integer, what).number);
    if (values.back() < 0) reject("expected {}, none negative", what);
  }
  return values;
}

// Opcodes are named as in pickletools.

bool Machine::plain_value(uint8_t opcode) {
  switch (opcode) {
    case 'N':  // NONE
      return push_new({}), true;
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      return push_new({.kind = Kind::boolean, .number = opcode == 0x88 ? 1 : 0}), true;
    case 'J':  // BININT
      return push_new({.kind = Kind::integer, .number = take_signed(4)}), true;
    case 'K':  // BININT1
      return push_new({.kind = Kind::integer, .number = int64_t(take_unsigned(1))}), true;
    case 'M':  // BININT2
      return push_new({.kind = Kind::integer, .number = int64_t(take_unsigned(2))}), true;
    case 0x8a:  // LONG1
      return push_integer(take_unsigned(1)), true;
    case 0x8b:  // LONG4
      return push_integer(take_unsigned(4)), true;
    case 'G':  // BINFLOAT
      return take(8), push_new({.kind = Kind::real}), true;
    case 'U':   // SHORT_BINSTRING
    case 0x8c:  // SHORT_BINUNICODE
      return push_string(Kind::string, take_unsigned(1)), true;
    case 'T':  // BINSTRING
    case 'X':  // BINUNICODE
      return push_string(Kind::string, take_unsigned(4)), true;
    case 0x8d:  // BINUNICODE8
      return push_string(Kind::string, take_unsigned(8)), true;
    case 'C':  // SHORT_BINBYTES
      return push_string(Kind::bytes, take_unsigned(1)), true;
    case 'B':  // BINBYTES
      return push_string(Kind::bytes, take_unsigned(4)), true;
    case 0x8e:  // BINBYTES8
      return push_string(Kind::bytes, take_unsigned(8)), true;
    default:
      return false;
  }
}

void Machine::push_integer(uint64_t width) {
  if (width <= 8) {
    push_new({.kind = Kind::integer, .number = take_signed(static_cast<std::size_t>(width))});
  } else {
    push_new({.kind = Kind::big_integer, .text = take(width)});
  }
}

void Machine::push_string(Kind kind, uint64_t length) {
  const std::string_view text = take(length);
  if (kind == Kind::string && !is_utf8(text)) {
    reject("expected a string in UTF-8");
  }
  push_new({.kind = kind, .text = text});
}

bool Machine::container(uint8_t opcode) {
  switch (opcode) {
    case '(':  // MARK
      if (marks_.size() >= kMaxObjects) reject("has more than {} marks", kMaxObjects);
      return marks_.push_back(stack_.size()), true;
    case '0':  // POP
      return pop(), true;
    case '1':  // POP_MARK
      return pop_to_mark(), true;
    case '2':  // DUP
      return push(top()), true;
    case ')':  // EMPTY_TUPLE
      return push_tuple(0), true;
    case 0x85:  // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
      return push_tuple(static_cast<std::size_t>(opcode - 0x84)), true;
    case 't':  // TUPLE
      return push_new({.kind = Kind::tuple, .items = pop_to_mark()}), true;
    case ']':  // EMPTY_LIST
      return push_new({.kind = Kind::list}), true;
    case 'l':  // LIST
      return push_new({.kind = Kind::list, .items = pop_to_mark()}), true;
    case '}':  // EMPTY_DICT
      return push_new({.kind = Kind::dict}), true;
    case 'a': {  // APPEND
      const uint32_t item = pop();
      return append(top(), {item}), true;
    }
    case 'e': {  // APPENDS
      const auto items = pop_to_mark();
      return append(top(), items), true;
    }
    case 's': {  // SETITEM
      const uint32_t value = pop();
      const uint32_t key = pop();
      return set_items(top(), {key, value}), true;
    }
    case 'u': {  // SETITEMS
      const auto items = pop_to_mark();
      return set_items(top(), items), true;
    }
    case 'd': {  // DICT
      const auto items = pop_to_mark();
      push_new({.kind = Kind::dict});
      return set_items(top(), items), true;
    }
    default:
      return false;
  }
}

void Machine::push_tuple(std::size_t count) {
  std::vector<uint32_t> items(count);
  for (std::size_t i = count; i > 0; --i) items[i - 1] = pop();
  push_new({.kind = Kind::tuple, .items = std::move(items)});
}

void Machine::append(uint32_t target, const std::vector<uint32_t>& items) {
  expect(target, Kind::list, "a list before what is appended to it");
  auto& list = at(target).items;
  list.insert(list.end(), items.begin(), items.end());
}

void Machine::set_items(uint32_t target, const std::vector<uint32_t>& items) {
  expect(target, Kind::dict, "a dictionary before its items");
  if (items.size() % 2 != 0) reject("expected as many keys as values");
  auto& dict = at(target).items;
  dict.insert(dict.end(), items.begin(), items.end());
}

bool Machine::memo(uint8_t opcode) {
  switch (opcode) {
    case 'q':  // BINPUT
      return store(take_unsigned(1)), true;
    case 'r':  // LONG_BINPUT
      return store(take_unsigned(4)), true;
    case 0x94:  // MEMOIZE
      return store(memo_.size()), true;
    case 'h':  // BINGET
      return load(take_unsigned(1)), true;
    case 'j':  // LONG_BINGET
      return load(take_unsigned(4)), true;
    default:
      return false;
  }
}

void Machine::store(uint64_t index) {
  if (memo_.size() >= kMaxObjects) reject("remembers more than {} objects", kMaxObjects);
  memo_[index] = top();
}

void Machine::load(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) reject("recalls object {}, which was not remembered", index);
  push(found->second);
}

bool Machine::call(uint8_t opcode) {
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string_view module = take_line();
      return push_global(module, take_line()), true;
    }
    case 0x93: {  // STACK_GLOBAL
      const uint32_t name = pop();
      const uint32_t module = pop();
      const std::string_view text = expect(name, Kind::string, "the name of a global").text;
      return push_global(expect(module, Kind::string, "the module of a global").text, text), true;
    }
    case 'i': {  // INST
      const std::string_view module = take_line();
      push_global(module, take_line());
      refuse("makes an object of protocol 0; save it again with protocol 2 or newer");
    }
    case 'R':  // REDUCE
      return reduce(), true;
    case 'b':  // BUILD
      return build(), true;
    case 'Q':  // BINPERSID
      return push_storage(), true;
    default:
      return false;
  }
}

void Machine::push_global(std::string_view module, std::string_view name) {
  const auto row = find_pickle_global(module, name);
  if (!row) {
    std::string full =
        fmt::format("{}.{}", module.substr(0, kMaxNameShown), name.substr(0, kMaxNameShown));
    if (!is_utf8(full)) full = "a name that is not UTF-8";
    refuse(
        "refers to \"{}\"; a checkpoint may hold only tensors in dictionaries, lists and tuples, "
        "and nothing in it is run; save the model's state_dict as safetensors",
        full);
  }
  push_new({.kind = Kind::global, .number = *row});
}

void Machine::reduce() {
  const uint32_t arguments_at = pop();
  const uint32_t callable = pop();
  const auto row = expect(callable, Kind::global, "the name of what is called").number;
  const auto& arguments = expect(arguments_at, Kind::tuple, "a tuple of arguments").items;
  const PickleGlobal& global = pickle_global(row);
  switch (global.role) {
    case GlobalRole::ordered_dict:
      if (!arguments.empty()) reject("expected OrderedDict without arguments");
      return push_new({.kind = Kind::dict});
    case GlobalRole::rebuild_tensor:
      return push_tensor(arguments);
    case GlobalRole::rebuild_parameter:
      if (arguments.empty()) reject("expected a parameter's tensor");
      expect(arguments[0], Kind::tensor, "a parameter's tensor");
      return push(arguments[0]);
    case GlobalRole::size:
      if (arguments.size() != 1) reject("expected the dimensions of a torch.Size");
      expect(arguments[0], Kind::tuple, "the dimensions of a torch.Size");
      return push(arguments[0]);
    case GlobalRole::device:
      return push_new({.kind = Kind::opaque});
    case GlobalRole::dtype:
    case GlobalRole::storage:
      refuse("calls \"{}.{}\", which only a tensor may refer to", global.module, global.name);
  }
}

// A state_dict is an OrderedDict with an attribute, the versions of its modules: of no use here.
void Machine::build() {
  pop();
  expect(top(), Kind::dict, "a dictionary before its attributes; only those may have some");
}

void Machine::push_storage() {
  const auto& id = expect(pop(), Kind::tuple, "the place of a storage as a tuple").items;
  if (id.size() < 5 || at(id[0]).text != "storage") {
    reject("expected (\"storage\", type, key, device, elements)");
  }
  // Of the old format: a storage that is a part of another.
  if (id.size() > 5 && at(id[5]).kind != Kind::none) {
    refuse("has a storage that is a view of another; save it again with PyTorch 1.6 or newer");
  }
  const auto& global = pickle_global(expect(id[1], Kind::global, "a storage's type").number);
  if (global.role != GlobalRole::storage) reject("expected a storage's type");
  const std::string_view key = expect(id[2], Kind::string, "a storage's key").text;
  const int64_t elements = expect(id[4], Kind::integer, "a storage's size").number;
  if (elements < 0) reject("expected a storage's size, found {}", elements);
  result_.storages.push_back({key, global.dtype, elements});
  push_new({.kind = Kind::storage, .number = int64_t(result_.storages.size()) - 1});
}

void Machine::push_tensor(const std::vector<uint32_t>& arguments) {
  if (arguments.size() < 4) reject("expected a tensor's storage, offset, sizes and strides");
  if (result_.tensors.size() >= kMaxTensors) reject("has more than {} tensors", kMaxTensors);
  PickledTensor tensor;
  tensor.storage =
      static_cast<uint32_t>(expect(arguments[0], Kind::storage, "a tensor's storage").number);
  tensor.offset = expect(arguments[1], Kind::integer, "a tensor's offset").number;
  if (tensor.offset < 0) reject("expected a tensor's offset, found {}", tensor.offset);
  tensor.shape = integers(arguments[2], "a tensor's sizes");
  tensor.strides = integers(arguments[3], "a tensor's strides");
  if (tensor.shape.size() != tensor.strides.size()) {
    reject("a tensor has {} sizes, but {} strides", tensor.shape.size(), tensor.strides.size());
  }
  result_.tensors.push_back(std::move(tensor));
  push_new({.kind = Kind::tensor, .number = int64_t(result_.tensors.size()) - 1});
}

bool Machine::step(uint8_t opcode) {
  if (opcode == '.') return false;  // STOP
  if (opcode == 0x80) {             // PROTO
    const uint64_t protocol = take_unsigned(1);
    if (protocol < 2 || protocol > 5) refuse("protocol {}; expected 2 to 5", protocol);
  } else if (opcode == 0x95) {  // FRAME: only says how far to read ahead
    if (take_unsigned(8) > bytes_.size() - at_) reject("a frame is longer than the file");
  } else if (!plain_value(opcode) && !container(opcode) && !memo(opcode) && !call(opcode)) {
    refuse("opcode {:#04x}, which protocols 2 to 5 do not need here; save it again with torch.save",
           opcode);
  }
  return true;
}

Pickle Machine::run() {
  for (std::size_t steps = 0;; ++steps) {
    step_at_ = at_;
    if (steps > kMaxSteps) reject("has more than {} steps", kMaxSteps);
    if (!step(static_cast<uint8_t>(take_unsigned(1)))) break;
  }
  result_.root = pop();
  result_.size = at_;
  return std::move(result_);
}

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& source, std::size_t begin) {
  return Machine(bytes, source, begin).run();
}

}  // namespace tercel::hub

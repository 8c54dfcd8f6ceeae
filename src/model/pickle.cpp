// A machine for the few of the pickle's instructions that torch.jit.save writes for a module
// (https://github.com/python/cpython/blob/3.13/Lib/pickletools.py describes them all). It has no recursion, and needs
// memory in proportion to the pickle alone: each instruction makes one value at most, and refers to others.
#include "pickle.h"

#include <bit>
#include <stdexcept>
#include <utility>

namespace reviewrate::pickle {
namespace {

class Machine {
 public:
  Machine(std::string_view bytes, std::deque<Value>& values) : rest_(bytes), values_(values) {}

  const Value* run() {
    while (true) {
      const char instruction = take(1).front();
      if (instruction == '.') break;  // STOP
      execute(instruction);
    }
    if (stack_.size() != 1) fail("it does not end with one value");
    return stack_.back();
  }

 private:
  [[noreturn]] static void fail(const std::string& why) { throw std::invalid_argument("its data.pkl: " + why); }
  [[noreturn]] static void fail_to_fit() { fail("its instructions do not fit together"); }

  void execute(char instruction) {
    switch (instruction) {
      case '\x80':  // PROTO
        if (take(1).front() != 2) fail("it is not of protocol 2");
        return;
      case 'c': {  // GLOBAL: two lines
        const std::size_t module = rest_.find('\n');
        const std::size_t end = module == std::string_view::npos ? module : rest_.find('\n', module + 1);
        if (end == std::string_view::npos) fail("it is cut off");
        return push(Global{take(end + 1).substr(0, end)});
      }
      case 'N':
        return push(None{});
      case '\x88':  // NEWTRUE
        return push(true);
      case '\x89':  // NEWFALSE
        return push(false);
      case 'K':  // BININT1
        return push(static_cast<std::int64_t>(number(1)));
      case 'M':  // BININT2
        return push(static_cast<std::int64_t>(number(2)));
      case 'J':  // BININT
        return push(std::int64_t{static_cast<std::int32_t>(number(4))});
      case 'G': {  // BINFLOAT: the only one whose highest byte comes first
        std::uint64_t bits = 0;
        for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
        return push(std::bit_cast<double>(bits));
      }
      case 'X':  // BINUNICODE
        return push(take(number(4)));
      case '(':
        return push(Mark{});
      case ')':  // EMPTY_TUPLE
        return push(Tuple{});
      case 't':  // TUPLE
        return push(Tuple{pop_to_mark()});
      case '}':  // EMPTY_DICT
        return push(Dictionary{});
      case 'u':  // SETITEMS
        return set_items();
      case 'q':  // BINPUT
        return remember(number(1));
      case 'r':  // LONG_BINPUT
        return remember(number(4));
      case 'h':  // BINGET
        return recall(number(1));
      case 'j':  // LONG_BINGET
        return recall(number(4));
      case '\x81':  // NEWOBJ
        pop<Tuple>();
        pop<Global>();
        return push(Object{});
      case 'b': {  // BUILD
        const Dictionary& attributes = pop<Dictionary>();
        std::get<Object>(top<Object>()).attributes = &attributes;
        return;
      }
      case 'R':  // REDUCE
        return call();
      case 'Q':  // BINPERSID
        return find_storage();
      default:
        fail("it has an instruction, " + std::to_string(static_cast<unsigned char>(instruction)) +
             ", that a module of tensors and numbers does not need");
    }
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail("it is cut off");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::uint32_t number(unsigned size) {
    std::uint32_t value = 0;
    const std::string_view bytes = take(size);
    for (unsigned i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  template <typename T>
  void push(T value) {
    stack_.push_back(&values_.emplace_back(std::move(value)));
  }

  /// The uppermost value, which must be a T.
  template <typename T>
  Value& top() {
    if (stack_.empty() || stack_.back()->as<T>() == nullptr) fail_to_fit();
    return *stack_.back();
  }

  template <typename T>
  const T& pop() {
    const Value& value = top<T>();
    stack_.pop_back();
    return std::get<T>(value);
  }

  /// What stands above the last mark, which goes as well.
  std::vector<Value*> pop_to_mark() {
    std::size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1]->as<Mark>() == nullptr) --mark;
    if (mark == 0) fail_to_fit();
    std::vector<Value*> above(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return above;
  }

  void set_items() {
    const std::vector<Value*> items = pop_to_mark();
    auto& dictionary = std::get<Dictionary>(top<Dictionary>());
    if (items.size() % 2 != 0) fail_to_fit();
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const auto* name = items[i]->as<std::string_view>();
      if (name == nullptr || !dictionary.items.try_emplace(*name, items[i + 1]).second) {
        fail("an object's attributes have no names of their own");
      }
    }
  }

  void remember(std::size_t number) {
    // They come in order, so that no number asks for more memory than the pickle has instructions.
    if (stack_.empty() || number > memo_.size()) fail_to_fit();
    if (number == memo_.size()) memo_.push_back(nullptr);
    memo_[number] = stack_.back();
  }

  void recall(std::size_t number) {
    if (number >= memo_.size()) fail_to_fit();
    stack_.push_back(memo_[number]);
  }

  void find_storage() {
    const Tuple& id = pop<Tuple>();
    if (id.items.size() != 5 || item<std::string_view>(id, 0) != "storage") fail("it refers to what is no storage");
    push(Storage{item<Global>(id, 1).name, item<std::string_view>(id, 2), item<std::int64_t>(id, 4)});
  }

  /// Of functions there are two: one makes a tensor, the other the empty dictionary that comes with it.
  void call() {
    const Tuple& arguments = pop<Tuple>();
    const std::string_view function = pop<Global>().name;
    if (function == "collections\nOrderedDict" && arguments.items.empty()) return push(Dictionary{});
    if (function != "torch._utils\n_rebuild_tensor_v2" || arguments.items.size() != 6) {
      fail("it calls a function that a module of tensors and numbers does not need");
    }
    push(Tensor{item<Storage>(arguments, 0), item<std::int64_t>(arguments, 1), numbers(item<Tuple>(arguments, 2)),
                numbers(item<Tuple>(arguments, 3))});
  }

  template <typename T>
  static const T& item(const Tuple& tuple, std::size_t i) {
    const T* value = tuple.items[i]->as<T>();
    if (value == nullptr) fail_to_fit();
    return *value;
  }

  static std::vector<std::int64_t> numbers(const Tuple& tuple) {
    // No parameter has more dimensions than two; the bound keeps copies of one tuple small.
    if (tuple.items.size() > 8) fail("a tensor has more than 8 dimensions");
    std::vector<std::int64_t> numbers;
    for (std::size_t i = 0; i < tuple.items.size(); ++i) numbers.push_back(item<std::int64_t>(tuple, i));
    return numbers;
  }

  std::string_view rest_;
  std::deque<Value>& values_;
  std::vector<Value*> stack_;
  std::vector<Value*> memo_;
};

}  // namespace

Pickle::Pickle(std::string_view bytes) : root_(Machine(bytes, values_).run()) {}

}  // namespace reviewrate::pickle

// The pickle in which torch.jit.save describes a module: objects with attributes, numbers and tensors. Nothing in it is
// executed: objects are their attributes, whatever their classes would do when they are loaded.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace reviewrate::pickle {

struct Value;

struct None {};
struct Mark {};

/// A class or function, by its name alone.
struct Global {
  std::string_view name;  ///< "module\nname"
};

struct Tuple {
  std::vector<Value*> items;
};

/// A dictionary with names as keys.
struct Dictionary {
  std::map<std::string_view, Value*> items;
};

/// An object of whatever class.
struct Object {
  const Dictionary* attributes = nullptr;
};

/// A stretch of numbers that is a record of the archive.
struct Storage {
  std::string_view type;    ///< "torch\nHalfStorage"
  std::string_view record;  ///< its name
  std::int64_t size = 0;    ///< in numbers
};

/// A view on a storage, as it is stated: nothing of it is checked.
struct Tensor {
  Storage storage;
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
};

struct Value : std::variant<None, Mark, bool, std::int64_t, double, std::string_view, Global, Tuple, Dictionary, Object,
                            Storage, Tensor> {
  using variant::variant;

  /// What it holds if it holds a T, else nullptr.
  template <typename T>
  const T* as() const {
    return std::get_if<T>(this);
  }
};

/// A pickle that was read. Values may stand in several places, even within themselves: whoever follows them must not
/// count on an end.
class Pickle {
 public:
  /// Reads protocol 2 as torch.jit.save writes it, from `bytes`, which must outlive this. Throws std::invalid_argument
  /// with the reason for whatever a module of tensors and numbers does not need.
  explicit Pickle(std::string_view bytes);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  /// What it describes.
  const Value& root() const { return *root_; }

 private:
  std::deque<Value> values_;  ///< which point at each other
  const Value* root_ = nullptr;
};

}  // namespace reviewrate::pickle

// Names, shapes and checks of the parameters in a native model.pt.
#include "distilbert_weights.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pickle.h"
#include "reviewrate/error.h"
#include "torch_archive.h"

namespace reviewrate {
namespace {

// Parameters, modules and settings by the names that scripts/export.py gives them.
constexpr const char* kWordEmbeddings = "words";
constexpr const char* kPositionEmbeddings = "places";
constexpr const char* kLayers = "layers";  // all but the last one, by their numbers
constexpr const char* kLastLayer = "last";
constexpr const char* kFeedForward = "rest";  // what follows attention in a layer
constexpr const char* kEpsilon = "eps";

constexpr std::size_t kMaxPickle = std::size_t{1} << 20;
constexpr std::size_t kMaxWidth = std::size_t{1} << 16;  // some hundred rows are in memory as fp32

using Shape = std::vector<std::size_t>;

template <typename Sizes>
std::string text_of(const Sizes& sizes) {
  std::string text;
  for (const auto size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return '[' + text + ']';
}

std::string type_name(std::string_view storage) {
  constexpr std::pair<std::string_view, const char*> kTypes[] = {
      {"torch\nHalfStorage", "fp16"},   {"torch\nBFloat16Storage", "bf16"}, {"torch\nFloatStorage", "fp32"},
      {"torch\nDoubleStorage", "fp64"}, {"torch\nBoolStorage", "bool"},     {"torch\nComplexFloatStorage", "complex"},
      {"torch\nCharStorage", "int8"},   {"torch\nByteStorage", "uint8"},    {"torch\nIntStorage", "int32"},
      {"torch\nLongStorage", "int64"},
  };
  for (const auto& [type, name] : kTypes) {
    if (type == storage) return name;
  }
  return "of another type";
}

bool is_finite(Half x) { return (x.bits & 0x7C00) != 0x7C00; }

/// An object of the pickle, and where it stands, such as "layers.0.".
struct Module {
  std::string path;
  const pickle::Dictionary* attributes;
};

class Reader {
 public:
  explicit Reader(const FileBytes& file) : path_(file.path), archive_(file.bytes, file.path), pickle_(description()) {
    if (archive_.record("byteorder").value_or("little") != "little") fail("its numbers are not little-endian");
  }

  DistilBertWeights read() {
    const Module root = as_module("", pickle_.root());
    DistilBertWeights weights{};
    weights.word_embeddings = embeddings(root, kWordEmbeddings);
    weights.position_embeddings = embeddings(root, kPositionEmbeddings);
    width_ = weights.word_embeddings.width;
    if (weights.position_embeddings.width != width_) {
      fail("its " + std::string(kPositionEmbeddings) + " are " + std::to_string(weights.position_embeddings.width) +
           " wide, its " + kWordEmbeddings + ' ' + std::to_string(width_));
    }
    weights.norm = norm(child(root, "norm"));
    const Module layers = child(root, kLayers);
    for (std::size_t i = 0; layers.attributes->items.contains(std::to_string(i)); ++i) {
      weights.layers.push_back(layer(child(layers, std::to_string(i)), /*last=*/false));
    }
    weights.layers.push_back(layer(child(root, kLastLayer), /*last=*/true));
    weights.pre_classifier = linear(child(root, "pre_classifier"), width_, width_);
    const Module classifier = child(root, "classifier");
    weights.classifier = linear(classifier, rows_of(classifier, "weight"), width_);
    return weights;
  }

  void check(const DistilBertWeights& weights, const DistilBertUse& use) const {
    const auto fail_to_fit = [&](const std::string& why) {
      throw Error(ErrorKind::model, path_ + ": does not fit its package: " + why);
    };
    const auto check_rows = [&](const char* what, std::size_t wanted, std::size_t rows) {
      if (wanted <= rows) return;
      fail_to_fit(what + std::to_string(wanted) + ", the model has embeddings for " + std::to_string(rows));
    };
    check_rows("the vocabulary's tokens are ", use.vocab_size, weights.word_embeddings.rows);
    check_rows("max_tokens is ", use.max_tokens, weights.position_embeddings.rows);
    if (use.labels != weights.classifier.out) {
      fail_to_fit("the manifest has " + std::to_string(use.labels) + " labels, the model " +
                  std::to_string(weights.classifier.out));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorKind::model, path_ + ": cannot be loaded: " + why);
  }

  [[noreturn]] void fail(const Module& module, const std::string& name, const std::string& why) const {
    fail("its " + module.path + name + ' ' + why);
  }

  std::string_view description() const {
    const auto record = archive_.record("data.pkl");
    if (!record) fail("it has no data.pkl, or a compressed one");
    if (record->size() > kMaxPickle) fail("its data.pkl is larger than " + std::to_string(kMaxPickle) + " bytes");
    return *record;
  }

  Module as_module(const std::string& path, const pickle::Value& value) const {
    const auto* object = value.as<pickle::Object>();
    if (object == nullptr || object->attributes == nullptr) {
      fail("its " + (path.empty() ? "whole" : path.substr(0, path.size() - 1)) + " is no module");
    }
    return {path, object->attributes};
  }

  const pickle::Value& attribute(const Module& module, const std::string& name) const {
    const auto found = module.attributes->items.find(name);
    if (found == module.attributes->items.end()) fail(module, name, "is missing");
    return *found->second;
  }

  /// What `module` has by that name, which must be a T.
  template <typename T>
  const T& attribute(const Module& module, const std::string& name, const char* what) const {
    const T* value = attribute(module, name).as<T>();
    if (value == nullptr) fail(module, name, std::string("is no ") + what);
    return *value;
  }

  Module child(const Module& module, const std::string& name) const {
    return as_module(module.path + name + '.', attribute(module, name));
  }

  /// The sizes of a matrix, as it states them: each from 1 on, and no more columns than kMaxWidth.
  std::pair<std::size_t, std::size_t> matrix(const Module& module, const std::string& name) const {
    const std::vector<std::int64_t>& sizes = attribute<pickle::Tensor>(module, name, "tensor").sizes;
    const bool fits = sizes.size() == 2 && sizes[0] >= 1 && sizes[1] >= 1 && sizes[1] <= std::int64_t{kMaxWidth};
    if (!fits) fail(module, name, "is " + text_of(sizes) + ", not [rows, columns]");
    return {static_cast<std::size_t>(sizes[0]), static_cast<std::size_t>(sizes[1])};
  }

  /// The rows of a weight, which are the width of what it gives.
  std::size_t rows_of(const Module& module, const std::string& name) const {
    const std::size_t rows = matrix(module, name).first;
    if (rows > kMaxWidth) fail(module, name, "has more than " + std::to_string(kMaxWidth) + " rows");
    return rows;
  }

  /// The one way to a parameter: fp16 numbers of exactly that shape, row by row, finite, in a record of their own.
  const Half* parameter(const Module& module, const std::string& name, const Shape& shape) {
    const auto& found = attribute<pickle::Tensor>(module, name, "tensor");
    const auto equal = [](std::size_t a, std::int64_t b) { return std::cmp_equal(a, b); };
    const std::string type = type_name(found.storage.type);
    if (type != "fp16" || !std::equal(shape.begin(), shape.end(), found.sizes.begin(), found.sizes.end(), equal)) {
      fail(module, name, "is " + type + ' ' + text_of(found.sizes) + ", not fp16 " + text_of(shape));
    }
    std::size_t count = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      // A size of 1 has no use for its stride.
      const bool contiguous =
          found.strides.size() == shape.size() && (shape[i] == 1 || std::cmp_equal(found.strides[i], count));
      if (!contiguous) fail(module, name, "is not contiguous");
      if (__builtin_mul_overflow(count, shape[i], &count)) fail(module, name, "is too large");
    }
    const auto record = archive_.record("data/" + std::string(found.storage.record));
    const bool whole = record && found.offset == 0 && record->size() % sizeof(Half) == 0 &&
                       record->size() / sizeof(Half) == count && std::cmp_equal(found.storage.size, count);
    if (!whole) fail(module, name, "is not the whole of a record");
    if (reinterpret_cast<std::uintptr_t>(record->data()) % alignof(Half) != 0) fail(module, name, "is not aligned");
    if (!used_.insert(record->data()).second) fail(module, name, "shares its numbers with another parameter");
    const auto* numbers = reinterpret_cast<const Half*>(record->data());
    if (!std::all_of(numbers, numbers + count, is_finite)) fail(module, name, "holds NaN or infinity");
    return numbers;
  }

  EmbeddingWeights embeddings(const Module& module, const char* name) {
    const auto [rows, columns] = matrix(module, name);
    return {parameter(module, name, {rows, columns}), rows, columns};
  }

  LinearWeights linear(const Module& module, std::size_t out, std::size_t in) {
    return {parameter(module, "weight", {out, in}), parameter(module, "bias", {out}), out, in};
  }

  NormWeights norm(const Module& module) {
    const double epsilon = attribute<double>(module, kEpsilon, "number");
    const bool fits = epsilon >= double{std::numeric_limits<float>::min()} && epsilon <= 1;
    if (!fits) fail(module, kEpsilon, "is not a small number above 0");
    return {parameter(module, "weight", {width_}), parameter(module, "bias", {width_}), width_,
            static_cast<float>(epsilon)};
  }

  LayerWeights layer(const Module& module, bool last) {
    LayerWeights layer{};
    const auto heads = attribute<std::int64_t>(module, "heads", "whole number");
    if (heads < 1 || static_cast<std::int64_t>(width_) % heads != 0) {
      fail(module, "heads",
           "are " + std::to_string(heads) + ", which does not divide the width " + std::to_string(width_));
    }
    layer.heads = static_cast<std::size_t>(heads);
    if (last) {
      layer.query = linear(child(module, "q"), width_, width_);
      layer.projection = linear(child(module, "kv"), 2 * width_, width_);
    } else {
      layer.projection = linear(child(module, "qkv"), 3 * width_, width_);
    }
    const Module rest = child(module, kFeedForward);
    layer.out = linear(child(rest, "out"), width_, width_);
    layer.norm1 = norm(child(rest, "norm1"));
    const Module up = child(rest, "up");
    const std::size_t hidden = rows_of(up, "weight");
    layer.up = linear(up, hidden, width_);
    layer.activation = attribute<bool>(rest, "relu", "truth value") ? Activation::relu : Activation::gelu;
    layer.down = linear(child(rest, "down"), width_, hidden);
    layer.norm2 = norm(child(rest, "norm2"));
    return layer;
  }

  std::string path_;
  TorchArchive archive_;
  pickle::Pickle pickle_;
  std::size_t width_ = 0;
  std::set<const char*> used_;  ///< records
};

}  // namespace

DistilBertWeights read_distilbert_weights(const FileBytes& file, const DistilBertUse& use) {
  try {
    Reader reader(file);
    DistilBertWeights weights = reader.read();
    reader.check(weights, use);
    return weights;
  } catch (const std::invalid_argument& e) {  // of the pickle
    throw Error(ErrorKind::model, file.path + ": cannot be loaded: " + e.what());
  }
}

}  // namespace reviewrate

// Writes model.pt files as torch.jit.save does, and such as it never would: a small DistilBERT whose parameters,
// settings and records a test may change before they are written.
#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace reviewrate::testing {

/// A number of bytes, the lowest first.
inline std::string little_endian(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i, value >>= 8) bytes += static_cast<char>(value & 255);
  return bytes;
}

/// A parameter: what the pickle says of it, and its record.
struct Parameter {
  std::string storage = "HalfStorage";
  std::int64_t storage_size = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  std::string bytes;
  std::string record;  ///< its name; empty: one of its own
};

/// The fp16 numbers `bits` as a parameter of these sizes.
inline Parameter parameter(std::vector<std::int64_t> sizes, const std::vector<std::uint16_t>& bits) {
  Parameter made;
  made.storage_size = static_cast<std::int64_t>(bits.size());
  made.strides.resize(sizes.size());
  std::int64_t stride = 1;
  for (std::size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) made.strides[i] = stride;
  made.sizes = std::move(sizes);
  for (const std::uint16_t x : bits) made.bytes += little_endian(x, 2);
  return made;
}

/// A record of a zip archive. Its size is told as it is unless `unpacked_size` says otherwise.
struct Record {
  std::string name;
  std::string bytes;
  std::uint64_t method = 0;
  std::uint64_t unpacked_size = UINT64_MAX;
};

/// A zip archive with the zip64 end that torch writes, its records at multiples of 64.
inline std::string archive(const std::vector<Record>& records) {
  std::string file;
  std::string directory;
  for (const Record& record : records) {
    const std::uint64_t unpacked = record.unpacked_size == UINT64_MAX ? record.bytes.size() : record.unpacked_size;
    const std::string what = little_endian(0x0808, 2) + little_endian(record.method, 2) + little_endian(0, 8) +
                             little_endian(record.bytes.size(), 4) + little_endian(unpacked, 4) +
                             little_endian(record.name.size(), 2);
    const std::size_t offset = file.size();
    const std::size_t filling = (64 - (offset + 34 + record.name.size()) % 64) % 64;
    file += little_endian(0x04034B50, 4) + little_endian(0, 2) + what + little_endian(4 + filling, 2) + record.name +
            "FB" + little_endian(filling, 2) + std::string(filling, 'Z') + record.bytes;
    directory += little_endian(0x02014B50, 4) + little_endian(0, 4) + what + little_endian(0, 12) +
                 little_endian(offset, 4) + record.name;
  }
  const std::uint64_t count = records.size();
  const std::uint64_t begin = file.size();
  const std::uint64_t end = begin + directory.size();
  return file + directory + little_endian(0x06064B50, 4) + little_endian(44, 8) + little_endian(0, 12) +
         little_endian(count, 8) + little_endian(count, 8) + little_endian(directory.size(), 8) +
         little_endian(begin, 8) + little_endian(0x07064B50, 4) + little_endian(0, 4) + little_endian(end, 8) +
         little_endian(1, 4) + little_endian(0x06054B50, 4) + little_endian(0, 4) + little_endian(count, 2) +
         little_endian(count, 2) + little_endian(directory.size(), 4) + little_endian(begin, 4) + little_endian(0, 2);
}

/// A model.pt.
struct ModelFile {
  using Value = std::variant<Parameter, std::int64_t, double, bool, std::string>;  // a string is raw pickle

  std::map<std::string, Value> values;  ///< by their paths, such as "layers.0.qkv.weight"

  Parameter& at(const std::string& path) { return std::get<Parameter>(values.at(path)); }

  std::vector<Record> records() const {
    std::vector<Record> made;
    std::string pickle = "\x80\x02" + object("", made) + '.';
    made.push_back({"model/data.pkl", std::move(pickle)});
    made.push_back({"model/byteorder", "little"});
    made.push_back({"model/version", "3\n"});
    return made;
  }

  std::string bytes() const { return archive(records()); }

  static std::string text(const std::string& value) { return 'X' + little_endian(value.size(), 4) + value; }
  static std::string number(std::int64_t value) { return 'J' + little_endian(static_cast<std::uint64_t>(value), 4); }

 private:
  static std::string tuple(const std::vector<std::int64_t>& numbers) {
    std::string made = "(";
    for (const std::int64_t value : numbers) made += number(value);
    return made + 't';
  }

  static std::string written(const Value& value, std::vector<Record>& records) {
    if (const auto* raw = std::get_if<std::string>(&value)) return *raw;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return number(*whole);
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "\x88" : "\x89";
    if (const auto* real = std::get_if<double>(&value)) {
      const std::string bytes = little_endian(std::bit_cast<std::uint64_t>(*real), 8);
      return 'G' + std::string(bytes.rbegin(), bytes.rend());
    }
    const auto& p = std::get<Parameter>(value);
    const std::string name = p.record.empty() ? std::to_string(records.size()) : p.record;
    if (p.record.empty()) records.push_back({"model/data/" + name, p.bytes});
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + p.storage + '\n' + text(name) +
           text("cpu") + number(p.storage_size) + "tQ" + number(p.offset) + tuple(p.sizes) + tuple(p.strides) + "\x89" +
           "ccollections\nOrderedDict\n)RtR";
  }

  /// The module at `path` (empty, or with a point at its end), with all that is below it.
  std::string object(const std::string& path, std::vector<Record>& records) const {
    std::string made = "c__torch__\nModule\n)\x81}(";
    for (auto entry = values.lower_bound(path); entry != values.end() && entry->first.starts_with(path);) {
      const std::string name = entry->first.substr(path.size(), entry->first.find('.', path.size()) - path.size());
      made += text(name);
      if (entry->first.size() == path.size() + name.size()) {
        made += written(entry->second, records);
        ++entry;
      } else {
        const std::string below = path + name + '.';
        made += object(below, records);
        while (entry != values.end() && entry->first.starts_with(below)) ++entry;
      }
    }
    return made + "ub";
  }
};

struct Sizes {
  std::int64_t vocabulary = 8;
  std::int64_t positions = 6;
  std::int64_t width = 4;
  std::int64_t hidden = 6;
  std::int64_t heads = 2;
  std::int64_t layers = 2;
  std::int64_t labels = 2;
};

/// A DistilBERT with random weights.
inline ModelFile distilbert(const Sizes& s = {}) {
  ModelFile file;
  std::mt19937 generator(1);
  const auto add = [&](const std::string& path, std::vector<std::int64_t> sizes) {
    std::int64_t count = 1;
    for (const std::int64_t size : sizes) count *= size;
    std::vector<std::uint16_t> bits;
    for (std::int64_t i = 0; i < count; ++i) {  // of both signs, up to 1
      const auto random = generator();
      bits.push_back(static_cast<std::uint16_t>((random & 0x83FFU) | (11U + (random >> 10 & 3U)) << 10));
    }
    file.values[path] = parameter(std::move(sizes), bits);
  };
  const auto linear = [&](const std::string& path, std::int64_t out, std::int64_t in) {
    add(path + ".weight", {out, in});
    add(path + ".bias", {out});
  };
  const auto norm = [&](const std::string& path) {
    add(path + ".weight", {s.width});
    add(path + ".bias", {s.width});
    file.values[path + ".eps"] = 1e-12;
  };
  add("words", {s.vocabulary, s.width});
  add("places", {s.positions, s.width});
  norm("norm");
  file.values["layers.training"] = false;
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const bool last = i + 1 == s.layers;
    const std::string layer = last ? "last" : "layers." + std::to_string(i);
    if (last) linear(layer + ".q", s.width, s.width);
    linear(layer + (last ? ".kv" : ".qkv"), (last ? 2 : 3) * s.width, s.width);
    linear(layer + ".rest.out", s.width, s.width);
    norm(layer + ".rest.norm1");
    linear(layer + ".rest.up", s.hidden, s.width);
    linear(layer + ".rest.down", s.width, s.hidden);
    norm(layer + ".rest.norm2");
    file.values[layer + ".rest.relu"] = false;
    file.values[layer + ".heads"] = s.heads;
  }
  linear("pre_classifier", s.width, s.width);
  linear("classifier", s.labels, s.width);
  return file;
}

}  // namespace reviewrate::testing

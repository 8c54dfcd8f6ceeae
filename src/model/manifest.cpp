// Reading and checking manifests.
#include "reviewrate/manifest.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "reviewrate/error.h"
#include "reviewrate/file.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/sha256.h"
#include "reviewrate/text.h"

namespace reviewrate {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxManifestBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxTokens = 1 << 16;
constexpr std::size_t kMaxListed = 1024;  // of a tokenizer: every byte of text is compared with each special token

constexpr int kLowest = 1, kHighest = 10;  // ratings

std::string sha256(std::string_view bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.hex();
}

/// One manifest being read; every complaint names the file and the key.
class ManifestReader {
 public:
  explicit ManifestReader(const std::string& dir) : dir_(dir), path_(dir + "/manifest.json") {}

  Manifest read() {
    const json root = parse();
    const json& format = at(root, "format");
    if (!format.is_number_integer() || format != kFormat) {
      fail("format", "is " + format.dump() + ", but this program reads format " + std::to_string(kFormat));
    }
    Manifest m;
    m.path = path_;
    m.name = string_at(root, "name");
    m.license = string_at(root, "license");
    const json& model = object_at(root, "model");
    m.model = file_at(model);
    const std::string interface = string_at(model, "interface");
    if (interface != "packed" && interface != "padded") fail("model.interface", "must be packed or padded");
    m.interface = interface == "packed" ? ModelInterface::native : ModelInterface::traced;
    m.torch_version = string_at(model, "torch");
    read_tokenizer(object_at(root, "tokenizer"), m);
    read_labels(root, m);
    const json& max_tokens = at(root, "max_tokens");
    if (!max_tokens.is_number_unsigned() || max_tokens < 3 || max_tokens > kMaxTokens) {
      fail("max_tokens", "must be a whole number from 3 to " + std::to_string(kMaxTokens));
    }
    m.max_tokens = max_tokens.get<std::size_t>();
    const auto long_text = parse_long_text(string_at(root, "long_text"));
    if (!long_text) fail("long_text", "must be head, head-tail or windows");
    m.long_text = *long_text;
    read_rating(object_at(root, "rating"), m);
    read_confidence(root, m);
    m.precisions = strings_at(root, "precisions");
    read_schedules(root, m);
    if (root.contains("reference")) m.reference = file_at(object_at(root, "reference"));
    return m;
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& why) const {
    throw Error(ErrorKind::model, failure_message(path_, key + ": " + why));
  }

  json parse() const {
    const std::string text = read_file(path_, kMaxManifestBytes, ErrorKind::model);
    // Depth first: a manifest is flat, and a deep one must not exhaust the stack where it is taken apart.
    const auto shallow = [](int depth, json::parse_event_t, json&) {
      if (depth > 16) throw std::length_error("nested too deep");
      return true;
    };
    try {
      json root = json::parse(text, shallow);
      if (root.is_object()) return root;
    } catch (const std::exception& e) {
      throw Error(ErrorKind::model, failure_message(path_, "is not JSON: " + json_complaint(e.what())));
    }
    throw Error(ErrorKind::model, path_ + ": is not a JSON object");
  }

  const json& at(const json& object, const std::string& key) const {
    const auto found = object.find(key);
    if (found == object.end()) fail(key, "is missing");
    return *found;
  }

  const json& object_at(const json& object, const std::string& key) const {
    const json& value = at(object, key);
    if (!value.is_object()) fail(key, "must be an object");
    return value;
  }

  std::string string_at(const json& object, const std::string& key) const {
    const json& value = at(object, key);
    if (!value.is_string()) fail(key, "must be a string");
    return value.get<std::string>();
  }

  std::vector<std::string> strings_at(const json& object, const std::string& key) const {
    const json& value = at(object, key);
    const bool strings = value.is_array() && !value.empty() &&
                         std::all_of(value.begin(), value.end(), [](const json& item) { return item.is_string(); });
    if (!strings) fail(key, "must be a list of strings");
    return value.get<std::vector<std::string>>();
  }

  PackageFile file_at(const json& object) const {
    const std::string name = string_at(object, "file");
    const std::string sha256 = string_at(object, "sha256");
    // A package stays in its folder: what a manifest names is never looked for elsewhere.
    if (name.empty() || name.front() == '/' || name.find("..") != std::string::npos ||
        name.find('\0') != std::string::npos) {
      fail("file", "\"" + name + "\" must be a path inside the package");
    }
    const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (sha256.size() != 64 || !std::all_of(sha256.begin(), sha256.end(), hex)) {
      fail("sha256", "of " + name + " must be 64 lower-case hex digits");
    }
    return {dir_ + "/" + name, sha256};
  }

  bool bool_at(const json& object, const std::string& key) const {
    const json& value = at(object, key);
    if (!value.is_boolean()) fail(key, "must be true or false");
    return value.get<bool>();
  }

  void read_tokenizer(const json& tokenizer, Manifest& m) const {
    m.tokenizer = string_at(tokenizer, "kind");
    const json& files = object_at(tokenizer, "files");
    if (m.tokenizer == "wordpiece") {
      m.lowercase = bool_at(tokenizer, "lowercase");
      m.vocab = file_at(object_at(files, "vocab"));
    } else if (m.tokenizer == "sentencepiece") {
      m.vocab = file_at(object_at(files, "model"));
      if (files.contains("charsmap")) m.charsmap = file_at(object_at(files, "charsmap"));
      read_unigram(tokenizer, m);
    } else {
      fail("tokenizer.kind", "\"" + m.tokenizer + "\" is not known to this program");
    }
  }

  void read_unigram(const json& tokenizer, Manifest& m) const {
    const json& steps = at(tokenizer, "normalizer");
    if (!steps.is_array() || steps.size() > kMaxListed) fail("tokenizer.normalizer", "must be a short list");
    for (const json& name : steps) {
      const auto step = parse_normalizer_step(name.is_string() ? name.get<std::string>() : "");
      if (!step) fail("tokenizer.normalizer", name.dump() + " is not known to this program");
      m.unigram.normalizer.push_back(*step);
      if (*step == NormalizerStep::charsmap && !m.charsmap) fail("tokenizer.files.charsmap", "is missing");
    }
    m.unigram.split_white_space = bool_at(tokenizer, "split_white_space");
    m.unigram.begin = string_at(tokenizer, "begin");
    m.unigram.end = string_at(tokenizer, "end");
    const json& specials = at(tokenizer, "special_tokens");
    if (!specials.is_array() || specials.size() > kMaxListed) fail("tokenizer.special_tokens", "must be a short list");
    for (const json& special : specials) {
      const json& id = special.is_object() ? at(special, "id") : special;
      if (!id.is_number_unsigned() || id > std::numeric_limits<TokenId>::max()) {
        fail("tokenizer.special_tokens", "must be objects, each with the id of a token");
      }
      m.unigram.special_tokens.push_back({.text = string_at(special, "text"),
                                          .id = id.get<TokenId>(),
                                          .strip_left = bool_at(special, "strip_left"),
                                          .normalized = bool_at(special, "normalized")});
    }
  }

  void read_labels(const json& root, Manifest& m) const {
    m.labels = strings_at(root, "labels");
    if (m.labels.size() < 2) fail("labels", "must be at least two");
    if (std::set(m.labels.begin(), m.labels.end()).size() != m.labels.size()) fail("labels", "must differ");
    const json& positive = at(root, "positive");
    if (positive.is_null()) return;
    const auto found =
        std::find(m.labels.begin(), m.labels.end(), positive.is_string() ? positive.get<std::string>() : "");
    if (found == m.labels.end()) fail("positive", positive.dump() + " is not one of the labels");
    m.positive = static_cast<std::size_t>(found - m.labels.begin());
  }

  void read_label_values(const json& rating, Manifest& m) const {
    const auto values = rating.find("values");
    if (values == rating.end()) return;
    if (m.labels.size() == 2) fail("rating.values", "are for more than two labels");
    const bool numbers = values->is_array() && values->size() == m.labels.size() &&
                         std::all_of(values->begin(), values->end(),
                                     [](const json& v) { return v.is_number() && v >= kLowest && v <= kHighest; });
    if (!numbers) fail("rating.values", "must be a number from 1 to 10 for each label");
    m.label_values = values->get<std::vector<double>>();
  }

  void read_rating(const json& rating, Manifest& m) const {
    read_label_values(rating, m);
    const auto fitted = rating.find("fitted");
    if (fitted == rating.end()) return;
    if (!has_threshold(m)) fail("rating.fitted", "is for two labels, one of them positive");
    RatingThresholds thresholds{};
    const bool numbers = fitted->is_array() && fitted->size() == thresholds.size() &&
                         std::all_of(fitted->begin(), fitted->end(), [](const json& t) { return t.is_number(); });
    if (!numbers) fail("rating.fitted", "must be nine numbers");
    std::transform(fitted->begin(), fitted->end(), thresholds.begin(), [](const json& t) { return t.get<double>(); });
    const auto descent = std::adjacent_find(thresholds.begin(), thresholds.end(), std::greater_equal<>());
    if (descent != thresholds.end() || thresholds.front() < 0 || thresholds.back() > 1) {
      fail("rating.fitted", "must ascend from 0 to 1, each above the one before");
    }
    m.rating_thresholds = thresholds;
  }

  void read_confidence(const json& root, Manifest& m) const {
    const auto percentiles = root.find("confidence_percentiles");
    if (percentiles == root.end()) return;
    if (!has_threshold(m)) fail("confidence_percentiles", "are for two labels, one of them positive");
    const bool numbers =
        percentiles->is_array() && percentiles->size() == kConfidencePercents &&
        std::all_of(percentiles->begin(), percentiles->end(), [](const json& c) { return c.is_number(); });
    if (numbers) m.confidence_percentiles = percentiles->get<std::vector<double>>();
    const std::vector<double>& c = m.confidence_percentiles;
    if (!numbers || !std::is_sorted(c.begin(), c.end()) || c.front() < 0.5 || c.back() > 1) {
      fail("confidence_percentiles", "must be 50 numbers from 0.5 to 1, none below the one before");
    }
  }

  void read_schedules(const json& root, Manifest& m) const {
    if (!root.contains("schedules")) return;
    if (m.interface != ModelInterface::native) fail("schedules", "are for a native model");
    for (const auto& [name, schedule] : object_at(root, "schedules").items()) {
      const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
      if (name.empty() || name.front() == '-' || name == kFullEffort || !std::all_of(name.begin(), name.end(), plain)) {
        fail("schedules", json(name).dump() + " must be of lower-case letters, digits and -, and not full");
      }
      const std::string key = "schedules." + name;
      if (!schedule.is_object()) fail(key, "must be an object");
      const json& keep = at(schedule, "keep");
      const bool shares =
          keep.is_array() && !keep.empty() &&
          std::all_of(keep.begin(), keep.end(), [](const json& k) { return k.is_number() && k > 0 && k <= 1; }) &&
          std::is_sorted(keep.begin(), keep.end(), std::greater<>());
      if (!shares) fail(key + ".keep", "must be shares above 0 and up to 1, none above the one before");
      m.schedules.push_back({name, keep.get<std::vector<double>>()});
      if (schedule.contains("metrics")) m.schedules.back().metrics = object_at(schedule, "metrics").dump();
    }
  }

  std::string dir_;
  std::string path_;
};

}  // namespace

Manifest read_manifest(const std::string& dir) { return ManifestReader(dir).read(); }

bool has_threshold(const Manifest& manifest) { return manifest.labels.size() == 2 && manifest.positive; }

std::vector<std::string> effort_names(const Manifest& manifest) {
  std::vector<std::string> names = {kFullEffort};
  for (const Schedule& schedule : manifest.schedules) names.push_back(schedule.name);
  return names;
}

std::string no_rating(const Manifest& manifest) {
  if (has_threshold(manifest) || !manifest.label_values.empty()) return "";
  std::string labels;
  for (const std::string& label : manifest.labels) labels += (labels.empty() ? "" : ", ") + label;
  return "model " + manifest.name + " gives no rating: " +
         (manifest.labels.size() == 2
              ? "none of its labels " + labels + " is the positive one (scripts/export.py --positive)"
              : "nothing says which rating each of its labels " + labels +
                    " stands for (scripts/export.py --label-values)");
}

std::string sha256_file(const std::string& path) { return sha256(read_file(path, kMaxModelBytes, ErrorKind::model)); }

FileBytes read_package_file(const PackageFile& file, std::size_t limit) {
  FileBytes read = {file.path, read_file(file.path, limit, ErrorKind::model)};
  if (file.sha256.empty()) return read;
  const std::string found = sha256(read.bytes);
  if (found != file.sha256) {
    throw Error(ErrorKind::model, file.path + ": is damaged or was changed: its SHA-256 is " + found +
                                      ", the manifest says " + file.sha256);
  }
  return read;
}

std::optional<Precision> parse_precision(const std::string& name) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::int8}) {
    if (name == precision_name(precision)) return precision;
  }
  return std::nullopt;
}

std::string precision_name(Precision precision) {
  switch (precision) {
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
    case Precision::fp32:
      break;
  }
  return "fp32";
}

std::optional<LongText> parse_long_text(const std::string& name) {
  for (const LongText policy : {LongText::head, LongText::head_tail, LongText::windows}) {
    if (long_text_name(policy) == name) return policy;
  }
  return std::nullopt;
}

std::string long_text_name(LongText policy) {
  switch (policy) {
    case LongText::head_tail:
      return "head-tail";
    case LongText::windows:
      return "windows";
    case LongText::head:
      break;
  }
  return "head";
}

}  // namespace reviewrate

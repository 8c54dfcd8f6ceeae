// Finding and opening model packages.
#include "reviewrate/package.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "reviewrate/error.h"
#include "reviewrate/sentencepiece.h"
#include "reviewrate/text.h"
#include "reviewrate/torch_model.h"
#include "reviewrate/vocab.h"
#include "reviewrate/wordpiece.h"

namespace reviewrate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModel = "imdb-small";

/// The folders that packages lie in: beside the program, installed or in its build folder, and those of
/// REVIEWRATE_MODEL_PATH.
std::vector<fs::path> package_folders() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<fs::path> folders;
  for (const char* way : {"../share/reviewrate/models", "../models"}) {
    folders.push_back((program / way).lexically_normal());
  }
  const char* more = std::getenv("REVIEWRATE_MODEL_PATH");
  std::istringstream list(more == nullptr ? "" : more);
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  return folders;
}

bool is_package(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "manifest.json", error);
}

/// The package of that name in those folders; the first one counts. Throws Error(model), which tells those there are.
std::string find_package(const std::string& name) {
  std::set<std::string> found;
  std::string places;
  for (const fs::path& folder : package_folders()) {
    if (is_package(folder / name)) return (folder / name).string();
    std::error_code error;
    for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      if (is_package(entry->path())) found.insert(entry->path().filename().string());
    }
    places += (places.empty() ? "" : ", ") + folder.string();
  }
  std::string names;
  for (const std::string& one : found) names += (names.empty() ? "" : ", ") + one;
  throw Error(ErrorKind::model, "model " + name + ": there is neither such a file or folder nor a package of that " +
                                    "name in " + places +
                                    " (REVIEWRATE_MODEL_PATH adds folders), only: " + (names.empty() ? "none" : names));
}

/// The file or folder that `choice` means.
std::string path_of(const ModelChoice& choice) {
  const char* by_environment = std::getenv("REVIEWRATE_MODEL");
  const std::string named = choice.model.empty() && by_environment != nullptr ? by_environment : choice.model;
  if (named.empty()) return find_package(kDefaultModel);
  std::error_code error;
  if (fs::exists(named, error)) return named;
  if (error) throw Error(ErrorKind::model, "model " + named + ": cannot be opened: " + error.message());
  if (named.find('/') == std::string::npos) return find_package(named);
  throw Error(ErrorKind::model, "model " + named +
                                    ": there is no such file or folder (of a model of the Hugging Face hub, "
                                    "scripts/export.py makes a package)");
}

Precision choose_precision(const std::string& name, const Manifest& manifest) {
  const auto allowed = [&](Precision precision) {
    const auto& names = manifest.precisions;
    return std::find(names.begin(), names.end(), precision_name(precision)) != names.end();
  };
  if (const auto precision = parse_precision(name)) {
    const std::string option = "--precision " + name + ": ";
    if (!allowed(*precision)) {
      throw Error(ErrorKind::usage, option + "model " + manifest.name + " was not made for it (its manifest.json)");
    }
    if (!is_fast(*precision)) {
      throw Error(ErrorKind::usage, option + "this CPU lacks the instructions for it; it would be slower than fp32");
    }
    return *precision;
  }
  for (const Precision precision : {Precision::int8, Precision::bf16}) {
    if (allowed(precision) && is_fast(precision)) return precision;
  }
  return Precision::fp32;
}

/// The shares that `effort` keeps; none where it is full.
std::vector<double> choose_schedule(const std::string& effort, const Manifest& manifest) {
  if (effort == kFullEffort) return {};
  std::string names;
  for (const std::string& name : effort_names(manifest)) names += (names.empty() ? "" : ", ") + name;
  for (const Schedule& schedule : manifest.schedules) {
    if (schedule.name == effort) return schedule.keep;
  }
  throw Error(ErrorKind::usage, "--effort " + effort + ": model " + manifest.name + " has only " + names +
                                    (manifest.interface == ModelInterface::native
                                         ? ""
                                         : ": it is a traced model, and only a native one can drop tokens"));
}

/// Names the labels of a bare model, whose file tells only how many there are.
void name_labels(std::size_t labels, Manifest& manifest) {
  if (labels == 2) {
    manifest.labels = {"NEGATIVE", "POSITIVE"};
    manifest.positive = 1;
    return;
  }
  for (std::size_t i = 0; i < labels; ++i) manifest.labels.push_back("LABEL_" + std::to_string(i));  // as transformers
}

/// The place of the label that is called POSITIVE, or POS, if one is; as scripts/export.py has it.
std::optional<std::size_t> positive_label(const std::vector<std::string>& labels) {
  const auto found = std::find_if(labels.begin(), labels.end(), [](const std::string& label) {
    const std::string name = ascii_lower(label);
    return name == "positive" || name == "pos";
  });
  return found == labels.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - labels.begin()));
}

/// The manifest of a TorchScript file without a package.
Manifest bare_manifest(const std::string& path, const ModelChoice& choice) {
  const std::set<std::string> different(choice.labels.begin(), choice.labels.end());
  if (choice.labels.size() == 1 || different.size() != choice.labels.size() || different.contains("")) {
    throw Error(ErrorKind::usage, "--labels: must be two or more different names");
  }
  Manifest manifest;
  manifest.name = fs::path(path).stem().string();
  manifest.model.path = path;
  manifest.interface = ModelInterface::traced;
  manifest.vocab.path = choice.vocab;
  manifest.lowercase = !choice.cased;
  manifest.labels = choice.labels;
  manifest.positive = positive_label(choice.labels);
  manifest.max_tokens = choice.max_tokens.value_or(manifest.max_tokens);
  return manifest;
}

}  // namespace

Manifest find_manifest(const ModelChoice& choice) {
  const std::string path = path_of(choice);
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (!is_package(path) && fs::exists(fs::path(path) / "config.json", error)) {
      throw Error(ErrorKind::model, "model " + path +
                                        ": is a Hugging Face model and no package yet; this makes one of it: "
                                        "scripts/export.py " +
                                        path + " -o models/" + fs::path(path + "/").parent_path().filename().string());
    }
    const char* option = !choice.vocab.empty()    ? "--vocab"
                         : choice.cased           ? "--cased"
                         : !choice.labels.empty() ? "--labels"
                         : choice.max_tokens      ? "--model-max-tokens"
                                                  : nullptr;
    if (option != nullptr) {
      throw Error(ErrorKind::usage, std::string(option) + ": " + path + " is a model package, which says that itself");
    }
    return read_manifest(path);
  }
  if (choice.vocab.empty()) {
    throw Error(ErrorKind::usage,
                "--model " + path + ": a bare TorchScript file needs its vocabulary: --vocab vocab.txt");
  }
  return bare_manifest(path, choice);
}

std::unique_ptr<Tokenizer> open_tokenizer(const Manifest& manifest) {
  FileBytes vocab = read_package_file(manifest.vocab, kMaxVocabBytes);
  if (manifest.tokenizer == "sentencepiece") {
    std::optional<FileBytes> charsmap;
    if (manifest.charsmap) charsmap = read_package_file(*manifest.charsmap, kMaxVocabBytes);
    return load_sentencepiece(vocab, charsmap, manifest.unigram);
  }
  return std::make_unique<WordPieceTokenizer>(Vocab(std::move(vocab.bytes), vocab.path),
                                              WordPieceOptions{.lowercase = manifest.lowercase});
}

Package open_package(const ModelChoice& choice) {
  Package package;
  package.manifest = find_manifest(choice);
  Manifest& manifest = package.manifest;
  package.precision = choose_precision(choice.precision, manifest);
  package.effort = choice.effort;
  const std::vector<double> keep = choose_schedule(choice.effort, manifest);
  // The model's bytes are read and verified beside the vocabulary, on another core; or behind it, where the system has
  // no thread to spare. Nobody looks at them before.
  std::future<FileBytes> verified = std::async(std::launch::async | std::launch::deferred, [&manifest] {
    return read_package_file(manifest.model, kMaxModelBytes);
  });
  package.tokenizer = open_tokenizer(manifest);
  package.model = load_torch_model(verified.get(), {.interface = manifest.interface,
                                                    .precision = package.precision,
                                                    .keep = keep,
                                                    .labels = manifest.labels.size(),
                                                    .vocab_size = package.tokenizer->vocab_size(),
                                                    .max_tokens = manifest.max_tokens});
  package.runs_unverified_code = manifest.interface == ModelInterface::traced && manifest.model.sha256.empty();
  if (manifest.labels.empty()) name_labels(package.model->labels(), manifest);
  return package;
}

std::string model_sha256(const Manifest& manifest) {
  return manifest.model.sha256.empty() ? sha256_file(manifest.model.path) : manifest.model.sha256;
}

}  // namespace reviewrate

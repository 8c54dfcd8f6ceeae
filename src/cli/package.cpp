// Finding and opening model packages.
#include "package.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <system_error>

#include "reviewrate/error.h"
#include "reviewrate/sentencepiece.h"
#include "reviewrate/torch_model.h"
#include "reviewrate/vocab.h"
#include "reviewrate/wordpiece.h"

namespace reviewrate::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModel = "models/imdb-small";

/// The default package: what REVIEWRATE_MODEL names, else beside the program, installed or in its build folder.
std::string default_model() {
  if (const char* named = std::getenv("REVIEWRATE_MODEL"); named != nullptr && *named != '\0') return named;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* way : {"../share/reviewrate", ".."}) {
    fs::path candidate = (program / way / kDefaultModel).lexically_normal();
    if (fs::exists(candidate / "manifest.json", error)) return candidate.string();
  }
  throw Error(ErrorKind::model, "default model: not found beside " + program.string() + ": name one with --model");
}

}  // namespace

Manifest find_manifest(const Arguments& arguments) {
  const std::string path = arguments.model.empty() ? default_model() : arguments.model;
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw Error(ErrorKind::model,
                "model " + path + ": cannot be opened: " + (error ? error.message() : "No such file or folder"));
  }
  if (fs::is_directory(path, error)) {
    if (!arguments.vocab.empty()) {
      throw Error(ErrorKind::usage, "--vocab: " + path + " is a model package, which brings its own vocabulary");
    }
    return read_manifest(path);
  }
  if (arguments.vocab.empty()) {
    throw Error(ErrorKind::usage,
                "--model " + path + ": a bare TorchScript file needs its vocabulary: --vocab vocab.txt");
  }
  Manifest manifest;
  manifest.name = fs::path(path).stem().string();
  manifest.model.path = path;
  manifest.interface = ModelInterface::traced;
  manifest.vocab.path = arguments.vocab;
  return manifest;
}

std::unique_ptr<Tokenizer> load_tokenizer(const Manifest& manifest) {
  check_sha256(manifest.vocab);
  if (manifest.tokenizer == "sentencepiece") {
    if (manifest.charsmap) check_sha256(*manifest.charsmap);
    return load_sentencepiece(manifest.vocab.path, manifest.charsmap ? manifest.charsmap->path : "", manifest.unigram);
  }
  return std::make_unique<WordPieceTokenizer>(Vocab::load(manifest.vocab.path),
                                              WordPieceOptions{.lowercase = manifest.lowercase});
}

Precision choose_precision(const Arguments& arguments, const Manifest& manifest) {
  const auto allowed = [&](Precision precision) {
    const auto& names = manifest.precisions;
    return std::find(names.begin(), names.end(), precision_name(precision)) != names.end();
  };
  if (const auto precision = parse_precision(arguments.precision)) {
    const std::string option = "--precision " + arguments.precision + ": ";
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

std::unique_ptr<Model> load_model(Manifest& manifest, Precision precision) {
  // Beside loading, on another core: what a damaged file leads to in the loader is put right below.
  std::future<void> checksum = std::async(std::launch::async, [file = manifest.model] { check_sha256(file); });
  std::unique_ptr<Model> model;
  try {
    model =
        load_torch_model(manifest.model.path,
                         {.interface = manifest.interface, .precision = precision, .labels = manifest.labels.size()});
  } catch (const Error&) {
    checksum.get();  // a wrong checksum explains more than where the loader stumbled over it
    throw;
  }
  checksum.get();
  if (manifest.labels.empty()) {
    if (model->labels() == 2) {
      manifest.labels = {"NEGATIVE", "POSITIVE"};
      manifest.positive = 1;
    } else {  // what transformers calls labels without a name
      for (std::size_t i = 0; i < model->labels(); ++i) manifest.labels.push_back("LABEL_" + std::to_string(i));
    }
  }
  return model;
}

}  // namespace reviewrate::cli

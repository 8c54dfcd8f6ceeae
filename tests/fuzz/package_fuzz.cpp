// Fuzz target: whole packages. An input is a manifest, a vocabulary and a model.pt, with a NUL after each of the first
// two. The checksums in the manifest are mended, so that what lies behind them is reached; libtorch's place is taken by
// tests/unit/stand_in_model.cpp. A package is either refused in one line, or it fits together and can be run.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "reviewrate/error.h"
#include "reviewrate/package.h"
#include "reviewrate/sha256.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

std::string_view take_part(std::string_view& input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

/// States a file's name and checksum, if there is a place for them.
void mend(nlohmann::json& file, const char* name, std::string_view bytes) {
  if (!file.is_object()) return;
  Sha256 sum;
  sum.add(bytes);
  file["file"] = name;
  file["sha256"] = sum.hex();
}

std::string mended(std::string_view manifest, std::string_view vocabulary, std::string_view model) {
  nlohmann::json root = nlohmann::json::parse(manifest, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return std::string(manifest);
  if (root.contains("model")) mend(root["model"], "model.pt", model);
  const nlohmann::json::json_pointer files("/tokenizer/files");
  if (root.contains(files) && root[files].is_object()) {
    for (auto& file : root[files]) mend(file, "vocab", vocabulary);
  }
  return root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void run(const Package& package) {
  const Manifest& manifest = package.manifest;
  check(package.model->labels() == manifest.labels.size(), "the model has the manifest's labels");
  check(!manifest.positive || *manifest.positive < manifest.labels.size(), "the positive label is one of them");
  std::vector<TokenId> ids;
  package.tokenizer->encode("A good film, all of it: films and films.", ids);
  for (const TokenId id : ids) {
    check(id >= 0 && static_cast<std::size_t>(id) < package.tokenizer->vocab_size(), "ids are within the vocabulary");
  }
  Batch batch;
  for (const Window& window : cut(ids.size(), {manifest.long_text, manifest.max_tokens, 0})) {
    batch.add(ids, window, *package.tokenizer);
  }
  check(package.model->forward(batch).size() == batch.lengths.size() * manifest.labels.size(), "a row for each window");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TempFolder folder;
  std::string_view model = as_text(data, size);
  const std::string_view manifest = take_part(model);
  const std::string_view vocabulary = take_part(model);
  folder.write("manifest.json", mended(manifest, vocabulary, model));
  folder.write("vocab", vocabulary);
  folder.write("model.pt", model);
  try {
    run(open_package({.model = folder.path(), .vocab = "", .precision = size % 2 == 0 ? "fp32" : "auto"}));
  } catch (const Error& error) {
    check(error.kind() == ErrorKind::model || error.kind() == ErrorKind::usage, "the model is to blame");
    check(is_one_line(error.what()), "a message is one line of UTF-8");
  }
  return 0;
}

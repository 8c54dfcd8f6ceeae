// reviewrate info: the model package and the program, as JSON.
#include <nlohmann/json.hpp>

#include "commands.h"
#include "exit_status.h"
#include "package.h"
#include "record_writer.h"
#include "reviewrate/torch_model.h"

namespace reviewrate::cli {

int info(const Arguments& a) {
  Manifest manifest = find_manifest(a);
  const Precision precision = choose_precision(a, manifest);
  const auto tokenizer = load_tokenizer(manifest);
  const auto model = load_model(manifest, precision);
  nlohmann::ordered_json out;
  out["name"] = manifest.name;
  out["license"] = manifest.license;
  out["model"] = {{"file", manifest.model.path},
                  {"sha256", sha256_file(manifest.model.path)},
                  {"interface", manifest.interface == ModelInterface::native ? "native" : "traced"},
                  {"torch", manifest.torch_version}};
  out["tokenizer"] = {{"kind", manifest.tokenizer}, {"vocab", manifest.vocab.path}};
  if (manifest.tokenizer == "wordpiece") out["tokenizer"]["lowercase"] = manifest.lowercase;
  out["labels"] = manifest.labels;
  out["positive"] = manifest.positive ? nlohmann::ordered_json(manifest.labels[*manifest.positive]) : nullptr;
  out["max_tokens"] = manifest.max_tokens;
  out["long_text"] = long_text_name(manifest.long_text);
  out["rating"] = manifest.rating_thresholds ? "linear, fitted" : "linear";
  out["precisions"] = manifest.precisions;
  out["precision"] = precision_name(precision);
  out["program"] = {{"version", REVIEWRATE_VERSION},
                    {"libtorch", torch_version()},
                    {"instructions", instruction_set()},
                    {"workers", available_cpus()}};
  OutputStream stream("");
  stream.write(out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
  stream.close();
  return kOk;
}

}  // namespace reviewrate::cli

// reviewrate info: the model package and the program, as JSON.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "exit_status.h"
#include "help.h"
#include "options.h"
#include "output_plan.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/printable.h"
#include "reviewrate/torch_model.h"

namespace reviewrate::cli {
namespace {

using Json = nlohmann::ordered_json;

int info(const ModelChoice& choice) {
  std::size_t workers = 0;
  const Package package = open_package_for(choice, workers);
  const Manifest& manifest = package.manifest;
  OutputPlan plan;
  plan.writes("the description", "-");
  plan.reads_model(manifest);
  plan.check();
  Json out;
  out["name"] = manifest.name;
  out["license"] = manifest.license;
  out["model"] = {{"file", manifest.model.path},
                  {"sha256", model_sha256(manifest)},
                  {"interface", manifest.interface == ModelInterface::native ? "native" : "traced"},
                  {"torch", manifest.torch_version}};
  out["tokenizer"] = {{"kind", manifest.tokenizer}, {"vocab", manifest.vocab.path}};
  if (manifest.tokenizer == "wordpiece") out["tokenizer"]["lowercase"] = manifest.lowercase;
  out["labels"] = manifest.labels;
  out["positive"] = manifest.positive ? Json(manifest.labels[*manifest.positive]) : nullptr;
  out["max_tokens"] = manifest.max_tokens;
  out["long_text"] = long_text_name(manifest.long_text);
  const std::string none = no_rating(manifest);
  out["rating"] = !none.empty() ? nullptr : Json(manifest.rating_thresholds ? "linear, fitted" : "linear");
  if (!none.empty()) out["no_rating"] = none;
  if (!manifest.label_values.empty()) out["label_values"] = manifest.label_values;
  out["precisions"] = manifest.precisions;
  out["precision"] = precision_name(package.precision);
  out["schedules"] = Json::object();
  for (const Schedule& schedule : manifest.schedules) {
    out["schedules"][schedule.name] = {{"keep", schedule.keep}, {"metrics", Json::parse(schedule.metrics)}};
  }
  out["effort"] = package.effort;
  out["program"] = {{"version", REVIEWRATE_VERSION},
                    {"libtorch", torch_version()},
                    {"instructions", instruction_set()},
                    {"workers", workers}};
  OutputStream stream("");
  stream.write(printable_json(out.dump(2, ' ', false, Json::error_handler_t::replace)) + '\n');
  stream.close();
  return kOk;
}

}  // namespace

Run add_info(CLI::App& app) {
  const auto choice = std::make_shared<ModelChoice>();
  add_model_options(app, *choice);
  add_speed_options(app, *choice);
  add_footer(app, "Example: reviewrate info -m models/imdb-small");
  return [choice](const Interruption&) { return info(*choice); };
}

}  // namespace reviewrate::cli

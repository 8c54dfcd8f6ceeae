// From eval's options to what is read, measured and written.
#include "eval_plan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "console.h"
#include "eval_mistakes.h"
#include "output_plan.h"
#include "process.h"
#include "reviewrate/error.h"
#include "reviewrate/output_file.h"
#include "reviewrate/record_reader.h"
#include "stars.h"

namespace reviewrate::cli {
namespace {

/// Whether the files are still there once they were read.
bool can_be_read_twice(const std::vector<std::string>& files) {
  return std::all_of(files.begin(), files.end(), [](const std::string& file) {
    struct stat status = {};
    // What stands under /dev and /proc may be a pipe's end.
    if (file == "-" || file.starts_with("/dev/") || file.starts_with("/proc/")) return false;
    return ::stat(file.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
  });
}

/// The manifest of the model that is asked for; a bare model is loaded for it.
Manifest find_labels(const ModelChoice& choice) {
  Manifest manifest = find_manifest(choice);
  if (!manifest.labels.empty()) return manifest;
  // Of a bare file the logits tell how many there are.
  std::size_t workers = 1;
  return open_package_for(choice, workers, /*quiet=*/true).manifest;
}

/// Throws Error(usage) for options that are for nothing beside others.
void check_together(const EvalOptions& a, bool files_are_predictions) {
  if (!a.mistakes.empty()) check_mistakes_file(a.mistakes);
  if (!a.predictions.empty() && !can_be_read_twice({a.predictions})) {
    throw Error(ErrorKind::usage, "--predictions " + a.predictions + ": cannot be read twice: name a file");
  }
  if (files_are_predictions) {
    for (const auto& [option, given] :
         {std::pair("--mistakes", !a.mistakes.empty()),
          std::pair("--text-field", a.input.options.text_field != InputOptions().text_field)}) {
      if (!given) continue;
      throw Error(ErrorKind::usage,
                  std::string(option) + ": texts are not taken from predictions: name the labelled reviews' FILE, too");
    }
  }
  if (!a.bounds.max_drops.empty() && a.baseline.empty() && a.against.empty()) {
    throw Error(ErrorKind::usage, "--max-drop: needs a --baseline, or a model to compare with (--against)");
  }
}

/// Throws Error(usage) if an option asks for what models with these labels do not have.
void check_choices(const EvalOptions& a, const Manifest& manifest, const MeasuredLabels& labels) {
  check_threshold(a.scoring, manifest);
  if (!a.fit_threshold.empty() && labels.task == Task::multiclass) {
    throw Error(ErrorKind::usage, "--fit-threshold: model " + manifest.name +
                                      " has no threshold: the likeliest of its labels is the label");
  }
  if (a.explain.unit) {
    PipelineOptions unused;
    set_explanation(unused, a.explain, manifest);
  }
  check_bounds(a.bounds, manifest, labels, !a.predictions.empty());
}

/// Throws Error(usage) if the threshold is to be fitted to reviews that are measured, or that cannot be read twice.
void check_fit_file(const EvalOptions& a, const std::vector<std::string>& files) {
  if (a.fit_threshold.empty()) return;
  const std::string option = "--fit-threshold " + a.fit_threshold + ": ";
  for (const std::string& file : files) {
    std::error_code unknown;
    if (!std::filesystem::equivalent(file, a.fit_threshold, unknown)) continue;
    throw Error(ErrorKind::usage, option +
                                      "is also what is measured, and would look better than it is: name other "
                                      "labelled reviews");
  }
  if (!can_be_read_twice({a.fit_threshold}))
    throw Error(ErrorKind::usage, option + "cannot be read twice: name a file");
}

/// The earlier report to compare with; empty: there is none, which was said if one was named.
std::optional<Baseline> find_baseline(const EvalOptions& a, const MeasuredLabels& labels) {
  std::error_code unknown;
  if (a.allow_missing_baseline && !std::filesystem::exists(a.baseline, unknown)) {
    print_notice("eval: " + failure_message(a.baseline, "is no baseline yet: nothing is compared with it"));
    return std::nullopt;
  }
  if (a.baseline.empty()) return std::nullopt;
  return read_baseline(a.baseline, labels);
}

}  // namespace

InputOptions EvalPlan::silent_input() const {
  InputOptions options = input;
  options.notify = [](const std::string&) {};
  return options;
}

EvalPlan plan_eval(const EvalOptions& a) {
  const bool files_are_predictions = !a.predictions.empty() && a.input.files.empty() && a.input.files_from.empty();
  check_together(a, files_are_predictions);
  const std::vector<std::string> files = files_are_predictions ? std::vector<std::string>{a.predictions}
                                                               : input_files(a.input, " or pipe reviews in", a.quiet);
  const bool read_twice = can_be_read_twice(files);
  for (const auto& [option, given] :
       {std::pair("--mistakes", !a.mistakes.empty()), std::pair("--against", !a.against.empty())}) {
    if (!given || read_twice) continue;
    throw Error(ErrorKind::usage, std::string(option) + ": stdin cannot be read a second time: name a FILE");
  }
  TruthFields fields = a.fields;
  if (!a.stars_scale.empty()) fields.scale = parse_star_scale(a.stars_scale);
  // --annotate --prefix has kept a field label, --pass has called it input_label.
  if (files_are_predictions && a.prefix.empty() && fields.label == TruthFields().label) fields.label = "input_label";

  const Manifest manifest = find_labels(a.model);
  const LabelRules rules(manifest, a.label_map);
  check_choices(a, manifest, rules.labels());
  OutputPlan output;
  output.writes("--json", a.json);
  output.writes("--report", a.report);
  output.writes("--junit", a.junit);
  output.writes("--markdown", a.markdown);
  output.writes("--mistakes", a.mistakes);
  const bool table = named_descriptor(a.json) != STDOUT_FILENO && named_descriptor(a.mistakes) != STDOUT_FILENO;
  if (table) output.writes("the table", "-");
  output.reads_inputs(files, a.input.files_from);
  output.reads("the --baseline", a.baseline);
  output.reads("the --predictions", a.predictions);
  output.reads("what --fit-threshold reads", a.fit_threshold);
  output.reads_model(manifest);
  if (!a.against.empty()) output.reads_model(find_manifest(a.other_model()));
  output.check();
  check_fit_file(a, files);

  InputOptions input = a.input.options;
  if (files_are_predictions) input.text_field = a.prefix + "label";  // no text is needed
  input.pass = fields.pass();
  input.pass_required = false;
  input.skip = output.skip();
  input.notify = print_notice;
  return {.asked = a,
          .files = files,
          .can_be_read_twice = read_twice,
          .files_are_predictions = files_are_predictions,
          .input = std::move(input),
          .fields = fields,
          .manifest = manifest,
          .rules = rules,
          .prints_table = table,
          .baseline = find_baseline(a, rules.labels())};
}

std::vector<std::size_t> label_numbers(const Manifest& manifest, const MeasuredLabels& labels,
                                       const std::string& option) {
  const MeasuredLabels own = measured_labels(manifest);
  if (labels.task == Task::binary && own.task == Task::binary) {
    return manifest.positive == kPositive ? std::vector<std::size_t>{kNegative, kPositive}
                                          : std::vector<std::size_t>{kPositive, kNegative};
  }
  std::vector<std::size_t> numbers;
  for (const std::string& name : own.names) {
    if (const std::optional<std::size_t> number = number_of(name, labels)) numbers.push_back(*number);
  }
  if (own.task != labels.task || numbers.size() != own.names.size() || numbers.size() != labels.names.size()) {
    throw Error(ErrorKind::usage, option + ": model " + manifest.name + " has the labels " + listed(own.names) +
                                      ", and not " + listed(labels.names));
  }
  return numbers;
}

}  // namespace reviewrate::cli

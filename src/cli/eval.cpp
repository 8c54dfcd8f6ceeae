// reviewrate eval: classifies labelled reviews, measures, reports, and holds the gates.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string_view>

#include "command.h"
#include "console.h"
#include "eval_collector.h"
#include "eval_gates.h"
#include "eval_report.h"
#include "exit_status.h"
#include "help.h"
#include "labelled_source.h"
#include "labels.h"
#include "options.h"
#include "output_plan.h"
#include "predictions.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/output_file.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/record_reader.h"
#include "stars.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kResamples = 1000;
constexpr std::uint64_t kSeed = 1;

struct EvalOptions {
  ModelChoice model;
  InputChoice input;
  std::size_t workers = 0;
  ScoringChoice scoring;
  TruthFields fields;
  std::vector<std::string> label_map;
  std::string stars_scale;
  std::string json;
  std::string report;
  std::string junit;
  std::string baseline;
  Bounds bounds;
  bool quiet = false;
};

/// The default package's manifest, or the one asked for; a bare model is taken to have the two usual labels.
Manifest find_labels(const ModelChoice& choice) {
  Manifest manifest = find_manifest(choice);
  if (manifest.labels.empty()) {
    manifest.labels = {"NEGATIVE", "POSITIVE"};
    manifest.positive = 1;
  }
  return manifest;
}

void check_labels(const Manifest& manifest) {
  if (manifest.labels.size() != 2 || !manifest.positive) {
    throw Error(ErrorKind::usage, "eval: model " + manifest.name + ": must have two labels, one of them positive");
  }
}

/// Whether the files are still there once they were read. What stands under /dev and /proc may be a pipe's end.
bool can_be_read_twice(const std::vector<std::string>& files) {
  return std::all_of(files.begin(), files.end(), [](const std::string& file) {
    struct stat status = {};
    if (file == "-" || file.starts_with("/dev/") || file.starts_with("/proc/")) return false;
    return ::stat(file.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
  });
}

/// Decides what the labels mean, and says it. Empty: they cannot be read, which was said.
std::optional<NumberScheme> judge(const EvalOptions& a, const LabelRules& rules, const LabelledSource& source) {
  const LabelColumn& labels = source.labels();
  if (source.labelled_prediction()) {
    print_notice("eval: " + failure_message(*source.labelled_prediction(),
                                            "is a prediction, whose label is a model's and not the true one: name the "
                                            "field of that with --label-field, such as input_label"));
    return std::nullopt;
  }
  if (source.bare_predictions() > 0 && source.bare_predictions() == source.read()) {
    print_notice("eval: the records are predictions without their reviews, and eval reads labelled reviews");
    return std::nullopt;
  }
  const std::optional<NumberScheme> scheme = rules.judge(labels);
  if (!scheme) {
    print_notice("eval: " + rules.refusal(labels, a.fields.label));
    return std::nullopt;
  }
  const std::string taken = rules.taken(labels, *scheme);
  if (!taken.empty() && (!a.quiet || rules.is_guess(labels, *scheme))) print_notice("eval: labels: " + taken);
  if (const std::string unmatched = rules.unmatched(labels); !unmatched.empty()) {
    print_notice("eval: --label-map: no review has the label " + unmatched);
  }
  const StarFindings stars = source.stars(rules.meanings(labels, *scheme));
  if (!stars.seen().empty() && (!a.quiet || stars.bad() > 0)) print_notice("eval: " + stars.seen());
  if (!stars.doubt().empty()) print_notice("eval: " + stars.doubt());
  return scheme;
}

/// What came of reading the labels before the reviews.
struct FirstReading {
  std::optional<NumberScheme> scheme;  ///< empty: refused
  std::size_t reviews = 0;
};

/// Reads all labels, so that what cannot be measured is known before the model is loaded and runs.
FirstReading read_labels(const EvalOptions& a, const std::vector<std::string>& files, const LabelRules& rules,
                         const Interruption& interruption) {
  InputWaiter waiter(false);
  const auto source = open_source({}, files, a.input.options, waiter);
  LabelledSource labelled(*source, a.fields, rules, std::nullopt, nullptr);
  {
    ProgressBar bar(*source, !a.quiet, a.input.options);
    Review review;
    while (!interruption.flag().load() && labelled.next(review, /*may_block=*/true) == Source::Status::review) {
      bar.update(labelled.read(), review.position);
    }
  }
  if (interruption.signal() != 0) return {};
  if (labelled.read() > 0 && labelled.failed() == labelled.read() && labelled.bare_predictions() == 0) {
    for (const std::string& file : files) {
      const std::string what = recognize_output(file, waiter);
      if (what.empty()) continue;
      print_notice("eval: " + failure_message(file, "holds " + what + ", and eval reads labelled reviews"));
      return {};
    }
  }
  return {judge(a, rules, labelled), labelled.read()};
}

/// The report's part that does not depend on the reviews.
EvalReport describe_run(const EvalOptions& a, const Package& package, const PipelineOptions& options) {
  const Manifest& manifest = package.manifest;
  EvalReport report;
  report.model = manifest.name;
  report.model_sha256 = model_sha256(manifest);
  report.precision = precision_name(package.precision);
  report.long_text = long_text_name(options.window.policy);
  report.rating = a.scoring.fitted_rating ? "fitted" : "linear";
  report.labels = {manifest.labels[1 - *manifest.positive], manifest.labels[*manifest.positive]};
  report.max_tokens = manifest.max_tokens;
  report.threshold = a.scoring.threshold;
  return report;
}

/// Measures what was collected, now that the labels' meaning is known.
void measure(const EvalOptions& a, const LabelRules& rules, NumberScheme scheme, LabelledSource& labelled,
             const EvalCollector& collector, EvalReport& report) {
  const LabelColumn& labels = labelled.labels();
  const std::vector<Meaning> meanings = rules.meanings(labels, scheme);
  for (std::size_t label = 0; label < meanings.size(); ++label) {
    const LabelValue& value = labels.values()[label];
    report.taken_labels.push_back({value.key, value.is_folder, rules.name(meanings[label]), value.reviews});
  }
  report.taken = rules.taken(labels, scheme);
  report.stars = labelled.stars(meanings);
  report.unlabelled = labelled.unlabelled(meanings);
  report.input_sha256 = labelled.checksum(scheme);
  collector.report(meanings, report);
  const auto add_part = [&](const char* key, const std::string& title, EvalCollector::Length length) {
    Evaluation evaluation(collector.observations(meanings, report.stars, length), a.scoring.threshold);
    auto intervals = evaluation.intervals(kResamples, kSeed);
    report.parts.push_back({key, title, std::move(evaluation), intervals});
  };
  const std::string limit = std::to_string(report.max_tokens) + " tokens";
  add_part("all", "all", EvalCollector::Length::any);
  add_part("short", "<= " + limit, EvalCollector::Length::within_limit);
  add_part("long", "> " + limit, EvalCollector::Length::beyond_limit);
}

/// Says what failed; true if anything did.
bool print_failures(const EvalOptions& a, const LabelledSource& labelled, const std::vector<std::string>& bad_stars,
                    const EvalReport& report) {
  for (const Failure& failure : report.failures) print_notice("eval: " + failure.message);
  if (report.failed > report.failures.size()) {
    print_notice("eval: and " + std::to_string(report.failed - report.failures.size()) + " more failed");
  }
  for (const std::string& message : bad_stars) print_notice("eval: " + message);
  if (report.stars.bad() > bad_stars.size()) {
    print_notice("eval: and " + std::to_string(report.stars.bad() - bad_stars.size()) + " more bad stars");
  }
  if (report.labelled == 0) {
    print_notice("eval: no review has a label: it is the field --label-field (" + a.fields.label +
                 "), or a folder pos or neg in the path");
  } else if (report.failed == report.labelled) {
    print_notice("eval: no review could be classified: nothing was measured");
  } else if (2 * report.failed > report.labelled) {
    print_notice("eval: most reviews failed, " + std::to_string(report.failed) + " of " +
                 std::to_string(report.labelled) + ": what was measured are the others");
  }
  if (!labelled.met_stars_field()) {
    print_notice("eval: no record has the field " + json_string(a.fields.stars) + " (--stars-field)");
  }
  const InputFindings findings = labelled.findings();
  print_findings(findings);
  return report.failed > 0 || report.labelled == 0 || report.stars.bad() > 0 || !labelled.met_stars_field() ||
         !findings.problems.empty();
}

int eval(EvalOptions a, const Interruption& interruption) {
  const std::vector<std::string> files = input_files(a.input, " or pipe reviews in");
  if (!a.bounds.max_drops.empty() && a.baseline.empty()) {
    throw Error(ErrorKind::usage, "--max-drop: needs a --baseline");
  }
  if (!a.stars_scale.empty()) a.fields.scale = parse_star_scale(a.stars_scale);
  const Manifest labels = find_labels(a.model);
  check_labels(labels);
  const LabelRules rules(labels, a.label_map);
  OutputPlan plan;
  plan.writes("--json", a.json);
  plan.writes("--report", a.report);
  plan.writes("--junit", a.junit);
  const bool table = named_descriptor(a.json) != STDOUT_FILENO;  // else the JSON is the result
  if (table) plan.writes("the table", "-");
  plan.reads_inputs(files, a.input.files_from);
  plan.reads("the --baseline", a.baseline);
  plan.reads_model(labels);
  plan.check();
  std::optional<Baseline> baseline;
  if (!a.baseline.empty()) baseline = read_baseline(a.baseline);

  InputOptions& input = a.input.options;
  input.pass = a.fields.pass();
  input.pass_required = false;
  input.skip = plan.skip();
  input.notify = print_notice;
  std::optional<FirstReading> first;
  if (can_be_read_twice(files)) {
    first = read_labels(a, files, rules, interruption);
    if (interruption.signal() != 0) {
      print_notice("eval: interrupted while labels were read; nothing is reported");
      return kInterrupted + interruption.signal();
    }
    if (!first->scheme) return kRecordsFailed;
    input.notify = [](const std::string&) {};  // all was said
  }

  const Package package = open_package_for(a.model, a.workers, a.quiet);
  check_labels(package.manifest);
  const PipelineOptions options = pipeline_options(a.workers, a.scoring, package.manifest, interruption);
  InputWaiter waiter(false);
  const auto source = open_source({}, files, input, waiter);
  Truths truths;
  LabelledSource labelled(*source, a.fields, rules, first ? first->scheme : std::nullopt, &truths);
  ProgressBar bar(*source, !a.quiet, input);
  EvalCollector collector(*package.manifest.positive, package.manifest.max_tokens, truths, bar);
  run_pipeline(labelled, *package.tokenizer, *package.model, collector, options);
  bar.clear();
  if (interruption.signal() != 0) {
    print_notice("eval: interrupted after " + std::to_string(collector.size()) +
                 " labelled reviews; nothing is reported");
    return kInterrupted + interruption.signal();
  }
  const std::optional<NumberScheme> scheme = first ? first->scheme : judge(a, rules, labelled);
  if (!scheme) return kRecordsFailed;

  EvalReport report = describe_run(a, package, options);
  measure(a, rules, *scheme, labelled, collector, report);
  hold_gates(a.bounds, baseline, report);

  if (!a.json.empty()) write_whole(a.json, report_json(report));
  if (!a.report.empty()) write_whole(a.report, report_html(report));
  if (!a.junit.empty()) write_whole(a.junit, report_junit(report));
  if (table) {
    OutputStream stream("");
    print_lines(stream, report_text(report));
    stream.close();
  }
  bool failed = print_failures(a, labelled, labelled.bad_stars(rules.meanings(labelled.labels(), *scheme)), report);
  if (first && first->reviews != labelled.read()) {
    failed = true;
    print_notice("eval: the inputs changed meanwhile: there were " + std::to_string(first->reviews) +
                 " reviews when labels were read, and " + std::to_string(labelled.read()) + " afterwards");
  }
  bool all_hold = true;
  for (const Gate& gate : report.gates) {
    all_hold = all_hold && gate.holds;
    if (!gate.holds || !a.quiet) {
      print_notice("eval: gate " + gate.name + (gate.holds ? " holds: " : " DOES NOT HOLD: ") + gate.found);
    }
  }
  if (!all_hold) return kGateFailed;
  return failed ? kRecordsFailed : kOk;
}

/// MEASURE=VALUE, and with `directed` only measures of which more or less is better.
Bound parse_bound(const std::string& option, const std::string& condition, bool directed) {
  const auto [name, text] = split_condition(condition, option, "MEASURE=VALUE");
  const std::optional<double> value = parse_number(text);
  if (!value) throw CLI::ValidationError(option, "\"" + text + "\" is not a number");
  std::string names;
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    const auto measure = static_cast<Measure>(m);
    if (directed && measure_direction(measure) == 0) continue;
    if (measure_name(measure) == name) return {measure, *value};
    names += (names.empty() ? "" : ", ") + std::string(measure_name(measure));
  }
  throw CLI::ValidationError(option, "\"" + name + "\" is none of the measures " + names);
}

void add_gate(CLI::App& app, const std::string& name, std::vector<Bound>& bounds, bool directed,
              const std::string& help) {
  const auto take = [&bounds, name, directed](const std::vector<std::string>& conditions) {
    for (const std::string& condition : conditions) bounds.push_back(parse_bound(name, condition, directed));
  };
  app.add_option_function<std::vector<std::string>>(name, take, help)
      ->type_name("MEASURE=VALUE")
      ->allow_extra_args(false);
}

}  // namespace

Run add_eval(CLI::App& app) {
  const auto a = std::make_shared<EvalOptions>();
  add_model_options(app, a->model);
  add_input_options(app, a->input);
  begin_group(app, "Labels");
  app.add_option("--label-field", a->fields.label,
                 "Field or column that holds the label: a name of the model's, pos or neg, 0 or 1, -1 or 1, 1 or 2")
      ->capture_default_str()
      ->type_name("FIELD");
  app.add_option("--label-map", a->label_map, "What other labels mean; nothing behind the = is for no label")
      ->type_name("VALUE=LABEL,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--stars-field", a->fields.stars, "Field or column that holds 1-10 stars")->type_name("FIELD");
  app.add_option("--stars-scale", a->stars_scale, "Lowest and highest stars there are, if not 1:10")
      ->type_name("LOW:HIGH");
  add_workers_option(app, a->workers);
  add_precision_option(app, a->model);
  add_scoring_options(app, a->scoring);
  begin_group(app, "Output and gates");
  app.add_option("--json", a->json, "Write all measures to FILE; - is stdout, in place of the table")
      ->type_name("FILE");
  app.add_option("--report", a->report, "Write a page with the curves to FILE")->type_name("FILE.html");
  app.add_option("--junit", a->junit, "Write the gates as JUnit XML to FILE")->type_name("FILE.xml");
  app.add_option("--baseline", a->baseline, "Compare with the --json of an earlier run")->type_name("FILE");
  add_gate(app, "--min", a->bounds.minimums, false, "Exit 4 if MEASURE is below VALUE; may repeat");
  add_gate(app, "--max", a->bounds.maximums, false, "Exit 4 if MEASURE is above VALUE; may repeat");
  add_gate(app, "--max-drop", a->bounds.max_drops, true,
           "Exit 4 if MEASURE is worse than the baseline's by more than VALUE; may repeat");
  app.add_flag("-q,--quiet", a->quiet, "No progress, and of the rest on stderr only what is wrong");
  add_footer(
      app,
      "A file of a folder pos or neg has that label, and the stars of its name, ID_STARS.txt. Reviews without "
      "a\nlabel (empty, unsup, -1 beside 0) are left out and counted. What labels mean is decided for all of them"
      "\ntogether, and said; where it cannot be told nothing is measured, until --label-map says it.\n"
      "Example: reviewrate eval labelled.jsonl --stars-field stars --min f1=0.92 --report eval.html");
  return [a](const Interruption& interruption) { return eval(*a, interruption); };
}

}  // namespace reviewrate::cli

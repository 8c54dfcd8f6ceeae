// reviewrate eval: classifies labelled reviews, measures, reports, and holds the gates.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <string_view>

#include "command.h"
#include "console.h"
#include "eval_mistakes.h"
#include "eval_plan.h"
#include "eval_predictions.h"
#include "eval_run.h"
#include "exit_status.h"
#include "help.h"
#include "labelled_source.h"
#include "labels.h"
#include "options.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/output_file.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/text.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

/// Says what is wrong with reviews: the first ones, a line each, and how many there are; in one line if `quiet`.
void print_first(const std::vector<std::string>& messages, std::size_t count, const std::string& what, bool quiet) {
  if (count == 0) return;
  if (quiet) return print_notice("eval: " + std::to_string(count) + ' ' + what + "; the first: " + messages.front());
  for (const std::string& message : messages) print_notice("eval: " + message);
  if (count > messages.size()) print_notice("eval: and " + std::to_string(count - messages.size()) + " more " + what);
}

/// Says what failed; true if anything did. `advice` is on labels, if there are none.
bool print_failures(const EvalPlan& plan, const LabelledSource& labelled, const std::vector<std::string>& bad_stars,
                    const EvalReport& report, const std::string& advice) {
  const bool quiet = plan.asked.quiet;
  std::vector<std::string> failures;
  for (const Failure& failure : report.failures) failures.push_back(failure.message);
  print_first(failures, report.failed, "failed", quiet);
  print_first(bad_stars, report.stars.bad(), "bad stars", quiet);
  if (report.labelled == 0) {
    print_notice("eval: no review has a label: it is the field --label-field (" + plan.fields.label +
                 "), or a folder pos or neg in the path" + advice);
  } else if (report.failed == report.labelled) {
    print_notice("eval: no review could be classified: nothing was measured");
  } else if (2 * report.failed > report.labelled) {
    print_notice("eval: most reviews failed, " + std::to_string(report.failed) + " of " +
                 std::to_string(report.labelled) + ": what was measured are the others");
  }
  if (!labelled.met_stars_field()) {
    print_notice("eval: no record has the field " + json_string(plan.fields.stars) + " (--stars-field)");
  }
  const InputFindings findings = labelled.findings();
  print_findings(findings);
  return report.failed > 0 || report.labelled == 0 || report.stars.bad() > 0 || !labelled.met_stars_field() ||
         !findings.problems.empty();
}

/// 2026-01-31T12:00:00Z.
std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// Another model's report as what is compared with.
Baseline baseline_of(const EvalReport& report, bool has_own_threshold) {
  return {.is_model = true,
          .measures = named_measures(report),
          .model = report.model,
          .model_sha256 = report.model_sha256,
          .precision = report.precision,
          .effort = report.effort,
          .threshold = has_own_threshold ? report.threshold : std::nullopt,
          .input_sha256 = report.input_sha256,
          .labels = report.labels.names,
          .outcomes = report.outcomes};
}

/// Writes the report in every form that was asked for; without a form for stdout and with something measured the table.
void write_report(const EvalPlan& plan, const EvalReport& report, const std::vector<Mistake>& mistakes) {
  const EvalOptions& a = plan.asked;
  if (!a.json.empty()) write_whole(a.json, report_json(report));
  if (!a.report.empty()) write_whole(a.report, report_html(report));
  if (!a.junit.empty()) write_whole(a.junit, report_junit(report));
  if (!a.markdown.empty()) write_whole(a.markdown, report_markdown(report));
  if (!a.mistakes.empty()) write_whole(a.mistakes, mistakes_jsonl(mistakes, report.labels));
  if (!plan.prints_table || report.labelled == report.failed) return;
  OutputStream stream("");
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  print_lines(stream,
              report_text(report) + (terminal ? mistakes_text(report, terminal_width(STDOUT_FILENO)) : std::string()));
  stream.close();
}

/// Says which gates hold; false if one does not.
bool print_gates(const EvalReport& report, bool quiet) {
  bool all_hold = true;
  for (const Gate& gate : report.gates) {
    all_hold = all_hold && gate.holds;
    if (!gate.holds || !quiet) {
      print_notice("eval: gate " + gate.name + (gate.holds ? " holds: " : " DOES NOT HOLD: ") + gate.found);
    }
  }
  return all_hold;
}

int eval(const EvalOptions& a, const Interruption& interruption) {
  const auto interrupted = [&](const std::string& when = "") {
    print_notice("eval: interrupted" + when + "; nothing is reported");
    return kInterrupted + interruption.signal();
  };
  const EvalPlan plan = plan_eval(a);
  std::optional<Predictions> predictions;
  if (!a.predictions.empty()) predictions.emplace(plan, interruption);
  if (predictions && !predictions->has_all_scores()) check_bounds_without_scores(a.bounds);
  FirstReading first;
  if (plan.can_be_read_twice) first = read_labels(plan, plan.files, interruption);
  if (interruption.signal() != 0) return interrupted(" while labels were read");
  if (plan.can_be_read_twice && !first.scheme) return kRecordsFailed;

  const std::optional<Scorings> scorings = choose_scorings(plan, first, interruption);
  if (!scorings) return interruption.signal() != 0 ? interrupted() : kRecordsFailed;
  std::optional<Baseline> baseline = plan.baseline;
  std::optional<EvalReport> other;
  if (!a.against.empty()) {
    other = rate(plan, a.other_model(), scorings->other, plan.files, *first.scheme, interruption);
    if (!other) return interrupted();
    baseline = baseline_of(*other, !a.fit_threshold.empty());
  }

  std::size_t workers = a.workers;
  std::optional<Package> package;
  if (!predictions) package = open_package_for(a.model, workers, a.quiet);
  const Manifest& manifest = package ? package->manifest : plan.manifest;
  const PipelineOptions options = pipeline_options(workers, scorings->ours, manifest, interruption);
  InputWaiter waiter(false);
  const InputOptions input = plan.can_be_read_twice ? plan.silent_input() : plan.input;
  const auto source = open_source({}, plan.files, input, waiter);
  Truths truths;
  LabelledSource labelled(*source, plan.fields, plan.rules, first.scheme, &truths);
  ProgressBar bar(*source, !a.quiet, input);
  EvalCollector collector(plan.labels(), label_numbers(manifest, plan.labels(), "--labels"), manifest.max_tokens,
                          truths, bar, !a.mistakes.empty());
  if (predictions) {
    predictions->rate(labelled, truths, collector, interruption);
  } else {
    run_pipeline(labelled, *package->tokenizer, *package->model, collector, options);
  }
  bar.clear();
  if (interruption.signal() != 0) return interrupted(" after " + counted(collector.size(), "labelled review"));
  const std::optional<NumberScheme> scheme = first.scheme ? first.scheme : judge(plan, labelled);
  if (!scheme) return kRecordsFailed;

  EvalReport report =
      predictions ? predictions->describe() : describe_run(*package, scorings->ours, plan.labels(), options);
  measure(plan.rules, *scheme, labelled, collector, kResamples, report);
  if (const std::string none = no_rating(manifest); package && report.stars.reviews() > 0 && !none.empty()) {
    print_notice("eval: " + none);
  }
  hold_gates(a.bounds, baseline, report);
  if (other) {
    const auto intervals =
        report.parts.front().evaluation.difference_intervals(other->parts.front().evaluation, kResamples, kSeed);
    for (std::size_t m = 0; m < intervals.size(); ++m) report.comparison->changes[m].difference = intervals[m];
  }
  const std::vector<Meaning> meanings = plan.rules.meanings(labelled.labels(), *scheme);
  std::vector<Mistake> mistakes;
  if (!a.mistakes.empty()) mistakes = collector.mistakes(meanings);
  if (a.explain.unit) {
    PipelineOptions explaining = options;
    set_explanation(explaining, a.explain, manifest);
    if (!explain_mistakes(mistakes, *package, explaining, !a.quiet)) return interrupted();
  }
  report.command = command_words();
  report.files = plan.files;
  report.date = utc_now();
  write_report(plan, report, mistakes);

  const std::string advice = report.labelled == 0 ? advice_on_labels(plan) : "";
  bool failed = print_failures(plan, labelled, labelled.bad_stars(meanings), report, advice);
  if (predictions && predictions->unreadable() > 0) failed = true;
  if (plan.can_be_read_twice && first.reviews != labelled.read()) {
    failed = true;
    print_notice("eval: the inputs changed meanwhile: there were " + counted(first.reviews, "review") +
                 " when labels were read, and " + std::to_string(labelled.read()) + " afterwards");
  }
  if (!print_gates(report, a.quiet)) return kGateFailed;
  return failed ? kRecordsFailed : kOk;
}

/// MEASURE=VALUE or MEASURE:LABEL=VALUE, and with `directed` only measures of which more or less is better.
Bound parse_bound(const std::string& option, const std::string& condition, bool directed) {
  const auto [what, text] = split_condition(condition, option, "MEASURE=VALUE");
  const std::optional<double> value = parse_number(text);
  if (!value) throw CLI::ValidationError(option, "\"" + text + "\" is not a number");
  if (!directed && what == kReviews) return {option, std::nullopt, "", *value};
  const std::size_t colon = what.find(':');
  const std::string name = what.substr(0, colon), label = colon == std::string::npos ? "" : what.substr(colon + 1);
  std::string names;
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    const auto measure = static_cast<Measure>(m);
    if (directed && measure_direction(measure) == 0) continue;
    if (measure_name(measure) == name) return {option, measure, label, *value};
    names += (names.empty() ? "" : ", ") + std::string(measure_name(measure));
  }
  throw CLI::ValidationError(
      option, "\"" + name + "\" is none of the measures " + names + (directed ? "" : std::string(", ") + kReviews));
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
  app.add_option(
         "--label-field", a->fields.label,
         "Field or column that holds the label: a name of the model's, pos or neg, 0 or 1, -1 or 1, 1 or 2; of other "
         "labels than a positive and a negative one: a name, its number (5 of \"5 stars\"), or its place from 0")
      ->capture_default_str()
      ->type_name("FIELD");
  app.add_option("--label-map", a->label_map,
                 "What other labels mean; VALUE may be a range of numbers, LOW:HIGH, such as stars; nothing behind the "
                 "= is for no label")
      ->type_name("VALUE=LABEL,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--stars-field", a->fields.stars, "Field or column that holds 1-10 stars")->type_name("FIELD");
  app.add_option("--stars-scale", a->stars_scale, "Lowest and highest stars there are, if not 1:10")
      ->type_name("LOW:HIGH");
  add_workers_option(app, a->workers);
  add_speed_options(app, a->model);
  add_scoring_options(app, a->scoring);
  app.add_option(
         "--fit-threshold", a->fit_threshold,
         "Take the --threshold that gives the best F1 on FILE, for each model its own: labelled reviews, but not those "
         "that are measured")
      ->type_name("FILE")
      ->excludes("--threshold");
  CLI::Option* predictions =
      app.add_option("--predictions", a->predictions,
                     "Measure what classify has written to FILE instead of running a model: records are found by their "
                     "ids; without other FILEs the true labels are those in it (by --pass label or --annotate). Its "
                     "labels and ratings count as they are; with --threshold the label goes by p_positive. -m names "
                     "the model that they are of")
          ->type_name("FILE")
          ->excludes("--fit-threshold");
  // They say how a model runs.
  for (const char* option :
       {"--cased", "--workers", "--precision", "--effort", "--long-text", "--stride", "--rating"}) {
    predictions->excludes(option);
  }
  app.add_option("--prefix", a->prefix, "What --prefix put before the names of ours in the --predictions")
      ->type_name("PREFIX")
      ->needs(predictions);
  begin_group(app, "Output and gates");
  app.add_option("--json", a->json, "Write all measures to FILE; - is stdout, in place of the table")
      ->type_name("FILE");
  app.add_option("--report", a->report, "Write a page with the curves to FILE")->type_name("FILE.html");
  app.add_option("--junit", a->junit, "Write the gates as JUnit XML to FILE")->type_name("FILE.xml");
  app.add_option("--markdown", a->markdown, "Write a summary for a job's page to FILE")->type_name("FILE.md");
  app.add_option("--mistakes", a->mistakes,
                 "Write the reviews where label and model disagree to FILE, the surest first: many on top are wrong "
                 "labels; - is stdout, in place of the table")
      ->type_name("FILE.jsonl");
  add_explain_options(app, a->explain)->needs("--mistakes")->excludes(predictions);
  begin_group(app, "Output and gates");
  CLI::Option* baseline =
      app.add_option("--baseline", a->baseline, "Compare with the --json of an earlier run")->type_name("FILE");
  app.add_flag("--allow-missing-baseline", a->allow_missing_baseline,
               "Where there is no --baseline yet, say so and hold the other gates")
      ->needs(baseline);
  app.add_option("--against", a->against,
                 "Compare with another model on the same reviews: differences with intervals, and McNemar's test")
      ->type_name("NAME|DIR")
      ->excludes(baseline)
      ->excludes(predictions);
  add_gate(
      app, "--min", a->bounds.minimums, false,
      "Exit 4 if MEASURE is below VALUE, or if there are fewer reviews (reviews=VALUE); may repeat. Of more than two "
      "labels macro_f1 and weighted_f1 are measures, and f1:LABEL (precision, recall, roc_auc, "
      "average_precision) is that of one label");
  add_gate(app, "--max", a->bounds.maximums, false, "Exit 4 if MEASURE is above VALUE; may repeat");
  add_gate(app, "--max-drop", a->bounds.max_drops, true,
           "Exit 4 if MEASURE is worse than the baseline's, or the other model's, by more than VALUE; may repeat");
  app.add_flag("-q,--quiet", a->quiet, "No progress, and of the rest on stderr only what is wrong");
  add_footer(app,
             "A file of a folder pos or neg has that label, and the stars of its name,\n"
             "ID_STARS.txt. Reviews without a label (empty, unsup, -1 beside 0) are left out\n"
             "and counted. What labels mean is decided for all of them together, and said;\n"
             "where it cannot be told nothing is measured, until --label-map says it.\n"
             "Example: reviewrate eval labelled.jsonl --min f1=0.92 --report eval.html\n"
             "Example: reviewrate eval models/imdb-small/examples.csv \\\n"
             "             --label-field stars --label-map 1:4=NEGATIVE,5:6=,7:10=POSITIVE\n"
             "Example: reviewrate eval labelled.csv -m models/new --against imdb-small");
  return [a](const Interruption& interruption) { return eval(*a, interruption); };
}

}  // namespace reviewrate::cli

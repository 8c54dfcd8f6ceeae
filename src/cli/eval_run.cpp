// The steps of an evaluation, each of which says on stderr what a person should know.
#include "eval_run.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <functional>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "console.h"
#include "predictions.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/rating.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/text.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

/// What a field with stars is often called.
constexpr std::array<std::string_view, 7> kStarFields = {"stars",       "star",       "rating", "ratings",
                                                         "star_rating", "starrating", "overall"};
constexpr std::size_t kStarsToLookAt = 1000;

}  // namespace

Manifest find_labels(const ModelChoice& choice) {
  Manifest manifest = find_manifest(choice);
  if (!manifest.labels.empty()) return manifest;
  // Of a bare file the logits tell how many there are.
  std::size_t workers = 1;
  return open_package_for(choice, workers, /*quiet=*/true).manifest;
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

bool can_be_read_twice(const std::vector<std::string>& files) {
  return std::all_of(files.begin(), files.end(), [](const std::string& file) {
    struct stat status = {};
    // What stands under /dev and /proc may be a pipe's end.
    if (file == "-" || file.starts_with("/dev/") || file.starts_with("/proc/")) return false;
    return ::stat(file.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
  });
}

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

std::string advice_on_labels(const EvalOptions& a, const std::vector<std::string>& files, const LabelRules& rules) {
  if (!can_be_read_twice(files)) return "";
  InputWaiter waiter(false);
  InputOptions input = a.input.options;
  input.notify = [](const std::string&) {};  // all was said
  input.pass.clear();
  input.annotate = true;
  Review review;
  const auto source = open_source({}, files, input, waiter);
  static_cast<void>(source->next(review, /*may_block=*/true));
  const std::vector<std::string> names = source->columns();
  if (names.empty() || std::find(names.begin(), names.end(), a.fields.label) != names.end()) return "";
  const auto named = std::find_if(names.begin(), names.end(), [](const std::string& name) {
    return std::find(kStarFields.begin(), kStarFields.end(), ascii_lower(name)) != kStarFields.end();
  });
  if (named != names.end()) {
    input.annotate = false;
    input.pass = {*named};
    input.limit = kStarsToLookAt;
    StarCounts stars;
    const auto again = open_source({}, files, input, waiter);
    while (again->next(review, /*may_block=*/true) == Source::Status::review) {
      if (review.passed.empty()) continue;
      stars.add({.given = true, .in_name = false, .number = parse_number(review.passed.front().value.text)}, {});
    }
    if (rules.labels().task == Task::binary && stars.high && *stars.low >= 1 && *stars.high <= 10) {
      const std::string negative = "=" + rules.name(kNegative), positive = "=" + rules.name(kPositive);
      const std::string cuts =
          stars.above_five ? "1:4" + negative + ",5:6=,7:10" + positive : "1:2" + negative + ",3=,4:5" + positive;
      return "; the field " + json_string(*named) + " can say it: --label-field " + *named + " --label-map " + cuts;
    }
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + json_string(name);
  return "; the fields there are: " + list;
}

FirstReading read_labels(const EvalOptions& a, const std::vector<std::string>& files, const LabelRules& rules,
                         const Interruption& interruption) {
  InputWaiter waiter(false);
  const auto source = open_source({}, files, a.input.options, waiter);
  LabelledSource labelled(*source, a.fields, rules, std::nullopt, nullptr);
  std::unordered_set<std::size_t> texts;
  {
    ProgressBar bar(*source, !a.quiet, a.input.options);
    Review review;
    while (!interruption.flag().load() && labelled.next(review, /*may_block=*/true) == Source::Status::review) {
      bar.update(labelled.read(), review.position);
      if (!a.fit_threshold.empty() && !review.failure) texts.insert(std::hash<std::string>()(review.text));
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
  return {judge(a, rules, labelled), labelled.read(), std::move(texts)};
}

EvalReport describe_run(const EvalOptions& a, const Package& package, const MeasuredLabels& labels,
                        const PipelineOptions& options) {
  const Manifest& manifest = package.manifest;
  EvalReport report;
  report.model = manifest.name;
  report.model_sha256 = model_sha256(manifest);
  report.precision = precision_name(package.precision);
  report.effort = package.effort;
  report.long_text = long_text_name(options.window.policy);
  report.rating = !no_rating(manifest).empty() ? "none" : a.scoring.fitted_rating.value_or(false) ? "fitted" : "linear";
  report.labels = labels;
  report.max_tokens = manifest.max_tokens;
  if (labels.task == Task::binary) report.threshold = a.scoring.threshold_or_half();
  return report;
}

EvalReport describe_predictions(const EvalOptions& a, const Manifest& manifest) {
  EvalReport report;
  report.model = "predictions of " + a.predictions;
  report.model_sha256 = sha256_file(a.predictions);
  report.precision = report.effort = report.long_text = "as they are";
  report.labels = measured_labels(manifest);
  const bool binary = report.labels.task == Task::binary;
  report.rating = binary ? "linear" : "as they are";
  report.max_tokens = manifest.max_tokens;
  if (binary) report.threshold = a.scoring.threshold_or_half();
  return report;
}

void take_predictions(const EvalOptions& a, const Manifest& manifest, LabelledSource& labelled, Truths& truths,
                      EvalCollector& collector, const Interruption& interruption) {
  InputWaiter waiter(false);
  PredictionReader reader(a.predictions, waiter, a.prefix);
  if (const std::string what = reader.recognize(); !what.empty()) {
    throw Error(ErrorKind::input, a.predictions + ": is " + what + ", and --predictions reads what classify writes");
  }
  std::unordered_map<std::string, std::deque<PredictionRecord>> predictions;  // by id, in their order
  PredictionRecord record;
  while (!interruption.flag().load() && reader.next(record)) predictions[record.id.text].push_back(record);
  if (reader.records() == 0 && reader.broken() > 0) {
    throw Error(ErrorKind::input, a.predictions + ": there is no prediction record in it");
  }
  const bool are_the_input = a.input.options.text_field == a.prefix + "label";  // what is read as a text is none
  Outcome outcome;
  while (!interruption.flag().load() && labelled.next(outcome.review, /*may_block=*/true) == Source::Status::review) {
    outcome.prediction.reset();
    if (are_the_input) outcome.review.text.clear();
    if (!outcome.review.failure) {
      std::deque<PredictionRecord>& found = predictions[outcome.review.id.text];
      const auto fail = [&](const std::string& reason) {
        truths.take();
        outcome.review.failure = Failure{"prediction", failure_message(outcome.review.id.text, reason)};
      };
      if (found.empty()) {
        fail("there is no prediction of this id in " + a.predictions);
      } else if (found.front().failed) {
        fail("is an error record (" + found.front().label + ") in " + a.predictions);
      } else {
        const PredictionRecord& said = found.front();
        Prediction prediction;
        prediction.tokens = said.tokens.value_or(0);
        if (!has_threshold(manifest)) {
          const auto label = std::find(manifest.labels.begin(), manifest.labels.end(), said.label);
          prediction.label = static_cast<std::size_t>(label - manifest.labels.begin());
          prediction.score = said.score.value_or(0);
          prediction.rating = said.rating;
          if (label == manifest.labels.end()) {
            fail("has the label " + shown_label(said.label) + " in " + a.predictions + ", and those of model " +
                 manifest.name + " (-m) are " + listed(manifest.labels));
          } else if (!said.score) {
            fail("has no score in " + a.predictions);
          } else {
            outcome.prediction = prediction;
          }
        } else if (said.has_positive) {
          const bool called = said.p >= a.scoring.threshold_or_half();
          prediction.label = called ? *manifest.positive : 1 - *manifest.positive;
          prediction.positive = said.p;
          prediction.rating = linear_rating(said.p);
          outcome.prediction = prediction;
        } else {
          fail("has no p_positive in " + a.predictions);
        }
      }
      if (!found.empty()) found.pop_front();
    }
    collector.write(outcome);
  }
}

void measure(const LabelRules& rules, NumberScheme scheme, LabelledSource& labelled, const EvalCollector& collector,
             std::size_t resamples, EvalReport& report) {
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
    Evaluation evaluation(collector.observations(meanings, report.stars, length));
    auto intervals = evaluation.intervals(resamples, kSeed);
    report.parts.push_back({key, title, std::move(evaluation), intervals});
  };
  const std::string limit = std::to_string(report.max_tokens) + " tokens";
  add_part("all", "all", EvalCollector::Length::any);
  add_part("short", "<= " + limit, EvalCollector::Length::within_limit);
  add_part("long", "> " + limit, EvalCollector::Length::beyond_limit);
}

std::optional<EvalReport> rate(const EvalOptions& a, const ModelChoice& model, const std::vector<std::string>& files,
                               const LabelRules& rules, NumberScheme scheme, const Interruption& interruption) {
  std::size_t workers = a.workers;
  const Package package = open_package_for(model, workers, a.quiet);
  const MeasuredLabels& labels = rules.labels();
  const PipelineOptions options = pipeline_options(workers, a.scoring, package.manifest, interruption);
  InputWaiter waiter(false);
  InputOptions input = a.input.options;
  input.notify = [](const std::string&) {};  // all was said
  const auto source = open_source({}, files, input, waiter);
  Truths truths;
  LabelledSource labelled(*source, a.fields, rules, scheme, &truths);
  ProgressBar bar(*source, !a.quiet, input);
  EvalCollector collector(labels, label_numbers(package.manifest, labels, "--against"), package.manifest.max_tokens,
                          truths, bar);
  run_pipeline(labelled, *package.tokenizer, *package.model, collector, options);
  if (interruption.signal() != 0) return std::nullopt;
  EvalReport report = describe_run(a, package, labels, options);
  measure(rules, scheme, labelled, collector, 0, report);
  return report;
}

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

bool fit_threshold(EvalOptions& a, const LabelRules& rules, const std::unordered_set<std::size_t>& measured,
                   const Interruption& interruption) {
  const FirstReading first = read_labels(a, {a.fit_threshold}, rules, interruption);
  if (!first.scheme) return false;
  const auto report = rate(a, a.model, {a.fit_threshold}, rules, *first.scheme, interruption);
  if (!report) return false;
  const Evaluation& evaluation = report->parts.front().evaluation;
  const std::optional<double> best = evaluation.middle_of_best_threshold();
  if (!best) {
    throw Error(ErrorKind::usage, "--fit-threshold " + a.fit_threshold + ": must have reviews of both labels");
  }
  a.scoring.threshold = *best;
  print_notice("eval: --threshold " + shortest(*best) + ": gives the best F1, " +
               decimals(evaluation.value({Measure::best_f1})) + ", on " + a.fit_threshold);
  const auto shared =
      std::count_if(first.texts.begin(), first.texts.end(), [&](std::size_t text) { return measured.contains(text); });
  if (shared > 0) {
    print_notice("eval: --fit-threshold " + a.fit_threshold + ": " + std::to_string(shared) +
                 (shared == 1 ? " text of it is" : " texts of it are") +
                 " also measured, so what is measured looks better than it is");
  }
  return true;
}

}  // namespace reviewrate::cli

// The steps of an evaluation, each of which says on stderr what a person should know.
#include "eval_run.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include "console.h"
#include "predictions.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
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

std::optional<NumberScheme> judge(const EvalPlan& plan, const LabelledSource& source) {
  const LabelRules& rules = plan.rules;
  const LabelColumn& labels = source.labels();
  const bool quiet = plan.asked.quiet;
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
    print_notice("eval: " + rules.refusal(labels, plan.fields.label));
    return std::nullopt;
  }
  const std::string taken = rules.taken(labels, *scheme);
  if (!taken.empty() && (!quiet || rules.is_guess(labels, *scheme))) print_notice("eval: labels: " + taken);
  if (const std::string unmatched = rules.unmatched(labels); !unmatched.empty()) {
    print_notice("eval: --label-map: no review has the label " + unmatched);
  }
  const StarFindings stars = source.stars(rules.meanings(labels, *scheme));
  if (!stars.seen().empty() && (!quiet || stars.bad() > 0)) print_notice("eval: " + stars.seen());
  if (!stars.doubt().empty()) print_notice("eval: " + stars.doubt());
  return scheme;
}

std::string advice_on_labels(const EvalPlan& plan) {
  if (!plan.can_be_read_twice) return "";
  InputWaiter waiter(false);
  InputOptions input = plan.silent_input();
  input.pass.clear();
  input.annotate = true;
  Review review;
  const auto source = open_source({}, plan.files, input, waiter);
  static_cast<void>(source->next(review, /*may_block=*/true));
  const std::vector<std::string> names = source->columns();
  if (names.empty() || std::find(names.begin(), names.end(), plan.fields.label) != names.end()) return "";
  const auto named = std::find_if(names.begin(), names.end(), [](const std::string& name) {
    return std::find(kStarFields.begin(), kStarFields.end(), ascii_lower(name)) != kStarFields.end();
  });
  if (named != names.end()) {
    input.annotate = false;
    input.pass = {*named};
    input.limit = kStarsToLookAt;
    StarCounts stars;
    const auto again = open_source({}, plan.files, input, waiter);
    while (again->next(review, /*may_block=*/true) == Source::Status::review) {
      if (review.passed.empty()) continue;
      stars.add({.given = true, .in_name = false, .number = parse_number(review.passed.front().value.text)}, {});
    }
    if (plan.labels().task == Task::binary && stars.high && *stars.low >= 1 && *stars.high <= 10) {
      const std::string negative = "=" + plan.rules.name(kNegative), positive = "=" + plan.rules.name(kPositive);
      const std::string cuts =
          stars.above_five ? "1:4" + negative + ",5:6=,7:10" + positive : "1:2" + negative + ",3=,4:5" + positive;
      return "; the field " + json_string(*named) + " can say it: --label-field " + *named + " --label-map " + cuts;
    }
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + json_string(name);
  return "; the fields there are: " + list;
}

FirstReading read_labels(const EvalPlan& plan, const std::vector<std::string>& files,
                         const Interruption& interruption) {
  const EvalOptions& a = plan.asked;
  InputWaiter waiter(false);
  const auto source = open_source({}, files, plan.input, waiter);
  LabelledSource labelled(*source, plan.fields, plan.rules, std::nullopt, nullptr);
  std::unordered_set<std::size_t> texts;
  {
    ProgressBar bar(*source, !a.quiet, plan.input);
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
  return {judge(plan, labelled), labelled.read(), std::move(texts)};
}

EvalReport describe_run(const Package& package, const ScoringChoice& scoring, const MeasuredLabels& labels,
                        const PipelineOptions& options) {
  const Manifest& manifest = package.manifest;
  EvalReport report;
  report.model = manifest.name;
  report.model_sha256 = model_sha256(manifest);
  report.precision = precision_name(package.precision);
  report.effort = package.effort;
  report.long_text = long_text_name(options.window.policy);
  report.rating = !no_rating(manifest).empty() ? "none" : scoring.fitted_rating.value_or(false) ? "fitted" : "linear";
  report.labels = labels;
  report.max_tokens = manifest.max_tokens;
  if (labels.task == Task::binary) report.threshold = scoring.threshold_or_half();
  return report;
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

std::optional<EvalReport> rate(const EvalPlan& plan, const ModelChoice& model, const ScoringChoice& scoring,
                               const std::vector<std::string>& files, NumberScheme scheme,
                               const Interruption& interruption) {
  std::size_t workers = plan.asked.workers;
  const Package package = open_package_for(model, workers, plan.asked.quiet);
  const PipelineOptions options = pipeline_options(workers, scoring, package.manifest, interruption);
  InputWaiter waiter(false);
  const InputOptions input = plan.silent_input();
  const auto source = open_source({}, files, input, waiter);
  Truths truths;
  LabelledSource labelled(*source, plan.fields, plan.rules, scheme, &truths);
  ProgressBar bar(*source, !plan.asked.quiet, input);
  EvalCollector collector(plan.labels(), label_numbers(package.manifest, plan.labels(), "--against"),
                          package.manifest.max_tokens, truths, bar);
  run_pipeline(labelled, *package.tokenizer, *package.model, collector, options);
  if (interruption.signal() != 0) return std::nullopt;
  EvalReport report = describe_run(package, scoring, plan.labels(), options);
  measure(plan.rules, scheme, labelled, collector, 0, report);
  return report;
}

std::optional<Scorings> choose_scorings(const EvalPlan& plan, const FirstReading& measured,
                                        const Interruption& interruption) {
  const EvalOptions& a = plan.asked;
  Scorings scorings{a.scoring, a.scoring};
  if (a.fit_threshold.empty()) return scorings;
  const std::string option = "--fit-threshold " + a.fit_threshold + ": ";
  const FirstReading first = read_labels(plan, {a.fit_threshold}, interruption);
  if (!first.scheme) return std::nullopt;
  const auto fit = [&](const ModelChoice& model, const std::string& whose, ScoringChoice& scoring) {
    const auto report = rate(plan, model, a.scoring, {a.fit_threshold}, *first.scheme, interruption);
    if (!report) return false;
    const Evaluation& evaluation = report->parts.front().evaluation;
    scoring.threshold = evaluation.middle_of_best_threshold();
    if (!scoring.threshold) throw Error(ErrorKind::usage, option + "must have reviews of both labels");
    print_notice("eval: " + whose + "--threshold " + shortest(*scoring.threshold) + ": gives the best F1, " +
                 decimals(evaluation.value({Measure::best_f1})) + ", on " + a.fit_threshold);
    return true;
  };
  if (!fit(a.model, "", scorings.ours)) return std::nullopt;
  if (!a.against.empty() && !fit(a.other_model(), "--against " + a.against + ": ", scorings.other)) {
    return std::nullopt;
  }
  const auto shared = std::count_if(first.texts.begin(), first.texts.end(),
                                    [&](std::size_t text) { return measured.texts.contains(text); });
  if (shared > 0) {
    print_notice("eval: " + option + std::to_string(shared) + (shared == 1 ? " text of it is" : " texts of it are") +
                 " also measured, so what is measured looks better than it is");
  }
  return scorings;
}

}  // namespace reviewrate::cli

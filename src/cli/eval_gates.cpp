// Gates and the comparison with a baseline.
#include "eval_gates.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "predictions.h"
#include "reviewrate/error.h"
#include "reviewrate/file.h"
#include "reviewrate/manifest.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMaxBaselineBytes = std::size_t{1} << 30;

/// What else than the reviews may be why the measures changed: "Another model than the baseline's ...". Empty: nothing.
std::string other_model(const Baseline& old, const EvalReport& report) {
  const auto model = [](const std::string& name, const std::string& sha256) {
    constexpr std::size_t kShown = 12;
    return name + " (" + sha256.substr(0, kShown) + ")";
  };
  std::string out;
  if (old.model_sha256 != report.model_sha256) {
    out += " The baseline's model was " + model(old.model, old.model_sha256) + ", this one's is " +
           model(report.model, report.model_sha256) + ".";
  }
  if (old.precision != report.precision) {
    out += " The baseline's precision was " + old.precision + ", this one's is " + report.precision + ".";
  }
  if (old.effort != report.effort) {
    out += " The baseline's effort was " + old.effort + ", this one's is " + report.effort + ".";
  }
  return out;
}

/// Says whether old and new differ by more than chance, where both saw the same reviews.
void judge_by_chance(const Baseline& old, const EvalReport& report, BaselineComparison& comparison) {
  if (old.input_sha256 != report.input_sha256 || old.outcomes.size() != report.outcomes.size()) {
    comparison.verdict = "The baseline saw other reviews: whether the difference is more than chance cannot be told.";
    return;
  }
  std::size_t only_old = 0, only_new = 0;
  for (std::size_t i = 0; i < old.outcomes.size(); ++i) {
    only_old += old.outcomes[i] == '1' && report.outcomes[i] == '0' ? 1 : 0;
    only_new += old.outcomes[i] == '0' && report.outcomes[i] == '1' ? 1 : 0;
  }
  comparison.mcnemar = mcnemar_exact(only_old, only_new);
  const std::string counts = old.is_model
                                 ? "Right with " + comparison.before + " alone: " + counted(only_old, "review") +
                                       "; right with " + comparison.after + " alone: " + std::to_string(only_new)
                                 : "Right before and wrong now: " + counted(only_old, "review") +
                                       "; wrong before and right now: " + std::to_string(only_new);
  comparison.verdict =
      counts + ". Exact McNemar test: p = " + decimals(comparison.mcnemar) +
      (*comparison.mcnemar < 0.05 ? ", more than chance (at 5 %)." : ", no more than chance (at 5 %).");
}

/// Gives the baseline's measures the names that they have with `labels`. Throws Error(usage), which names `path`.
void take_labels(Baseline& baseline, const std::string& path, const MeasuredLabels& labels) {
  std::set<std::size_t> numbers;
  for (const std::string& name : baseline.labels) {
    if (const std::optional<std::size_t> number = number_of(name, labels)) numbers.insert(*number);
  }
  const bool binary = labels.task == Task::binary;
  // Two labels may be called differently: which is the positive one is known.
  const bool fits = binary ? baseline.labels.empty() || baseline.labels.size() == 2
                           : numbers.size() == labels.names.size() && numbers.size() == baseline.labels.size();
  if (!fits) {
    throw Error(ErrorKind::usage, "--baseline " + path + ": is of a model with the labels " + listed(baseline.labels) +
                                      ", and this one's are " + listed(labels.names));
  }
  if (binary) return;
  std::map<std::string, double> measures;
  for (const auto& [title, value] : baseline.measures) {
    const std::size_t colon = title.find(':');  // no measure's own name has one
    const auto number = colon == std::string::npos ? std::nullopt : number_of(title.substr(colon + 1), labels);
    measures[number ? title.substr(0, colon + 1) + labels.names[*number] : title] = value;
  }
  baseline.measures = std::move(measures);
}

bool is_of_stars(Measure measure) {
  return measure == Measure::rating_mae || measure == Measure::rating_within_one || measure == Measure::rating_spearman;
}

}  // namespace

Baseline read_baseline(const std::string& path, const MeasuredLabels& labels) {
  const std::string where = "baseline " + path;
  const std::string text = read_file(path, kMaxBaselineBytes, ErrorKind::input);
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    Baseline baseline;
    for (const auto& [name, value] : json.at("parts").at("all").at("measures").items()) {
      if (!value.is_null()) baseline.measures[name] = value.get<double>();
    }
    baseline.model = json.at("model").at("name").get<std::string>();
    baseline.model_sha256 = json.at("model").at("sha256").get<std::string>();
    baseline.precision = json.at("precision").get<std::string>();
    baseline.effort = json.value("effort", kFullEffort);  // reports of before there was a choice have none
    baseline.input_sha256 = json.at("input").at("sha256").get<std::string>();
    baseline.labels = json.value("labels", baseline.labels);
    baseline.outcomes = json.at("outcomes").get<std::string>();
    take_labels(baseline, path, labels);
    return baseline;
  } catch (const nlohmann::json::exception& e) {
    const std::string what = is_prediction(text.substr(0, text.find('\n')))
                                 ? "it holds predictions (eval --json writes reports)"
                                 : json_complaint(e.what());
    throw Error(ErrorKind::input, where + ": is no report of reviewrate eval: " + what);
  }
}

std::map<std::string, double> named_measures(const EvalReport& report) {
  std::map<std::string, double> out;
  const Evaluation& all = report.parts.front().evaluation;
  for (std::size_t m = 0; m < all.measured().size(); ++m) {
    if (all.measures()[m]) out[measure_title(all.measured()[m], report.labels)] = *all.measures()[m];
  }
  return out;
}

void check_bounds(const Bounds& bounds, const Manifest& manifest, const MeasuredLabels& labels, bool of_predictions) {
  const bool binary = labels.task == Task::binary;
  const auto check = [&](const Bound& bound) {
    if (!bound.measure) return;
    const std::string name(measure_name(*bound.measure));
    const auto fail = [&](const std::string& why) {
      const std::string label = bound.label.empty() ? "" : ":" + bound.label;
      throw Error(ErrorKind::usage, bound.option + ' ' + name + label + ": " + why);
    };
    const std::string have = "model " + manifest.name + " has the labels " + listed(labels.names);
    if (!bound.label.empty()) {
      if (binary) fail(have + ", and measures of one label are for models of more: use " + name);
      if (!has_measure(labels.task, *bound.measure, true)) fail("is no measure of one label");
      if (!number_of(bound.label, labels)) fail(have);
    } else if (!has_measure(labels.task, *bound.measure, false)) {
      if (binary) fail(have + ", and this measure is for models of more: use f1");
      const bool of_labels = has_measure(labels.task, *bound.measure, true);
      fail("is for models of two labels, one of them positive, and " + have +
           (of_labels ? ": say of which it is to be, as in " + name + ":" + labels.names.front() +
                            (*bound.measure == Measure::f1 ? ", or use macro_f1 or weighted_f1" : "")
                      : ""));
    }
    const std::string none = of_predictions ? "" : no_rating(manifest);
    if (is_of_stars(*bound.measure) && !none.empty()) fail(none);
  };
  for (const auto* list : {&bounds.minimums, &bounds.maximums, &bounds.max_drops}) {
    std::for_each(list->begin(), list->end(), check);
  }
}

void check_bounds_without_scores(const Bounds& bounds) {
  for (const auto* list : {&bounds.minimums, &bounds.maximums, &bounds.max_drops}) {
    for (const Bound& bound : *list) {
      if (bound.measure != Measure::roc_auc && bound.measure != Measure::average_precision &&
          bound.measure != Measure::log_loss && bound.measure != Measure::brier) {
        continue;
      }
      throw Error(ErrorKind::usage,
                  bound.option + ' ' + std::string(measure_name(*bound.measure)) +
                      (bound.label.empty() ? "" : ":" + bound.label) +
                      ": needs the probabilities of all labels (scores), and not all --predictions have them");
    }
  }
}

void hold_gates(const Bounds& bounds, const std::optional<Baseline>& baseline, EvalReport& report) {
  const Evaluation& evaluation = report.parts.front().evaluation;
  const auto measure_of = [&](const Bound& bound) {
    return MeasureOf{*bound.measure, bound.label.empty() ? std::nullopt : number_of(bound.label, report.labels)};
  };
  const auto name_of = [&](const Bound& bound) {
    return bound.measure ? measure_title(measure_of(bound), report.labels) : std::string(kReviews);
  };
  const auto why = [&](const Bound& bound) {
    const bool of_stars = bound.measure && is_of_stars(*bound.measure);
    return of_stars && !report.stars.doubt().empty() ? ": " + report.stars.doubt() : "";
  };
  const auto gate = [&](const Bound& bound, const char* relation, auto holds) {
    const std::optional<double> value =
        bound.measure ? evaluation.value(measure_of(bound)) : static_cast<double>(evaluation.size());
    const std::string found = value ? "it is " + shortest(*value) : "it is not defined for these reviews" + why(bound);
    report.gates.push_back(
        {name_of(bound) + relation + shortest(bound.value), value && holds(*value, bound.value), found});
  };
  for (const Bound& bound : bounds.minimums)
    gate(bound, " >= ", [](double value, double least) { return value >= least; });
  for (const Bound& bound : bounds.maximums)
    gate(bound, " <= ", [](double value, double most) { return value <= most; });
  if (!baseline) return;

  report.comparison.emplace();
  if (baseline->is_model) {
    report.comparison->before = baseline->model;
    report.comparison->after = report.model;
    if (baseline->model == report.model) report.comparison->before += " (--against)";
    report.comparison->before_threshold = baseline->threshold;
  }
  judge_by_chance(*baseline, report, *report.comparison);
  if (!baseline->is_model) report.comparison->verdict += other_model(*baseline, report);
  for (std::size_t m = 0; m < evaluation.measured().size(); ++m) {
    const std::string name = measure_title(evaluation.measured()[m], report.labels);
    const auto before = baseline->measures.find(name);
    report.comparison->changes.push_back(
        {name, evaluation.measured()[m].label.has_value(),
         before == baseline->measures.end() ? std::nullopt : std::optional(before->second), evaluation.measures()[m]});
  }
  for (const Bound& bound : bounds.max_drops) {
    const std::string name = name_of(bound);
    const Change& change = *std::find_if(report.comparison->changes.begin(), report.comparison->changes.end(),
                                         [&](const Change& each) { return each.name == name; });
    Gate drop{name_of(bound) + " no more than " + shortest(bound.value) + " worse", false,
              "it is not defined for these reviews or for the baseline"};
    if (change.before && change.after) {
      // 0.93 - 0.928 is a little above 0.002 in binary.
      constexpr double kRounding = 1e-12;
      const double worse = measure_direction(*bound.measure) * (*change.before - *change.after);
      drop.holds = worse <= bound.value + kRounding;
      drop.found = "it was " + shortest(*change.before) + " and is " + shortest(*change.after);
    }
    report.gates.push_back(drop);
  }
}

}  // namespace reviewrate::cli

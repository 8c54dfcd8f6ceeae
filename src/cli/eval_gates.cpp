// Gates and the comparison with a baseline.
#include "eval_gates.h"

#include <cstddef>
#include <nlohmann/json.hpp>

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

}  // namespace

Baseline read_baseline(const std::string& path) {
  const std::string where = "baseline " + path;
  const std::string text = read_file(path, kMaxBaselineBytes, ErrorKind::input);
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    Baseline baseline;
    for (const auto& [name, value] : json.at("parts").at("all").at("measures").items()) {
      const std::optional<Measure> measure = parse_measure(name);
      if (measure && !value.is_null()) baseline.measures[static_cast<std::size_t>(*measure)] = value.get<double>();
    }
    baseline.model = json.at("model").at("name").get<std::string>();
    baseline.model_sha256 = json.at("model").at("sha256").get<std::string>();
    baseline.precision = json.at("precision").get<std::string>();
    baseline.effort = json.value("effort", kFullEffort);  // reports of before there was a choice have none
    baseline.input_sha256 = json.at("input").at("sha256").get<std::string>();
    baseline.outcomes = json.at("outcomes").get<std::string>();
    return baseline;
  } catch (const nlohmann::json::exception& e) {
    const std::string what = is_prediction(text.substr(0, text.find('\n')))
                                 ? "it holds predictions (eval --json writes reports)"
                                 : json_complaint(e.what());
    throw Error(ErrorKind::input, where + ": is no report of reviewrate eval: " + what);
  }
}

void hold_gates(const Bounds& bounds, const std::optional<Baseline>& baseline, EvalReport& report) {
  const Evaluation& evaluation = report.parts.front().evaluation;
  const Measures& measures = evaluation.measures();
  const auto name_of = [](const Bound& bound) {
    return bound.measure ? std::string(measure_name(*bound.measure)) : std::string(kReviews);
  };
  const auto why = [&](const Bound& bound) {
    const bool of_stars = bound.measure == Measure::rating_mae || bound.measure == Measure::rating_within_one ||
                          bound.measure == Measure::rating_spearman;
    return of_stars && !report.stars.doubt().empty() ? ": " + report.stars.doubt() : "";
  };
  const auto gate = [&](const Bound& bound, const char* relation, auto holds) {
    const std::optional<double> value =
        bound.measure ? measures[static_cast<std::size_t>(*bound.measure)] : static_cast<double>(evaluation.size());
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
  }
  judge_by_chance(*baseline, report, *report.comparison);
  if (!baseline->is_model) report.comparison->verdict += other_model(*baseline, report);
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    report.comparison->changes.push_back({static_cast<Measure>(m), baseline->measures[m], measures[m]});
  }
  for (const Bound& bound : bounds.max_drops) {
    const Change& change = report.comparison->changes[static_cast<std::size_t>(*bound.measure)];
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

// What eval compares its measures with: bounds, and the report of an earlier run.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval_report.h"
#include "reviewrate/metrics.h"

namespace reviewrate::cli {

/// What a gate asks of a measure, or of the number of reviews that were measured.
struct Bound {
  std::string option;              ///< that asked for it
  std::optional<Measure> measure;  ///< empty: of the reviews
  std::string label;               ///< of which it is the measure; empty: of all
  double value = 0;
};

/// What the bounds call the number of reviews.
inline constexpr const char* kReviews = "reviews";

/// The bounds of all gates.
struct Bounds {
  std::vector<Bound> minimums;
  std::vector<Bound> maximums;
  std::vector<Bound> max_drops;  ///< since the baseline, by which way is worse
};

/// What an earlier run's --json said, or what another model says of the same reviews.
struct Baseline {
  bool is_model = false;                   ///< it is another model on the same reviews, and no earlier run
  std::map<std::string, double> measures;  ///< those that are defined, by their names
  std::string model;
  std::string model_sha256;
  std::string precision;
  std::string effort;
  std::optional<double> threshold = {};  ///< of the other model, where it has one of its own
  std::string input_sha256;
  std::vector<std::string> labels;
  std::string outcomes;
};

/// Throws Error(usage) if a bound is on what the model, with these labels, does not have. `of_predictions`: ratings may
/// be there, whatever the model gives.
void check_bounds(const Bounds& bounds, const Manifest& manifest, const MeasuredLabels& labels, bool of_predictions);

/// Throws Error(usage) if a bound is on what needs the probabilities of all labels, of predictions without them.
void check_bounds_without_scores(const Bounds& bounds);

/// The report at `path`, the value of --baseline, its measures by the names that `labels` have; they may have another
/// order there. Throws Error(input), and Error(usage) if it is of other labels.
Baseline read_baseline(const std::string& path, const MeasuredLabels& labels);

/// The measures over all reviews, as a Baseline has them.
std::map<std::string, double> named_measures(const EvalReport& report);

/// Adds to `report` the gates and the comparison with the baseline.
void hold_gates(const Bounds& bounds, const std::optional<Baseline>& baseline, EvalReport& report);

}  // namespace reviewrate::cli

// What eval compares its measures with: bounds, and the report of an earlier run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval_report.h"
#include "reviewrate/metrics.h"

namespace reviewrate::cli {

/// What a gate asks of a measure, or of the number of reviews that were measured.
struct Bound {
  std::optional<Measure> measure;  ///< empty: of the reviews
  double value;
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
  bool is_model = false;  ///< it is another model on the same reviews, and no earlier run
  Measures measures;
  std::string model;
  std::string model_sha256;
  std::string precision;
  std::string effort;
  std::string input_sha256;
  std::string outcomes;
};

/// Throws Error(input).
Baseline read_baseline(const std::string& path);

/// Adds to `report` the gates and the comparison with the baseline.
void hold_gates(const Bounds& bounds, const std::optional<Baseline>& baseline, EvalReport& report);

}  // namespace reviewrate::cli

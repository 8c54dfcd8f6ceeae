// What eval compares its measures with: bounds, and the report of an earlier run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval_report.h"
#include "reviewrate/metrics.h"

namespace reviewrate::cli {

/// A measure and what a gate asks of it.
struct Bound {
  Measure measure;
  double value;
};

/// The bounds of all gates.
struct Bounds {
  std::vector<Bound> minimums;
  std::vector<Bound> maximums;
  std::vector<Bound> max_drops;  ///< since the baseline, by which way is worse
};

/// What an earlier run's --json said.
struct Baseline {
  Measures measures;
  std::string input_sha256;
  std::string outcomes;
};

/// Throws Error(input).
Baseline read_baseline(const std::string& path);

/// Adds to `report` the gates and the comparison with the baseline.
void hold_gates(const Bounds& bounds, const std::optional<Baseline>& baseline, EvalReport& report);

}  // namespace reviewrate::cli

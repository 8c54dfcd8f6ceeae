// The steps of an evaluation: reading labels, rating, measuring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "eval_collector.h"
#include "eval_plan.h"
#include "eval_report.h"
#include "labelled_source.h"
#include "labels.h"
#include "options.h"
#include "process.h"

namespace reviewrate::cli {

inline constexpr std::size_t kResamples = 1000;  ///< of the bootstrap
inline constexpr std::uint64_t kSeed = 1;

/// Decides what the labels mean, and says it. Empty: they cannot be read, which was said.
std::optional<NumberScheme> judge(const EvalPlan& plan, const LabelledSource& source);

/// What to do where no review has a label, for people; empty: nothing can be said.
std::string advice_on_labels(const EvalPlan& plan);

/// What came of reading the labels before the reviews.
struct FirstReading {
  std::optional<NumberScheme> scheme;  ///< empty: refused
  std::size_t reviews = 0;
  std::unordered_set<std::size_t> texts = {};  ///< with --fit-threshold: a hash of each review's text
};

/// Reads all labels of `files`, so that what cannot be measured is known before the model is loaded and runs.
FirstReading read_labels(const EvalPlan& plan, const std::vector<std::string>& files, const Interruption& interruption);

/// The report's part that does not depend on the reviews.
EvalReport describe_run(const Package& package, const ScoringChoice& scoring, const MeasuredLabels& labels,
                        const PipelineOptions& options);

/// Measures what was collected, now that the labels' meaning is known; without `resamples` there are no intervals.
void measure(const LabelRules& rules, NumberScheme scheme, LabelledSource& labelled, const EvalCollector& collector,
             std::size_t resamples, EvalReport& report);

/// What a model says of reviews whose labels were read before; without intervals. Empty: interrupted.
std::optional<EvalReport> rate(const EvalPlan& plan, const ModelChoice& model, const ScoringChoice& scoring,
                               const std::vector<std::string>& files, NumberScheme scheme,
                               const Interruption& interruption);

/// How the models decide: the plan's, and the one that it is compared with.
struct Scorings {
  ScoringChoice ours;
  ScoringChoice other;
};

/// As it was asked for, and with --fit-threshold each model by the threshold of its own best F1 on those reviews, which
/// is said, and how many of them are among those that are `measured`. Empty: their labels cannot be read, which was
/// said, or it was interrupted. Throws Error(usage).
std::optional<Scorings> choose_scorings(const EvalPlan& plan, const FirstReading& measured,
                                        const Interruption& interruption);

}  // namespace reviewrate::cli

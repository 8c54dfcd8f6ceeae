// What eval's options ask for, and the steps of a run: reading labels, rating, measuring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "eval_collector.h"
#include "eval_gates.h"
#include "eval_report.h"
#include "labelled_source.h"
#include "labels.h"
#include "options.h"
#include "process.h"

namespace reviewrate::cli {

inline constexpr std::size_t kResamples = 1000;  ///< of the bootstrap
inline constexpr std::uint64_t kSeed = 1;

/// What can be typed after `reviewrate eval`.
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
  std::string markdown;
  std::string mistakes;
  ExplainChoice explain;  ///< of the mistakes
  std::string baseline;
  std::string against;
  std::string fit_threshold;
  std::string predictions;
  std::string prefix;
  bool allow_missing_baseline = false;
  Bounds bounds;
  bool quiet = false;
};

/// The manifest of the model that is asked for; a bare model is loaded for it.
Manifest find_labels(const ModelChoice& choice);

/// Of each label of the model its number among those that are measured. Throws Error(usage), which names `option`,
/// unless it has the same labels.
std::vector<std::size_t> label_numbers(const Manifest& manifest, const MeasuredLabels& labels,
                                       const std::string& option);

/// Throws Error(usage) if an option asks for what models with these labels do not have.
void check_choices(const EvalOptions& a, const Manifest& manifest, const MeasuredLabels& labels);

/// Whether the files are still there once they were read.
bool can_be_read_twice(const std::vector<std::string>& files);

/// Decides what the labels mean, and says it. Empty: they cannot be read, which was said.
std::optional<NumberScheme> judge(const EvalOptions& a, const LabelRules& rules, const LabelledSource& source);

/// What to do where no review of these files has a label, for people; empty: nothing can be said.
std::string advice_on_labels(const EvalOptions& a, const std::vector<std::string>& files, const LabelRules& rules);

/// What came of reading the labels before the reviews.
struct FirstReading {
  std::optional<NumberScheme> scheme;  ///< empty: refused
  std::size_t reviews = 0;
  std::unordered_set<std::size_t> texts = {};  ///< with --fit-threshold: a hash of each review's text
};

/// Reads all labels, so that what cannot be measured is known before the model is loaded and runs.
FirstReading read_labels(const EvalOptions& a, const std::vector<std::string>& files, const LabelRules& rules,
                         const Interruption& interruption);

/// The report's part that does not depend on the reviews.
EvalReport describe_run(const EvalOptions& a, const Package& package, const MeasuredLabels& labels,
                        const PipelineOptions& options);

/// The same for predictions that were made before by a model with this manifest.
EvalReport describe_predictions(const EvalOptions& a, const Manifest& manifest);

/// Hands what the file of predictions says of each review to `collector`, by their ids. Throws Error(input).
void take_predictions(const EvalOptions& a, const Manifest& manifest, LabelledSource& labelled, Truths& truths,
                      EvalCollector& collector, const Interruption& interruption);

/// Measures what was collected, now that the labels' meaning is known; without `resamples` there are no intervals.
void measure(const LabelRules& rules, NumberScheme scheme, LabelledSource& labelled, const EvalCollector& collector,
             std::size_t resamples, EvalReport& report);

/// What a model says of reviews whose labels were read before; without intervals. Empty: interrupted.
std::optional<EvalReport> rate(const EvalOptions& a, const ModelChoice& model, const std::vector<std::string>& files,
                               const LabelRules& rules, NumberScheme scheme, const Interruption& interruption);

/// Throws Error(usage) if the threshold is to be fitted to reviews that are measured, or that cannot be read twice.
void check_fit_file(const EvalOptions& a, const std::vector<std::string>& files);

/// Sets the threshold to that of the best F1 on the reviews of --fit-threshold, and says it, and how many of them are
/// among those that are `measured`. False: their labels cannot be read, which was said, or it was interrupted. Throws
/// Error(usage).
bool fit_threshold(EvalOptions& a, const LabelRules& rules, const std::unordered_set<std::size_t>& measured,
                   const Interruption& interruption);

}  // namespace reviewrate::cli

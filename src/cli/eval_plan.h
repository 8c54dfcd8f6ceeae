// What eval is asked for, and what that comes to: settled once, before anything is read or run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval_gates.h"
#include "labelled_source.h"
#include "labels.h"
#include "options.h"
#include "reviewrate/manifest.h"

namespace reviewrate::cli {

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

  /// The model of --against.
  ModelChoice other_model() const { return {against, "", model.precision, model.effort}; }
};

/// Which reviews are measured, by which labels and against what.
struct EvalPlan {
  EvalOptions asked;
  std::vector<std::string> files;         ///< the labelled reviews
  bool can_be_read_twice = false;         ///< so that what cannot be measured is known before a model runs
  bool files_are_predictions = false;     ///< they bring their labels along, and no texts
  InputOptions input;                     ///< how they are read
  TruthFields fields;                     ///< where their labels and stars are
  Manifest manifest;                      ///< of the model
  LabelRules rules;                       ///< what labels mean for it
  bool prints_table = true;               ///< on stdout
  std::optional<Baseline> baseline = {};  ///< of --baseline

  const MeasuredLabels& labels() const { return rules.labels(); }

  /// How they are read after all was said of them.
  InputOptions silent_input() const;
};

/// Throws Error for what cannot be done: usage, and what reading models and the baseline throws.
EvalPlan plan_eval(const EvalOptions& asked);

/// Of each label of the model its number among those that are measured. Throws Error(usage), which names `option`,
/// unless it has the same labels.
std::vector<std::size_t> label_numbers(const Manifest& manifest, const MeasuredLabels& labels,
                                       const std::string& option);

}  // namespace reviewrate::cli

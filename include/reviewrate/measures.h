// What is measured of predictions: the names of the measures, and which of them a model's labels have.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace reviewrate {

/// The kinds of labels, as scikit-learn calls them.
enum class Task {
  binary,      ///< two labels, of which the one with number 1 is the positive one
  multiclass,  ///< any other labels: there is no positive one, and each is measured against the rest
};

/// The measures. Each equals scikit-learn's function of the name given (SciPy's, NumPy's) on the same numbers.
enum class Measure : std::size_t {
  accuracy,           ///< share of right labels; accuracy_score
  precision,          ///< precision_score; undefined where nothing was called positive
  recall,             ///< recall_score; undefined without positive reviews
  f1,                 ///< f1_score; undefined without positive reviews (of a multiclass label: see below)
  macro_f1,           ///< multiclass: f1_score(average="macro"), the mean of the labels' f1 that are defined
  weighted_f1,        ///< multiclass: f1_score(average="weighted"), by the number of each label's reviews
  roc_auc,            ///< roc_auc_score; undefined unless there are reviews of both labels (multiclass: of all)
  average_precision,  ///< average_precision_score; undefined unless there are reviews of both labels (of all)
  log_loss,           ///< log_loss, natural logarithm, probabilities kept 2^-52 away from 0 and 1
  brier,              ///< brier_score_loss: see below
  ece,                ///< expected calibration error (Guo et al. 2017, equation 3): see kCalibrationBins
  mcc,                ///< matthews_corrcoef; undefined where all labels, or all that were given, are the same
  best_f1,            ///< binary: the largest F1 of any threshold; undefined unless there are reviews of both labels
  best_threshold,     ///< binary: the lowest threshold that gives it: positive is p >= threshold
  accuracy_at_95,     ///< accuracy of the surest 95 % of the reviews, by the likeliest label's probability; see below
  accuracy_at_90,     ///< of the surest 90 %
  accuracy_at_80,     ///< of the surest 80 %
  accuracy_at_50,     ///< of the surest half
  aurc,               ///< area under the risk-coverage curve (Geifman and El-Yaniv 2017): see below
  rating_mae,         ///< mean distance of the rating from the stars
  rating_within_one,  ///< share of ratings at most one from the stars
  rating_spearman,    ///< scipy.stats.spearmanr of ratings and stars; undefined where either is constant
};

// Precision, recall, F1, ROC AUC and average precision are those of the positive label where there is one. Of other
// labels each has its own: of the label against the rest. roc_auc and average_precision of the model are then the means
// over all labels, as roc_auc_score(multi_class="ovr") and average_precision_score have them. A label's F1 is undefined
// only where it is neither any review's label nor was given to one, as for f1_score(zero_division=nan).
//
// The Brier score is the mean squared distance: binary of p from 0 or 1; multiclass of all probabilities from 1 of the
// label and 0 of the others, summed over the labels (Brier 1950), so that it lies in 0..2.
//
// The surest N % of n reviews are ceil(N / 100 * n) of them. The area is the mean of 1 - accuracy of the surest 1, 2,
// ... n. Each of several reviews of the same confidence counts as their mean, so that their order does not matter.

inline constexpr std::size_t kMeasureCount = 22;

/// A measure of all labels, or of one multiclass label against the rest.
struct MeasureOf {
  Measure measure;
  std::optional<std::size_t> label = {};

  bool operator==(const MeasureOf&) const = default;
};

/// What is measured of `labels` labels, in the order of reports: first what is of all of them, then label by label.
std::vector<MeasureOf> measures_of(Task task, std::size_t labels);

/// Whether the measure is one of this task's: of all labels, or with `of_label` of one against the rest.
bool has_measure(Task task, Measure measure, bool of_label);

/// The name in reports and gates, such as "roc_auc".
std::string_view measure_name(Measure measure);

/// The measure of this name.
std::optional<Measure> parse_measure(std::string_view name);

/// Which way is better: 1 if more of it, -1 if less, 0 if neither (a threshold).
int measure_direction(Measure measure);

}  // namespace reviewrate

// How good predictions are: the measures of binary classification, calibration and rating, with their intervals.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace reviewrate {

/// The measures. Each equals scikit-learn's function of the name given (SciPy's, NumPy's) on the same numbers.
enum class Measure : std::size_t {
  accuracy,           ///< share of right labels; accuracy_score
  precision,          ///< precision_score; undefined where nothing was called positive
  recall,             ///< recall_score; undefined without positive reviews
  f1,                 ///< f1_score; undefined without positive reviews
  roc_auc,            ///< roc_auc_score; undefined unless there are reviews of both labels
  average_precision,  ///< average_precision_score; undefined unless there are reviews of both labels
  log_loss,           ///< log_loss, natural logarithm, probabilities kept 2^-52 away from 0 and 1
  brier,              ///< brier_score_loss: mean squared distance of p from 0 or 1
  ece,                ///< expected calibration error (Guo et al. 2017, equation 3): see kCalibrationBins
  mcc,                ///< matthews_corrcoef; undefined where a row or column of the confusion matrix is empty
  best_f1,            ///< the largest F1 that any threshold gives; undefined unless there are reviews of both labels
  best_threshold,     ///< the lowest threshold that gives it: positive is p >= threshold
  accuracy_at_95,     ///< accuracy of the surest 95 % of the reviews, by the confidence max(p, 1 - p); see below
  accuracy_at_90,     ///< of the surest 90 %
  accuracy_at_80,     ///< of the surest 80 %
  accuracy_at_50,     ///< of the surest half
  aurc,               ///< area under the risk-coverage curve (Geifman and El-Yaniv 2017): see below
  rating_mae,         ///< mean distance of the rating from the stars
  rating_within_one,  ///< share of ratings at most one from the stars
  rating_spearman,    ///< scipy.stats.spearmanr of ratings and stars; undefined where either is constant
};

// The surest N % of n reviews are ceil(N / 100 * n) of them. The area is the mean of 1 - accuracy of the surest 1, 2,
// ... n. Each of several reviews of the same confidence counts as their mean, so that their order does not matter.

inline constexpr std::size_t kMeasureCount = 20;

/// By measure; empty where a measure is not defined for the reviews at hand. Nothing is made up for those.
using Measures = std::array<std::optional<double>, kMeasureCount>;

/// The name in reports and gates, such as "roc_auc".
std::string_view measure_name(Measure measure);

/// The measure of this name.
std::optional<Measure> parse_measure(std::string_view name);

/// Which way is better: 1 if more of it, -1 if less, 0 if neither (a threshold).
int measure_direction(Measure measure);

/// Calibration looks at the confidence max(p, 1 - p) in bins of equal width over 0..1; a bin holds its lower bound.
inline constexpr std::size_t kCalibrationBins = 15;

/// One review with its label and what the model said of it.
struct Observation {
  double p = 0;  ///< probability of the positive label
  bool positive = false;
  int rating = 0;  ///< 1-10
  std::optional<double> stars;
};

/// How often what was said was so; a review is called positive if p reaches the threshold.
struct Confusion {
  std::size_t true_positive = 0;
  std::size_t false_positive = 0;
  std::size_t true_negative = 0;
  std::size_t false_negative = 0;
};

/// What the threshold `threshold` would give.
struct CurvePoint {
  std::optional<double> threshold;  ///< empty at the start, where nothing is called positive
  std::size_t true_positive = 0;
  std::size_t false_positive = 0;
};

/// What the surest reviews are worth.
struct CoveragePoint {
  double coverage = 0;  ///< share of the reviews
  double accuracy = 0;  ///< share of right labels among them
};

/// One bin of the reliability diagram.
struct CalibrationBin {
  std::size_t count = 0;
  double confidence = 0;  ///< mean
  double accuracy = 0;    ///< share of right labels, by p >= 0.5
};

/// The bounds of a 95 % interval.
struct Interval {
  double low = 0;
  double high = 0;
};

/// All measures of a set of observations.
class Evaluation {
 public:
  Evaluation(std::vector<Observation> observations, double threshold);

  std::size_t size() const { return observations_.size(); }
  std::size_t positives() const { return positives_; }
  const Measures& measures() const { return measures_; }
  Confusion confusion() const;
  std::array<CalibrationBin, kCalibrationBins> calibration() const;

  /// Half-way from Measure::best_threshold to the next lower p, which gives the same labels here; that threshold itself
  /// where it is the lowest p. Empty as that is.
  std::optional<double> middle_of_best_threshold() const;

  /// How often each rating (by its number, 1-10) was given, by stars.
  std::map<double, std::array<std::size_t, 11>> ratings_by_stars() const;

  /// At most `most` (at least 2) points of the ROC and precision-recall curves, from the highest threshold to the
  /// lowest, evenly chosen among the distinct thresholds; the first and last are among them.
  std::vector<CurvePoint> curve(std::size_t most) const;

  /// At most `most` (at least 2) points of the accuracy of the surest reviews, by rising coverage, evenly chosen among
  /// the distinct confidences; the first and last are among them.
  std::vector<CoveragePoint> coverage_curve(std::size_t most) const;

  /// Percentile bootstrap (Efron 1979): `resamples` draws of size() observations with replacement, 2.5th and 97.5th
  /// percentile as numpy.percentile gives them. Empty for measures that are undefined in any draw, and for those that
  /// are the same in all: what never varies here, such as no mistake in a few reviews, is not for that certain
  /// elsewhere. The numbers depend on observations and seed alone, not on the platform.
  std::array<std::optional<Interval>, kMeasureCount> intervals(std::size_t resamples, std::uint64_t seed) const;

  /// The same for how much more each measure is here than in `other`, which holds the same reviews in the order that
  /// they were given in: each draw has the same ones of both (paired bootstrap).
  std::array<std::optional<Interval>, kMeasureCount> difference_intervals(const Evaluation& other,
                                                                          std::size_t resamples,
                                                                          std::uint64_t seed) const;

 private:
  using Weights = std::vector<std::uint32_t>;

  /// Reviews of the same confidence, and how many of them are right.
  struct Tie {
    double size = 0;
    double right = 0;
  };

  /// By falling confidence; of reviews with a weight.
  std::vector<Tie> ties(const Weights& weights) const;

  Measures measure(const Weights& weights) const;
  void measure_labels(const Weights& weights, Measures& out) const;
  void measure_ranking(const Weights& weights, Measures& out) const;
  void measure_coverage(const Weights& weights, Measures& out) const;
  void measure_rating(const Weights& weights, Measures& out) const;

  std::vector<Observation> observations_;  // by falling p
  std::vector<std::size_t> order_;         // of each: the place that it was given in
  std::vector<std::size_t> by_confidence_;
  std::vector<double> loss_;             // log loss of each
  std::vector<std::size_t> star_class_;  // of each: its place among the distinct stars, from 0
  std::size_t star_classes_ = 0;
  double threshold_;
  std::size_t positives_ = 0;
  Measures measures_;
};

/// The value that a `share` (0..1) of `sorted` (ascending, not empty) is not above, linear between neighbours, as
/// numpy.percentile gives it.
double percentile(const std::vector<double>& sorted, double share);

/// Exact two-sided McNemar test: the probability of a split at least as uneven as `only_old` to `only_new` if each were
/// a fair coin (binomial test; McNemar 1947). The two count the reviews that only one of two models got right.
double mcnemar_exact(std::size_t only_old, std::size_t only_new);

}  // namespace reviewrate

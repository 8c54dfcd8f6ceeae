// How good predictions are: the measures of reviewrate/measures.h on labelled reviews, with their intervals.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "reviewrate/measures.h"

namespace reviewrate {

/// In the order of measures_of(); empty where a measure is not defined for the reviews at hand. Nothing is made up for
/// those.
using Measures = std::vector<std::optional<double>>;

/// Calibration looks at the probability of the likeliest label (binary: max(p, 1 - p)) in bins of equal width over
/// 0..1; a bin holds its lower bound.
inline constexpr std::size_t kCalibrationBins = 15;

/// One review with its label and what the model said of it.
struct Observation {
  std::uint32_t label = 0;
  std::uint32_t called = 0;     ///< the label that it was given
  std::uint32_t likeliest = 0;  ///< that of the highest probability: another one where a threshold decides
  int rating = 0;               ///< 1-10; 0: none
  double confidence = 0;        ///< probability of `likeliest`
  std::optional<double> stars;
};

/// Reviews with their labels, each a number from 0, and their probabilities.
class Observations {
 public:
  Observations(Task task, std::size_t labels) : task_(task), labels_(labels) {}

  /// Adds a review that was given the label `called`. `p`: binary the probability of label 1 alone; multiclass that of
  /// each label.
  void add(std::size_t label, std::size_t called, std::span<const double> p, int rating = 0,
           std::optional<double> stars = {});

  /// Adds a multiclass review of which only the probability of the label that it was given is known. Of none of the
  /// others may more be known.
  void add_without_others(std::size_t label, std::size_t called, double score, int rating = 0,
                          std::optional<double> stars = {});

  Task task() const { return task_; }
  std::size_t labels() const { return labels_; }
  std::size_t size() const { return reviews_.size(); }
  const std::vector<Observation>& reviews() const { return reviews_; }

  /// How many probabilities of each review are known: those that p() takes.
  std::size_t columns() const { return reviews_.empty() ? 0 : p_.size() / reviews_.size(); }
  double p(std::size_t review, std::size_t column) const { return p_[review * columns() + column]; }

 private:
  Task task_;
  std::size_t labels_;
  std::vector<Observation> reviews_;
  std::vector<double> p_;  // [reviews, columns]
};

/// How many reviews of each label were given each label.
struct Confusion {
  std::size_t labels = 0;
  std::vector<std::size_t> counts;  ///< [labels, labels]: a row a label of reviews, a column a label that was given

  std::size_t operator()(std::size_t label, std::size_t called) const { return counts[label * labels + called]; }
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
  double accuracy = 0;    ///< share of reviews whose label is the likeliest one
};

/// The bounds of a 95 % interval.
struct Interval {
  double low = 0;
  double high = 0;
};

/// In the order of measures_of().
using Intervals = std::vector<std::optional<Interval>>;

/// All measures of a set of observations.
class Evaluation {
 public:
  explicit Evaluation(const Observations& observations);

  Task task() const { return task_; }
  std::size_t labels() const { return labels_; }
  std::size_t size() const { return observations_.size(); }
  std::size_t reviews_of(std::size_t label) const { return reviews_of_[label]; }

  /// What is measured: measures_of() these labels.
  const std::vector<MeasureOf>& measured() const { return measured_; }
  const Measures& measures() const { return measures_; }

  /// One of measures(); empty also where it is no measure of these labels.
  std::optional<double> value(MeasureOf measure) const;

  Confusion confusion() const;
  std::array<CalibrationBin, kCalibrationBins> calibration() const;

  /// Binary: half-way from Measure::best_threshold to the next lower p, which gives the same labels here; that
  /// threshold itself where it is the lowest p. Empty as that is.
  std::optional<double> middle_of_best_threshold() const;

  /// How often each rating (by its number, 1-10) was given, by stars.
  std::map<double, std::array<std::size_t, 11>> ratings_by_stars() const;

  /// Binary: at most `most` (at least 2) points of the ROC and precision-recall curves, from the highest threshold to
  /// the lowest, evenly chosen among the distinct thresholds; the first and last are among them.
  std::vector<CurvePoint> curve(std::size_t most) const;

  /// At most `most` (at least 2) points of the accuracy of the surest reviews, by rising coverage, evenly chosen among
  /// the distinct confidences; the first and last are among them.
  std::vector<CoveragePoint> coverage_curve(std::size_t most) const;

  /// Percentile bootstrap (Efron 1979): `resamples` draws of size() observations with replacement, 2.5th and 97.5th
  /// percentile as numpy.percentile gives them. Empty for measures that are undefined in any draw, and for those that
  /// are the same in all: what never varies here, such as no mistake in a few reviews, is not for that certain
  /// elsewhere. The numbers depend on observations and seed alone, not on the platform.
  Intervals intervals(std::size_t resamples, std::uint64_t seed) const;

  /// The same for how much more each measure is here than in `other`, which holds the same reviews in the order that
  /// they were given in, and the same labels: each draw has the same ones of both (paired bootstrap).
  Intervals difference_intervals(const Evaluation& other, std::size_t resamples, std::uint64_t seed) const;

 private:
  using Weights = std::vector<std::uint32_t>;

  /// Reviews of the same confidence, and how many of them are right.
  struct Tie {
    double size = 0;
    double right = 0;
  };

  /// A review in the order of one label's probabilities.
  struct Ranked {
    std::uint32_t review;
    bool has_label;  // it is the review's own
    bool is_last;    // of those of the same probability
  };

  /// What an order of reviews is worth for one label.
  struct RankingMeasures {
    double roc_auc = 0;
    double average_precision = 0;
    double best_f1 = -1;
    std::size_t best_review = 0;  // the last one that the best threshold calls positive
  };

  std::vector<Ranked> rank(const Observations& observations, std::size_t column) const;

  static std::size_t calibration_bin(const Observation& o);

  /// By falling confidence; of reviews with a weight.
  std::vector<Tie> ties(const Weights& weights) const;

  std::optional<double>& at(Measures& measures, Measure measure, std::optional<std::size_t> label = {}) const;

  Measures measure(const Weights& weights) const;
  void measure_labels(const Weights& weights, Measures& out) const;
  void measure_confusion(const std::vector<double>& counts, Measures& out) const;
  void measure_rankings(const Weights& weights, Measures& out) const;
  static std::optional<RankingMeasures> measure_ranking(const std::vector<Ranked>& ranking, const Weights& weights,
                                                        double positives, double negatives);
  void measure_coverage(const Weights& weights, Measures& out) const;
  void measure_rating(const Weights& weights, Measures& out) const;

  Task task_;
  std::size_t labels_;
  std::vector<MeasureOf> measured_;
  std::vector<Observation> observations_;  // by falling probability of the first column
  std::vector<std::size_t> order_;         // of each: the place that it was given in
  std::vector<std::size_t> by_confidence_;
  std::vector<std::vector<Ranked>> rankings_;  // binary: of label 1; multiclass: of each label, or none
  std::vector<double> p_;                      // binary: of each
  std::vector<double> loss_;                   // log loss of each; empty without probabilities
  std::vector<double> distance_;               // of each: the root of its share in the Brier score; as above
  std::vector<std::size_t> star_class_;        // of each: its place among the distinct stars, from 0
  std::size_t star_classes_ = 0;
  std::vector<std::size_t> reviews_of_;  // by label
  Measures measures_;
};

/// The value that a `share` (0..1) of `sorted` (ascending, not empty) is not above, linear between neighbours, as
/// numpy.percentile gives it.
double percentile(const std::vector<double>& sorted, double share);

/// Exact two-sided McNemar test: the probability of a split at least as uneven as `only_old` to `only_new` if each were
/// a fair coin (binomial test; McNemar 1947). The two count the reviews that only one of two models got right.
double mcnemar_exact(std::size_t only_old, std::size_t only_new);

}  // namespace reviewrate

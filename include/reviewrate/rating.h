// From logits to probabilities, from probabilities to a label and a 1-10 rating.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "reviewrate/record.h"

namespace reviewrate {

/// Probabilities of one window: softmax over `logits`, in double (exp of the distance to the largest logit).
std::vector<double> softmax(std::span<const float> logits);

/// 10 * round(p, 1), at least 1; ties go to even on the exact value of the double, as Python's round does.
/// `p` must lie in 0..1.
int linear_rating(double p);

/// Nine ascending bounds on the positive-class probability: the rating is 1 + how many of them p reaches.
using RatingThresholds = std::array<double, 9>;

/// The rating that `thresholds` give to `p`.
int fitted_rating(double p, const RatingThresholds& thresholds);

/// The expected value of the label: the sum of `values` (one a label, each 1 to 10) weighted by `probabilities`, as the
/// nearest whole number; ties go to even, as Python's round does.
int expected_rating(std::span<const double> probabilities, std::span<const double> values);

/// Probabilities of the positive label at which a prediction is unsure, both bounds included.
struct UnsureRange {
  double low = 0.5;
  double high = 0.5;
};

/// The percents of reviews for which a model may know how sure it is of them.
inline constexpr std::size_t kConfidencePercents = 50;

/// The range in which `share` (above 0, at most 0.5) of reviews lie that are like those of calibration.
/// `percentiles` [kConfidencePercents] are what the confidence max(p, 1 - p) of 1, 2, ... percent of these is not
/// above; between them it is linear, as numpy.percentile has it.
UnsureRange unsure_range(double share, const std::vector<double>& percentiles);

/// Turns a review's probabilities into its label, score and rating. The rating of two labels goes by the probability of
/// the positive one, that of more by the values of all of them; where those are not known there is none.
struct Scorer {
  std::optional<std::size_t> positive;         ///< index of the positive label
  double threshold = 0.5;                      ///< two labels: the positive one from this probability on
  std::optional<RatingThresholds> thresholds;  ///< two labels: the fitted rating; without it the linear one
  std::vector<double> values = {};             ///< more labels: the rating that each stands for; empty: no rating

  /// The prediction for `probabilities`, one a label; its tokens and windows are left to the caller.
  Prediction operator()(std::span<const double> probabilities) const;
};

}  // namespace reviewrate

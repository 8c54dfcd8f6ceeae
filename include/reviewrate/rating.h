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

/// Turns a review's probabilities into its label, score and rating.
struct Scorer {
  std::optional<std::size_t> positive;         ///< index of the positive label; without it there is no rating
  double threshold = 0.5;                      ///< two labels: the positive one from this probability on
  std::optional<RatingThresholds> thresholds;  ///< the fitted rating; without it the linear one

  /// The prediction for `probabilities`, one a label; its tokens and windows are left to the caller.
  Prediction operator()(std::span<const double> probabilities) const;
};

}  // namespace reviewrate

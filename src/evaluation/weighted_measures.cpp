// The measures of weighted observations: a bootstrap draw is a weight for each, so that nothing is sorted twice.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "reviewrate/metrics.h"

namespace reviewrate {
namespace {

std::optional<double> ratio(double part, double whole) {
  return whole > 0 ? std::optional(part / whole) : std::nullopt;
}

/// Mean ranks, from 1, of values that come in groups of equal ones: what each group's members get.
std::vector<double> mean_ranks(const std::vector<double>& group_sizes) {
  std::vector<double> ranks;
  double before = 0;
  for (const double size : group_sizes) {
    ranks.push_back(before + (size + 1) / 2);
    before += size;
  }
  return ranks;
}

}  // namespace

std::size_t Evaluation::calibration_bin(const Observation& o) {
  return std::min(static_cast<std::size_t>(o.confidence * kCalibrationBins), kCalibrationBins - 1);
}

std::optional<double>& Evaluation::at(Measures& measures, Measure measure, std::optional<std::size_t> label) const {
  const auto found = std::find(measured_.begin(), measured_.end(), MeasureOf{measure, label});
  return measures[static_cast<std::size_t>(found - measured_.begin())];
}

std::vector<Evaluation::Tie> Evaluation::ties(const Weights& weights) const {
  std::vector<Tie> out;
  double last = 2;  // above any confidence
  for (const std::size_t i : by_confidence_) {
    if (weights[i] == 0) continue;
    const Observation& o = observations_[i];
    if (o.confidence < last) out.emplace_back();
    last = o.confidence;
    out.back().size += weights[i];
    out.back().right += o.called == o.label ? weights[i] : 0;
  }
  return out;
}

Measures Evaluation::measure(const Weights& weights) const {
  Measures out(measured_.size());
  measure_labels(weights, out);
  measure_rankings(weights, out);
  measure_coverage(weights, out);
  measure_rating(weights, out);
  return out;
}

/// What looks at each observation alone.
void Evaluation::measure_labels(const Weights& weights, Measures& out) const {
  double n = 0, loss = 0, squares = 0;
  std::vector<double> counts(labels_ * labels_);
  std::array<double, kCalibrationBins> gaps{};
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    if (weights[i] == 0) continue;
    const Observation& o = observations_[i];
    const double w = weights[i];
    n += w;
    counts[o.label * labels_ + o.called] += w;
    gaps[calibration_bin(o)] += w * (o.confidence - (o.likeliest == o.label ? 1 : 0));
    if (loss_.empty()) continue;
    loss += w * loss_[i];
    squares += w * distance_[i] * distance_[i];
  }
  measure_confusion(counts, out);
  at(out, Measure::ece) = ratio(
      std::accumulate(gaps.begin(), gaps.end(), 0.0, [](double sum, double gap) { return sum + std::abs(gap); }), n);
  if (loss_.empty()) return;
  at(out, Measure::log_loss) = ratio(loss, n);
  at(out, Measure::brier) = ratio(squares, n);
}

/// What the counts say of each label that was given to reviews of each label.
void Evaluation::measure_confusion(const std::vector<double>& counts, Measures& out) const {
  if (task_ == Task::binary) {
    const double tn = counts[0], fp = counts[1], fn = counts[2], tp = counts[3];
    at(out, Measure::accuracy) = ratio(tp + tn, tp + fp + tn + fn);
    at(out, Measure::precision) = ratio(tp, tp + fp);
    at(out, Measure::recall) = ratio(tp, tp + fn);
    if (tp + fn > 0) at(out, Measure::f1) = ratio(2 * tp, 2 * tp + fp + fn);
    at(out, Measure::mcc) =
        ratio(tp * tn - fp * fn, std::sqrt(tp + fp) * std::sqrt(tp + fn) * std::sqrt(tn + fp) * std::sqrt(tn + fn));
    return;
  }
  double n = 0, right = 0, f1_sum = 0, f1_count = 0, weighted_sum = 0, both = 0, labels_squared = 0, given_squared = 0;
  for (std::size_t k = 0; k < labels_; ++k) {
    const double hits = counts[k * labels_ + k];
    double reviews = 0, given = 0;
    for (std::size_t other = 0; other < labels_; ++other) {
      reviews += counts[k * labels_ + other];
      given += counts[other * labels_ + k];
    }
    n += reviews;
    right += hits;
    both += reviews * given;
    labels_squared += reviews * reviews;
    given_squared += given * given;
    at(out, Measure::precision, k) = ratio(hits, given);
    at(out, Measure::recall, k) = ratio(hits, reviews);
    const std::optional<double> f1 = at(out, Measure::f1, k) = ratio(2 * hits, reviews + given);
    f1_sum += f1.value_or(0);
    f1_count += f1 ? 1 : 0;
    weighted_sum += reviews * f1.value_or(0);
  }
  at(out, Measure::accuracy) = ratio(right, n);
  at(out, Measure::macro_f1) = ratio(f1_sum, f1_count);
  at(out, Measure::weighted_f1) = ratio(weighted_sum, n);
  // Gorodkin 2004, as Jurman, Riccadonna and Furlanello 2012 write it.
  at(out, Measure::mcc) = ratio(right * n - both, std::sqrt(n * n - labels_squared) * std::sqrt(n * n - given_squared));
}

/// What looks at the orders of all probabilities.
void Evaluation::measure_rankings(const Weights& weights, Measures& out) const {
  if (rankings_.empty()) return;
  double all = 0;
  std::vector<double> reviews(labels_);
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    all += weights[i];
    reviews[observations_[i].label] += weights[i];
  }
  if (task_ == Task::binary) {
    const std::optional<RankingMeasures> found = measure_ranking(rankings_.front(), weights, reviews[1], reviews[0]);
    if (!found) return;
    at(out, Measure::roc_auc) = found->roc_auc;
    at(out, Measure::average_precision) = found->average_precision;
    at(out, Measure::best_f1) = found->best_f1;
    at(out, Measure::best_threshold) = p_[found->best_review];
    return;
  }
  double areas = 0, precisions = 0;
  std::size_t defined = 0;
  for (std::size_t k = 0; k < labels_; ++k) {
    const std::optional<RankingMeasures> found = measure_ranking(rankings_[k], weights, reviews[k], all - reviews[k]);
    if (!found) continue;
    at(out, Measure::roc_auc, k) = found->roc_auc;
    at(out, Measure::average_precision, k) = found->average_precision;
    areas += found->roc_auc;
    precisions += found->average_precision;
    ++defined;
  }
  if (defined < labels_) return;
  at(out, Measure::roc_auc) = areas / static_cast<double>(labels_);
  at(out, Measure::average_precision) = precisions / static_cast<double>(labels_);
}

/// Those of equal probability are taken at once. `positives` have the label, `negatives` have another. Empty unless
/// there are both.
std::optional<Evaluation::RankingMeasures> Evaluation::measure_ranking(const std::vector<Ranked>& ranking,
                                                                       const Weights& weights, double positives,
                                                                       double negatives) {
  if (positives == 0 || negatives == 0) return std::nullopt;
  RankingMeasures out;
  double tp = 0, fp = 0, more_tp = 0, more_fp = 0, area = 0, precision_sum = 0;
  for (const Ranked& ranked : ranking) {
    (ranked.has_label ? more_tp : more_fp) += weights[ranked.review];
    if (!ranked.is_last || more_tp + more_fp == 0) continue;
    area += more_fp * (tp + more_tp / 2);
    tp += more_tp;
    fp += more_fp;
    if (more_tp > 0 || tp == 0) {  // else the sum stays, and F1 is lower than before
      precision_sum += more_tp * (tp / (tp + fp));
      const double f1 = 2 * tp / (tp + fp + positives);
      if (f1 >= out.best_f1) {
        out.best_f1 = f1;
        out.best_review = ranked.review;
      }
    }
    more_tp = more_fp = 0;
  }
  out.roc_auc = area / (positives * negatives);
  out.average_precision = precision_sum / positives;
  return out;
}

/// What looks at the order of all confidences.
void Evaluation::measure_coverage(const Weights& weights, Measures& out) const {
  struct Covered {
    Measure measure;
    double percent;
  };
  constexpr std::array<Covered, 4> kCovered = {{{Measure::accuracy_at_50, 50},
                                                {Measure::accuracy_at_80, 80},
                                                {Measure::accuracy_at_90, 90},
                                                {Measure::accuracy_at_95, 95}}};
  const double n = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (n == 0) return;
  double size = 0, right = 0, risks = 0;
  auto next = kCovered.begin();
  for (const Tie& tie : ties(weights)) {
    const double share = tie.right / tie.size;
    for (; next != kCovered.end(); ++next) {
      const double wanted = std::ceil(next->percent * n / 100);
      if (wanted > size + tie.size) break;
      at(out, next->measure) = (right + (wanted - size) * share) / wanted;
    }
    for (double i = 1; i <= tie.size; ++i) risks += 1 - (right + i * share) / (size + i);
    size += tie.size;
    right += tie.right;
  }
  at(out, Measure::aurc) = risks / n;
}

void Evaluation::measure_rating(const Weights& weights, Measures& out) const {
  if (star_classes_ == 0) return;
  constexpr std::size_t kRatings = 11;
  double n = 0, distances = 0, near = 0;
  std::vector<double> counts(kRatings * star_classes_);  // by rating and stars
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    const Observation& o = observations_[i];
    if (weights[i] == 0 || !o.stars || o.rating == 0) continue;
    const double distance = std::abs(o.rating - *o.stars);
    n += weights[i];
    distances += weights[i] * distance;
    near += distance <= 1 ? weights[i] : 0;
    counts[static_cast<std::size_t>(o.rating) * star_classes_ + star_class_[i]] += weights[i];
  }
  at(out, Measure::rating_mae) = ratio(distances, n);
  at(out, Measure::rating_within_one) = ratio(near, n);

  // Spearman's coefficient is Pearson's of the mean ranks.
  std::vector<double> rating_sizes(kRatings), star_sizes(star_classes_);
  for (std::size_t r = 0; r < kRatings; ++r) {
    for (std::size_t s = 0; s < star_classes_; ++s) {
      rating_sizes[r] += counts[r * star_classes_ + s];
      star_sizes[s] += counts[r * star_classes_ + s];
    }
  }
  const std::vector<double> rating_ranks = mean_ranks(rating_sizes), star_ranks = mean_ranks(star_sizes);
  const double mean = (n + 1) / 2;
  double both = 0, ratings = 0, stars = 0;
  for (std::size_t r = 0; r < kRatings; ++r) {
    const double a = rating_ranks[r] - mean;
    ratings += rating_sizes[r] * a * a;
    for (std::size_t s = 0; s < star_classes_; ++s) both += counts[r * star_classes_ + s] * a * (star_ranks[s] - mean);
  }
  for (std::size_t s = 0; s < star_classes_; ++s)
    stars += star_sizes[s] * (star_ranks[s] - mean) * (star_ranks[s] - mean);
  at(out, Measure::rating_spearman) = ratio(both, std::sqrt(ratings) * std::sqrt(stars));
}

}  // namespace reviewrate

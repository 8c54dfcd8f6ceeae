// The measures. A bootstrap draw is a weight for each observation, so that nothing is sorted twice.
#include "reviewrate/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

namespace reviewrate {
namespace {

struct MeasureInfo {
  std::string_view name;
  int direction;
};

constexpr std::array<MeasureInfo, kMeasureCount> kMeasures = {{{"accuracy", 1},
                                                               {"precision", 1},
                                                               {"recall", 1},
                                                               {"f1", 1},
                                                               {"roc_auc", 1},
                                                               {"average_precision", 1},
                                                               {"log_loss", -1},
                                                               {"brier", -1},
                                                               {"ece", -1},
                                                               {"mcc", 1},
                                                               {"best_f1", 1},
                                                               {"best_threshold", 0},
                                                               {"accuracy@95", 1},
                                                               {"accuracy@90", 1},
                                                               {"accuracy@80", 1},
                                                               {"accuracy@50", 1},
                                                               {"aurc", -1},
                                                               {"rating_mae", -1},
                                                               {"rating_within_one", 1},
                                                               {"rating_spearman", 1}}};

std::optional<double>& at(Measures& measures, Measure measure) { return measures[static_cast<std::size_t>(measure)]; }

std::optional<double> ratio(double part, double whole) {
  return whole > 0 ? std::optional(part / whole) : std::nullopt;
}

double confidence_of(const Observation& o) { return std::max(o.p, 1 - o.p); }

std::size_t calibration_bin(double confidence) {
  return std::min(static_cast<std::size_t>(confidence * kCalibrationBins), kCalibrationBins - 1);
}

bool right_by_half(const Observation& o) { return (o.p >= 0.5) == o.positive; }

/// At most `most` (at least 2) of `all`, the first and the last among them.
template <typename Point>
std::vector<Point> evenly_chosen(const std::vector<Point>& all, std::size_t most) {
  if (all.size() <= most) return all;
  std::vector<Point> chosen;
  for (std::size_t i = 0; i < most; ++i) chosen.push_back(all[i * (all.size() - 1) / (most - 1)]);
  return chosen;
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

std::string_view measure_name(Measure measure) { return kMeasures[static_cast<std::size_t>(measure)].name; }

std::optional<Measure> parse_measure(std::string_view name) {
  const auto found =
      std::find_if(kMeasures.begin(), kMeasures.end(), [&](const MeasureInfo& m) { return m.name == name; });
  if (found == kMeasures.end()) return std::nullopt;
  return static_cast<Measure>(found - kMeasures.begin());
}

int measure_direction(Measure measure) { return kMeasures[static_cast<std::size_t>(measure)].direction; }

Evaluation::Evaluation(std::vector<Observation> observations, double threshold)
    : order_(observations.size()), threshold_(threshold) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::size_t a, std::size_t b) { return observations[a].p > observations[b].p; });
  for (const std::size_t place : order_) observations_.push_back(observations[place]);
  by_confidence_.resize(order_.size());
  std::iota(by_confidence_.begin(), by_confidence_.end(), std::size_t{0});
  std::stable_sort(by_confidence_.begin(), by_confidence_.end(), [&](std::size_t a, std::size_t b) {
    return confidence_of(observations_[a]) > confidence_of(observations_[b]);
  });
  std::vector<double> stars;
  for (const Observation& o : observations_) {
    positives_ += o.positive ? 1 : 0;
    constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
    loss_.push_back(-std::log(std::clamp(o.positive ? o.p : 1 - o.p, kEpsilon, 1 - kEpsilon)));
    if (o.stars) stars.push_back(*o.stars);
  }
  std::sort(stars.begin(), stars.end());
  stars.erase(std::unique(stars.begin(), stars.end()), stars.end());
  star_classes_ = stars.size();
  for (const Observation& o : observations_) {
    const auto found = std::lower_bound(stars.begin(), stars.end(), o.stars.value_or(0));
    star_class_.push_back(static_cast<std::size_t>(found - stars.begin()));
  }
  measures_ = measure(Weights(observations_.size(), 1));
}

Confusion Evaluation::confusion() const {
  Confusion c;
  for (const Observation& o : observations_) {
    const bool called = o.p >= threshold_;
    ++(called ? (o.positive ? c.true_positive : c.false_positive) : (o.positive ? c.false_negative : c.true_negative));
  }
  return c;
}

std::array<CalibrationBin, kCalibrationBins> Evaluation::calibration() const {
  std::array<CalibrationBin, kCalibrationBins> bins;
  for (const Observation& o : observations_) {
    const double confidence = confidence_of(o);
    CalibrationBin& bin = bins[calibration_bin(confidence)];
    ++bin.count;
    bin.confidence += confidence;
    bin.accuracy += right_by_half(o) ? 1 : 0;
  }
  for (CalibrationBin& bin : bins) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return bins;
}

std::optional<double> Evaluation::middle_of_best_threshold() const {
  const std::optional<double> best = measures_[static_cast<std::size_t>(Measure::best_threshold)];
  if (!best) return std::nullopt;
  const auto lower =
      std::find_if(observations_.begin(), observations_.end(), [&](const Observation& o) { return o.p < *best; });
  return lower == observations_.end() ? *best : *best - (*best - lower->p) / 2;
}

std::map<double, std::array<std::size_t, 11>> Evaluation::ratings_by_stars() const {
  std::map<double, std::array<std::size_t, 11>> out;
  for (const Observation& o : observations_) {
    if (o.stars) ++out[*o.stars][static_cast<std::size_t>(o.rating)];
  }
  return out;
}

std::vector<CurvePoint> Evaluation::curve(std::size_t most) const {
  std::vector<CurvePoint> all(1);
  CurvePoint point;
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    ++(observations_[i].positive ? point.true_positive : point.false_positive);
    point.threshold = observations_[i].p;
    if (i + 1 == observations_.size() || observations_[i + 1].p < observations_[i].p) all.push_back(point);
  }
  return evenly_chosen(all, most);
}

std::vector<Evaluation::Tie> Evaluation::ties(const Weights& weights) const {
  std::vector<Tie> out;
  double last = 2;  // above any confidence
  for (const std::size_t i : by_confidence_) {
    if (weights[i] == 0) continue;
    const Observation& o = observations_[i];
    if (confidence_of(o) < last) out.emplace_back();
    last = confidence_of(o);
    out.back().size += weights[i];
    out.back().right += (o.p >= threshold_) == o.positive ? weights[i] : 0;
  }
  return out;
}

std::vector<CoveragePoint> Evaluation::coverage_curve(std::size_t most) const {
  std::vector<CoveragePoint> all;
  double size = 0, right = 0;
  for (const Tie& tie : ties(Weights(observations_.size(), 1))) {
    size += tie.size;
    right += tie.right;
    all.push_back({size / static_cast<double>(observations_.size()), right / size});
  }
  return evenly_chosen(all, most);
}

Measures Evaluation::measure(const Weights& weights) const {
  Measures out;
  measure_labels(weights, out);
  measure_ranking(weights, out);
  measure_coverage(weights, out);
  measure_rating(weights, out);
  return out;
}

/// What looks at each observation alone.
void Evaluation::measure_labels(const Weights& weights, Measures& out) const {
  double tp = 0, fp = 0, tn = 0, fn = 0, loss = 0, squares = 0;
  std::array<double, kCalibrationBins> gaps{};
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    if (weights[i] == 0) continue;
    const Observation& o = observations_[i];
    const double w = weights[i];
    const double distance = o.p - (o.positive ? 1 : 0);
    const double confidence = confidence_of(o);
    (o.p >= threshold_ ? (o.positive ? tp : fp) : (o.positive ? fn : tn)) += w;
    loss += w * loss_[i];
    squares += w * distance * distance;
    gaps[calibration_bin(confidence)] += w * (confidence - (right_by_half(o) ? 1 : 0));
  }
  const double n = tp + fp + tn + fn;
  at(out, Measure::accuracy) = ratio(tp + tn, n);
  at(out, Measure::precision) = ratio(tp, tp + fp);
  at(out, Measure::recall) = ratio(tp, tp + fn);
  if (tp + fn > 0) at(out, Measure::f1) = ratio(2 * tp, 2 * tp + fp + fn);
  at(out, Measure::log_loss) = ratio(loss, n);
  at(out, Measure::brier) = ratio(squares, n);
  at(out, Measure::ece) = ratio(
      std::accumulate(gaps.begin(), gaps.end(), 0.0, [](double sum, double gap) { return sum + std::abs(gap); }), n);
  at(out, Measure::mcc) =
      ratio(tp * tn - fp * fn, std::sqrt(tp + fp) * std::sqrt(tp + fn) * std::sqrt(tn + fp) * std::sqrt(tn + fn));
}

/// What looks at the order of all p. Those of equal p are taken at once.
void Evaluation::measure_ranking(const Weights& weights, Measures& out) const {
  double positives = 0, negatives = 0;
  for (std::size_t i = 0; i < observations_.size(); ++i)
    (observations_[i].positive ? positives : negatives) += weights[i];
  if (positives == 0 || negatives == 0) return;
  double tp = 0, fp = 0, area = 0, precision_sum = 0, best = -1, best_threshold = 0;
  for (std::size_t i = 0; i < observations_.size();) {
    const double p = observations_[i].p;
    double more_tp = 0, more_fp = 0;
    for (; i < observations_.size() && observations_[i].p == p; ++i) {
      (observations_[i].positive ? more_tp : more_fp) += weights[i];
    }
    if (more_tp + more_fp == 0) continue;
    area += more_fp * (tp + more_tp / 2);
    tp += more_tp;
    fp += more_fp;
    precision_sum += more_tp * (tp / (tp + fp));
    const double f1 = 2 * tp / (tp + fp + positives);
    if (f1 >= best) {
      best = f1;
      best_threshold = p;
    }
  }
  at(out, Measure::roc_auc) = area / (positives * negatives);
  at(out, Measure::average_precision) = precision_sum / positives;
  at(out, Measure::best_f1) = best;
  at(out, Measure::best_threshold) = best_threshold;
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
    if (weights[i] == 0 || !o.stars) continue;
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

namespace {

/// The percentile bootstrap of whatever `measure` makes of the weights of `size` reviews.
template <typename Measure>
std::array<std::optional<Interval>, kMeasureCount> bootstrap(std::size_t size, std::size_t resamples,
                                                             std::uint64_t seed, Measure measure) {
  std::array<std::optional<Interval>, kMeasureCount> out;
  if (size == 0 || resamples == 0) return out;
  std::array<std::vector<double>, kMeasureCount> values;
  std::mt19937_64 generator(seed);  // its sequence is in the standard; that of the distributions is not
  std::vector<std::uint32_t> weights;
  for (std::size_t resample = 0; resample < resamples; ++resample) {
    weights.assign(size, 0);
    // The remainder favours small indices by less than size / 2^64.
    for (std::size_t i = 0; i < size; ++i) ++weights[generator() % size];
    const Measures measures = measure(weights);
    for (std::size_t m = 0; m < kMeasureCount; ++m) {
      if (measures[m]) values[m].push_back(*measures[m]);
    }
  }
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    if (values[m].size() < resamples) continue;
    std::sort(values[m].begin(), values[m].end());
    out[m] = Interval{percentile(values[m], 0.025), percentile(values[m], 0.975)};
  }
  return out;
}

}  // namespace

std::array<std::optional<Interval>, kMeasureCount> Evaluation::intervals(std::size_t resamples,
                                                                         std::uint64_t seed) const {
  auto out = bootstrap(size(), resamples, seed, [&](const Weights& weights) { return measure(weights); });
  for (std::optional<Interval>& interval : out) {
    if (interval && interval->low == interval->high) interval.reset();
  }
  return out;
}

std::array<std::optional<Interval>, kMeasureCount> Evaluation::difference_intervals(const Evaluation& other,
                                                                                    std::size_t resamples,
                                                                                    std::uint64_t seed) const {
  if (other.size() != size()) return {};
  const auto measure_of = [](const Evaluation& evaluation, const Weights& drawn) {
    Weights weights;
    for (const std::size_t place : evaluation.order_) weights.push_back(drawn[place]);
    return evaluation.measure(weights);
  };
  return bootstrap(size(), resamples, seed, [&](const Weights& drawn) {
    Measures differences = measure_of(*this, drawn);
    const Measures others = measure_of(other, drawn);
    for (std::size_t m = 0; m < kMeasureCount; ++m) {
      if (differences[m] && others[m]) *differences[m] -= *others[m];
      if (!others[m]) differences[m].reset();
    }
    return differences;
  });
}

double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

double mcnemar_exact(std::size_t only_old, std::size_t only_new) {
  const double n = static_cast<double>(only_old + only_new);
  const double smaller = static_cast<double>(std::min(only_old, only_new));
  // The largest term of the tail C(n, k) / 2^n, k = 0..smaller; the others follow from their ratios.
  double term =
      std::exp(std::lgamma(n + 1) - std::lgamma(smaller + 1) - std::lgamma(n - smaller + 1) - n * std::log(2.0));
  double tail = 0;
  for (double k = smaller; k >= 0; --k) {
    tail += term;
    term *= k / (n - k + 1);
  }
  return std::min(1.0, 2 * tail);
}

}  // namespace reviewrate

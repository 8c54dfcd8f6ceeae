// Observations in the orders that measures need, and what is shown of them beside the measures.
#include "reviewrate/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace reviewrate {
namespace {

/// At most `most` (at least 2) of `all`, the first and the last among them.
template <typename Point>
std::vector<Point> evenly_chosen(const std::vector<Point>& all, std::size_t most) {
  if (all.size() <= most) return all;
  std::vector<Point> chosen;
  for (std::size_t i = 0; i < most; ++i) chosen.push_back(all[i * (all.size() - 1) / (most - 1)]);
  return chosen;
}

}  // namespace

void Observations::add(std::size_t label, std::size_t called, std::span<const double> p, int rating,
                       std::optional<double> stars) {
  Observation o;
  o.label = static_cast<std::uint32_t>(label);
  o.called = static_cast<std::uint32_t>(called);
  o.rating = rating;
  o.stars = stars;
  if (task_ == Task::binary) {
    o.likeliest = p.front() >= 0.5 ? 1 : 0;
    o.confidence = std::max(p.front(), 1 - p.front());
  } else {
    const auto largest = std::max_element(p.begin(), p.end());
    o.likeliest = static_cast<std::uint32_t>(largest - p.begin());
    o.confidence = *largest;
  }
  reviews_.push_back(o);
  p_.insert(p_.end(), p.begin(), p.end());
}

void Observations::add_without_others(std::size_t label, std::size_t called, double score, int rating,
                                      std::optional<double> stars) {
  const auto given = static_cast<std::uint32_t>(called);
  reviews_.push_back({static_cast<std::uint32_t>(label), given, given, rating, score, stars});
}

Evaluation::Evaluation(const Observations& observations)
    : task_(observations.task()),
      labels_(observations.labels()),
      measured_(measures_of(task_, labels_)),
      order_(observations.size()),
      by_confidence_(observations.size()),
      reviews_of_(labels_) {
  const std::size_t columns = observations.columns();
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  if (columns > 0) {
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return observations.p(a, 0) > observations.p(b, 0); });
  }
  std::vector<double> stars;
  for (const std::size_t place : order_) {
    const Observation& o = observations.reviews()[place];
    observations_.push_back(o);
    ++reviews_of_[o.label];
    if (o.stars) stars.push_back(*o.stars);
    if (columns == 0) continue;
    // Of one probability the other follows.
    const bool binary = task_ == Task::binary;
    const double p = binary && o.label == 0 ? 1 - observations.p(place, 0)
                                            : observations.p(place, binary ? 0 : std::size_t{o.label});
    constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
    loss_.push_back(-std::log(std::clamp(p, kEpsilon, 1 - kEpsilon)));
    if (binary) {
      p_.push_back(observations.p(place, 0));
      distance_.push_back(p_.back() - o.label);
    } else {
      double squares = 0;
      for (std::size_t k = 0; k < columns; ++k) {
        const double distance = observations.p(place, k) - (k == o.label ? 1 : 0);
        squares += distance * distance;
      }
      distance_.push_back(std::sqrt(squares));
    }
  }
  std::iota(by_confidence_.begin(), by_confidence_.end(), std::size_t{0});
  std::stable_sort(by_confidence_.begin(), by_confidence_.end(), [&](std::size_t a, std::size_t b) {
    return observations_[a].confidence > observations_[b].confidence;
  });
  for (std::size_t column = 0; column < columns; ++column) rankings_.push_back(rank(observations, column));
  std::sort(stars.begin(), stars.end());
  stars.erase(std::unique(stars.begin(), stars.end()), stars.end());
  star_classes_ = stars.size();
  for (const Observation& o : observations_) {
    const auto found = std::lower_bound(stars.begin(), stars.end(), o.stars.value_or(0));
    star_class_.push_back(static_cast<std::size_t>(found - stars.begin()));
  }
  measures_ = measure(Weights(observations_.size(), 1));
}

std::vector<Evaluation::Ranked> Evaluation::rank(const Observations& observations, std::size_t column) const {
  const auto p = [&](const Ranked& ranked) { return observations.p(order_[ranked.review], column); };
  const std::uint32_t label = task_ == Task::binary ? 1 : static_cast<std::uint32_t>(column);
  std::vector<Ranked> out;
  for (std::uint32_t review = 0; review < observations_.size(); ++review) {
    out.push_back({review, observations_[review].label == label, true});
  }
  if (column > 0) {  // by the first one they are in order
    std::stable_sort(out.begin(), out.end(), [&](const Ranked& a, const Ranked& b) { return p(a) > p(b); });
  }
  for (std::size_t i = 0; i + 1 < out.size(); ++i) out[i].is_last = p(out[i + 1]) < p(out[i]);
  return out;
}

std::optional<double> Evaluation::value(MeasureOf measure) const {
  const auto found = std::find(measured_.begin(), measured_.end(), measure);
  return found == measured_.end() ? std::nullopt : measures_[static_cast<std::size_t>(found - measured_.begin())];
}

Confusion Evaluation::confusion() const {
  Confusion c{labels_, std::vector<std::size_t>(labels_ * labels_)};
  for (const Observation& o : observations_) ++c.counts[o.label * labels_ + o.called];
  return c;
}

std::array<CalibrationBin, kCalibrationBins> Evaluation::calibration() const {
  std::array<CalibrationBin, kCalibrationBins> bins;
  for (const Observation& o : observations_) {
    CalibrationBin& bin = bins[calibration_bin(o)];
    ++bin.count;
    bin.confidence += o.confidence;
    bin.accuracy += o.likeliest == o.label ? 1 : 0;
  }
  for (CalibrationBin& bin : bins) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return bins;
}

std::optional<double> Evaluation::middle_of_best_threshold() const {
  const std::optional<double> best = value({Measure::best_threshold});
  if (!best) return std::nullopt;
  const auto lower = std::find_if(p_.begin(), p_.end(), [&](double p) { return p < *best; });
  return lower == p_.end() ? *best : *best - (*best - *lower) / 2;
}

std::map<double, std::array<std::size_t, 11>> Evaluation::ratings_by_stars() const {
  std::map<double, std::array<std::size_t, 11>> out;
  for (const Observation& o : observations_) {
    if (o.stars && o.rating > 0) ++out[*o.stars][static_cast<std::size_t>(o.rating)];
  }
  return out;
}

std::vector<CurvePoint> Evaluation::curve(std::size_t most) const {
  std::vector<CurvePoint> all(1);
  CurvePoint point;
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    ++(observations_[i].label == 1 ? point.true_positive : point.false_positive);
    point.threshold = p_[i];
    if (rankings_.front()[i].is_last) all.push_back(point);
  }
  return evenly_chosen(all, most);
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

}  // namespace reviewrate

// How sure measures are: the bootstrap, whose draws are weights of the observations, and the test of two models.
#include <algorithm>
#include <cmath>
#include <random>

#include "reviewrate/metrics.h"

namespace reviewrate {
namespace {

/// The percentile bootstrap of the `measures` numbers that `measure` makes of the weights of `size` reviews.
template <typename Measure>
Intervals bootstrap(std::size_t measures, std::size_t size, std::size_t resamples, std::uint64_t seed,
                    Measure measure) {
  Intervals out(measures);
  if (size == 0 || resamples == 0) return out;
  std::vector<std::vector<double>> values(measures);
  std::mt19937_64 generator(seed);  // its sequence is in the standard; that of the distributions is not
  std::vector<std::uint32_t> weights;
  for (std::size_t resample = 0; resample < resamples; ++resample) {
    weights.assign(size, 0);
    // The remainder favours small indices by less than size / 2^64.
    for (std::size_t i = 0; i < size; ++i) ++weights[generator() % size];
    const Measures found = measure(weights);
    for (std::size_t m = 0; m < measures; ++m) {
      if (found[m]) values[m].push_back(*found[m]);
    }
  }
  for (std::size_t m = 0; m < measures; ++m) {
    if (values[m].size() < resamples) continue;
    std::sort(values[m].begin(), values[m].end());
    out[m] = Interval{percentile(values[m], 0.025), percentile(values[m], 0.975)};
  }
  return out;
}

}  // namespace

Intervals Evaluation::intervals(std::size_t resamples, std::uint64_t seed) const {
  auto out =
      bootstrap(measured_.size(), size(), resamples, seed, [&](const Weights& weights) { return measure(weights); });
  for (std::optional<Interval>& interval : out) {
    if (interval && interval->low == interval->high) interval.reset();
  }
  return out;
}

Intervals Evaluation::difference_intervals(const Evaluation& other, std::size_t resamples, std::uint64_t seed) const {
  if (other.size() != size() || other.measured_ != measured_) return Intervals(measured_.size());
  const auto measure_of = [](const Evaluation& evaluation, const Weights& drawn) {
    Weights weights;
    for (const std::size_t place : evaluation.order_) weights.push_back(drawn[place]);
    return evaluation.measure(weights);
  };
  return bootstrap(measured_.size(), size(), resamples, seed, [&](const Weights& drawn) {
    Measures differences = measure_of(*this, drawn);
    const Measures others = measure_of(other, drawn);
    for (std::size_t m = 0; m < differences.size(); ++m) {
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

// How far two samples of a number lie apart, such as the scores of two months' reviews.
#pragma once

#include <cstddef>
#include <vector>

namespace reviewrate {

/// Bins of the population stability index.
inline constexpr std::size_t kPsiBins = 10;

/// A bin's share counts as at least this, since the logarithm of an empty bin's is infinite.
inline constexpr double kLeastPsiShare = 1e-4;

/// The population stability index of two samples: the sum over the bins of (b - a) * ln(b / a), a and b being the bin's
/// shares of `before` and of `after`, at least kLeastPsiShare each (Siddiqi, Credit Risk Scorecards, 2006; Yurdakul and
/// Naranjo, Statistical properties of the population stability index, 2020). The bins lie between the deciles of
/// `before`, which are those of numpy.percentile; the first and the last bin have no end, equal deciles are one, and a
/// bin holds its lower bound. By custom, below 0.1 is no shift and above 0.25 a large one; of small samples chance
/// alone gives about 9 * (1 / n + 1 / m). Both samples are sorted and not empty.
double population_stability(const std::vector<double>& before, const std::vector<double>& after);

/// The two-sample Kolmogorov-Smirnov test, two-sided.
struct KolmogorovSmirnov {
  double statistic = 0;  ///< largest distance of the two distribution functions
  double p = 1;          ///< of a distance at least as large if both samples come from one distribution; see below
};

/// The test for two sorted samples that are not empty; equals scipy.stats.ks_2samp(method="asymp"), whose p is that of
/// the one-sample test of n m / (n + m) values, rounded: not for samples of a few values (p is 1 where that is none).
/// Where there are ties, the true p is smaller.
KolmogorovSmirnov kolmogorov_smirnov(const std::vector<double>& before, const std::vector<double>& after);

}  // namespace reviewrate

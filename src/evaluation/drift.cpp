// Population stability index and Kolmogorov-Smirnov test.
#include "reviewrate/drift.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <numbers>

#include "reviewrate/metrics.h"

namespace reviewrate {
namespace {

/// The share of each bin between the ascending `bounds`.
std::vector<double> shares(const std::vector<double>& sorted, const std::vector<double>& bounds) {
  std::vector<double> out;
  auto begin = sorted.begin();
  const auto take = [&](std::vector<double>::const_iterator end) {
    out.push_back(std::max(static_cast<double>(end - begin) / static_cast<double>(sorted.size()), kLeastPsiShare));
    begin = end;
  };
  for (const double bound : bounds) take(std::lower_bound(sorted.begin(), sorted.end(), bound));
  take(sorted.end());
  return out;
}

/// P(D+ >= d) of the one-sided statistic of n values: Smirnov's sum (1944), none of whose terms is negative.
double one_sided_tail(double n, double d) {
  double sum = 0;
  for (std::size_t step = 0;; ++step) {
    const auto j = static_cast<double>(step);
    const double reached = d + j / n;
    if (reached >= 1) return d * sum;
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(j + 1) - std::lgamma(n - j + 1) + (j - 1) * std::log(reached) +
                    (n - j) * std::log1p(-reached));
  }
}

using Matrix = std::vector<double>;  // [size, size]

Matrix product(const Matrix& a, const Matrix& b, std::size_t size) {
  Matrix out(size * size);
  for (std::size_t row = 0; row < size; ++row) {
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t column = 0; column < size; ++column) {
        out[row * size + column] += a[row * size + i] * b[i * size + column];
      }
    }
  }
  return out;
}

/// A matrix times exp(log_scale), which keeps its powers within a double's range.
struct ScaledMatrix {
  Matrix values;
  double log_scale = 0;
};

ScaledMatrix product(const ScaledMatrix& a, const ScaledMatrix& b, std::size_t size) {
  ScaledMatrix out{product(a.values, b.values, size), a.log_scale + b.log_scale};
  const double largest = *std::max_element(out.values.begin(), out.values.end());
  for (double& value : out.values) value /= largest;
  out.log_scale += std::log(largest);
  return out;
}

/// P(D < d) of the two-sided statistic of n values, exactly: n! / n^n times an element of a matrix's n-th power (Durbin
/// 1968; Marsaglia, Tsang and Wang, Evaluating Kolmogorov's distribution, 2003). The matrix has about 2 n d rows.
double exact_distribution(std::uint64_t n, double d) {
  const double nd = static_cast<double>(n) * d;
  if (nd <= 0.5) return 0;
  const double k = std::ceil(nd), h = k - nd;
  const std::size_t middle = static_cast<std::size_t>(k) - 1, size = 2 * middle + 1;
  std::vector<double> inverse(size + 1, 1);  // 1 / i!
  for (std::size_t i = 1; i <= size; ++i) inverse[i] = inverse[i - 1] / static_cast<double>(i);
  std::vector<double> edge(size);  // the first column, and backwards the last row
  for (std::size_t i = 0; i < size; ++i) edge[i] = (1 - std::pow(h, static_cast<double>(i + 1))) * inverse[i + 1];
  const auto m = static_cast<double>(size);
  edge.back() = (1 - 2 * std::pow(h, m) + std::pow(std::max(2 * h - 1, 0.0), m)) * inverse[size];
  ScaledMatrix power{Matrix(size * size)}, result{Matrix(size * size)};
  for (std::size_t row = 0; row < size; ++row) {
    for (std::size_t column = 0; column < size && column <= row + 1; ++column) {
      power.values[row * size + column] = column == 0       ? edge[row]
                                          : row + 1 == size ? edge[size - 1 - column]
                                                            : inverse[row + 1 - column];
    }
    result.values[row * size + row] = 1;
  }
  for (std::uint64_t rest = n; rest > 0; rest /= 2) {
    if (rest % 2 == 1) result = product(result, power, size);
    if (rest > 1) power = product(power, power, size);
  }
  const auto count = static_cast<double>(n);
  return result.values[middle * size + middle] *
         std::exp(result.log_scale + std::lgamma(count + 1) - count * std::log(count));
}

/// The same for large n: the limit distribution and its corrections up to n^(-3/2), in the form that converges fast for
/// small distances (Pelz and Good 1976; Simard and L'Ecuyer, Computing the two-sided Kolmogorov-Smirnov distribution,
/// 2011, section 2.5).
double limit_distribution(double n, double d) {
  constexpr double kSquare = std::numbers::pi * std::numbers::pi, kFourth = kSquare * kSquare;
  constexpr int kTerms = 10;  // more change nothing below the distances for which this is called
  const double z = std::sqrt(n) * d, z2 = z * z, z4 = z2 * z2, z6 = z4 * z2, z8 = z4 * z4;
  double k0 = 0, k1 = 0, k2 = 0, k3 = 0, whole2 = 0, whole3 = 0;
  for (int k = 1; k <= kTerms; ++k) {
    const double odd = 2 * k - 1, o2 = odd * odd, o4 = o2 * o2, o6 = o4 * o2;
    const double weight = std::exp(-o2 * kSquare / (8 * z2));
    k0 += weight;
    k1 += weight * (kSquare / 4 * o2 - z2);
    k2 += weight * (6 * z6 + 2 * z4 + (2 * z4 - 5 * z2) * kSquare / 4 * o2 + kFourth * (1 - 2 * z2) / 16 * o4);
    k3 += weight * (-30 * z6 - 90 * z8 + kSquare * (135 * z4 - 96 * z6) / 4 * o2 +
                    kFourth * (212 * z4 - 60 * z2) / 16 * o4 + kFourth * kSquare * (5 - 30 * z2) / 64 * o6);
    const double square = k * k, whole = std::exp(-square * kSquare / (2 * z2));
    whole2 += whole * square;
    whole3 += whole * square * (3 * z2 - kSquare * square);
  }
  const double root = std::sqrt(n);
  const double sum = k0 / z + k1 / (6 * z4 * root) + (k2 / (72 * z4 * z2 * z) - kSquare * whole2 / (36 * z2 * z)) / n +
                     (k3 / (6480 * z8 * z2) + kSquare * whole3 / (216 * z6)) / (n * root);
  return std::sqrt(2 * std::numbers::pi) * sum;
}

/// P(D >= d) of the one-sample test of n values.
double one_sample_tail(double n, double d) {
  constexpr double kFar = 4;         // n d^2 from which both sides together are as likely as twice the one, to 1e-10
  constexpr double kMostSteps = 60;  // n d up to which the matrix is small
  constexpr double kNear = 0.01;     // n d^2 below which the distribution function is 0 in a double
  if (d >= 1) return 0;
  if (n * d * d >= kFar) return 2 * one_sided_tail(n, d);
  if (n * d <= kMostSteps) return 1 - exact_distribution(static_cast<std::uint64_t>(n), d);
  return n * d * d < kNear ? 1 : 1 - limit_distribution(n, d);
}

}  // namespace

double population_stability(const std::vector<double>& before, const std::vector<double>& after) {
  std::vector<double> bounds;
  for (std::size_t bin = 1; bin < kPsiBins; ++bin) {
    const double bound = percentile(before, static_cast<double>(bin) / kPsiBins);
    if (bounds.empty() || bound > bounds.back()) bounds.push_back(bound);
  }
  const std::vector<double> a = shares(before, bounds), b = shares(after, bounds);
  double sum = 0;
  for (std::size_t bin = 0; bin < a.size(); ++bin) sum += (b[bin] - a[bin]) * std::log(b[bin] / a[bin]);
  return sum;
}

KolmogorovSmirnov kolmogorov_smirnov(const std::vector<double>& before, const std::vector<double>& after) {
  const auto n = static_cast<std::int64_t>(before.size()), m = static_cast<std::int64_t>(after.size());
  std::int64_t largest = 0;  // of |i m - j n|, which is the distance times n m without rounding
  std::size_t i = 0, j = 0;
  while (i < before.size() && j < after.size()) {
    const double value = std::min(before[i], after[j]);
    while (i < before.size() && before[i] == value) ++i;
    while (j < after.size() && after[j] == value) ++j;
    largest = std::max(largest, std::abs(static_cast<std::int64_t>(i) * m - static_cast<std::int64_t>(j) * n));
  }
  const double pairs = static_cast<double>(n) * static_cast<double>(m);
  const double statistic = static_cast<double>(largest) / pairs;
  const double effective = std::nearbyint(pairs / static_cast<double>(n + m));
  return {statistic, effective > 0 ? std::clamp(one_sample_tail(effective, statistic), 0.0, 1.0) : 1};
}

}  // namespace reviewrate

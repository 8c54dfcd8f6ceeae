// The design is chosen by measurement (scripts/README.md); the estimator is explained in the header.
#include "shapley.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>

namespace reviewrate {
namespace {

// The kernel's settings. Only their ratios matter, and they matter little.
constexpr double kConstant = 100;  // c: nothing is known of the level
constexpr double kAdditive = 1;    // a
constexpr double kNear = 0.4;      // t

/// A linear congruential generator (Knuth's MMIX): the same sequence everywhere.
class FixedSequence {
 public:
  /// A number below `bound`.
  std::size_t below(std::size_t bound) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>((state_ >> 33U) % bound);
  }

 private:
  std::uint64_t state_ = 20260101;
};

/// Collects coalitions, none of them twice.
class Design {
 public:
  explicit Design(std::size_t count) : count_(count) {}

  bool full() const { return coalitions_.size() >= count_; }

  void add(Coalition coalition) {
    if (!full() && known_.insert(coalition).second) coalitions_.push_back(std::move(coalition));
  }

  /// Adds `coalition`, and the coalition of all others: what the two tell together is free of even interactions.
  void add_pair(Coalition coalition) {
    Coalition others = coalition;
    others.flip();
    add(std::move(coalition));
    add(std::move(others));
  }

  std::vector<Coalition> take() { return std::move(coalitions_); }

 private:
  std::size_t count_;
  std::vector<Coalition> coalitions_;
  std::set<Coalition> known_;
};

/// The places of the players in a random order.
std::vector<std::size_t> shuffled(std::size_t players, FixedSequence& random) {
  std::vector<std::size_t> order(players);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = players; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

/// Solves `matrix` x = b for each of the `columns` b, in place; `matrix` [n, n] is symmetric and positive definite, and
/// is overwritten by its Cholesky factor.
void solve(std::vector<double>& matrix, std::vector<double>& columns, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double sum = matrix[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= matrix[i * n + k] * matrix[j * n + k];
      matrix[i * n + j] = i == j ? std::sqrt(sum) : sum / matrix[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) columns[i] -= matrix[i * n + k] * columns[k];
    columns[i] /= matrix[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) columns[i] -= matrix[k * n + i] * columns[k];
    columns[i] /= matrix[i * n + i];
  }
}

/// For a coalition with `a` of the n - 1 other players, by how much a player's joining brings a random coalition of
/// others nearer to it, over 1 - t: the integral of (t + (1 - t) q)^a (1 - (1 - t) q)^(n - 1 - a) over q from 0 to 1.
std::vector<double> nearness(std::size_t players) {
  const std::size_t others = players - 1;
  std::vector<double> integral(players);
  // By parts, from a = n - 1 down; the rest by symmetry.
  double above = 0;
  for (std::size_t a = others;; --a) {
    const std::size_t b = others - a;
    if (a < b) break;
    const double power = static_cast<double>(a) + 1;
    above = (std::pow(kNear, b) - std::pow(kNear, power) + static_cast<double>(b) * above) / power;
    integral[a] = integral[b] = above / (1 - kNear);
    if (a == 0) break;
  }
  return integral;
}

}  // namespace

std::vector<Coalition> shapley_design(std::size_t players, std::size_t count) {
  Design design(count);
  design.add(Coalition(players, false));
  design.add(Coalition(players, true));
  // 2^players without overflow.
  const bool all = players < 20 && (std::size_t{1} << players) <= count;
  if (all) {
    for (std::size_t bits = 0; bits < (std::size_t{1} << players); ++bits) {
      Coalition coalition(players);
      for (std::size_t i = 0; i < players; ++i) coalition[i] = ((bits >> i) & 1U) != 0;
      design.add(std::move(coalition));
    }
    return design.take();
  }
  FixedSequence random;
  for (const std::size_t i : shuffled(players, random)) {
    Coalition coalition(players, false);
    coalition[i] = true;
    design.add_pair(std::move(coalition));
  }
  // Then coalitions of 2 to n - 2 players, all sizes alike.
  while (!design.full()) {
    const std::size_t size = 2 + random.below(players - 3);
    const std::vector<std::size_t> order = shuffled(players, random);
    Coalition coalition(players, false);
    for (std::size_t i = 0; i < size; ++i) coalition[order[i]] = true;
    design.add_pair(std::move(coalition));
  }
  return design.take();
}

std::vector<double> shapley_values(std::span<const Coalition> design, std::span<const double> values) {
  const std::size_t players = design.front().size();
  const std::size_t known = design.size();
  const auto n = static_cast<double>(players);
  std::vector<double> kernel(players + 1);
  for (std::size_t d = 0; d <= players; ++d) {
    kernel[d] = kConstant + kAdditive * (1 - 2 * static_cast<double>(d) / n) + std::pow(kNear, d);
  }
  std::vector<double> covariance(known * known);
  for (std::size_t i = 0; i < known; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      std::size_t different = 0;
      for (std::size_t k = 0; k < players; ++k) different += design[i][k] != design[j][k] ? 1U : 0U;
      covariance[i * known + j] = kernel[different];
    }
  }
  std::vector<double> weights(values.begin(), values.end());
  solve(covariance, weights, known);

  const std::vector<double> near = nearness(players);
  std::vector<double> result(players);
  for (std::size_t j = 0; j < known; ++j) {
    const auto size = static_cast<std::size_t>(std::count(design[j].begin(), design[j].end(), true));
    for (std::size_t i = 0; i < players; ++i) {
      const bool inside = design[j][i];
      const double gain = 2 * kAdditive / n + (1 - kNear) * near[size - (inside ? 1 : 0)];
      result[i] += weights[j] * (inside ? gain : -gain);
    }
  }
  // What rounding has left.
  const double sum = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& value : result) value += (values[1] - values[0] - sum) / n;
  return result;
}

}  // namespace reviewrate

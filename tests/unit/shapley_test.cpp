// Shapley values against their definition: the mean over all orders in which the players may join.
#include "inference/shapley.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "catch.h"

using namespace reviewrate;

namespace {

using Game = std::function<double(const Coalition&)>;

std::vector<double> by_definition(std::size_t players, const Game& game) {
  std::vector<std::size_t> order(players);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> sum(players);
  double orders = 0;
  do {
    Coalition coalition(players);
    double before = game(coalition);
    for (const std::size_t i : order) {
      coalition[i] = true;
      const double after = game(coalition);
      sum[i] += after - before;
      before = after;
    }
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  for (double& value : sum) value /= orders;
  return sum;
}

std::vector<double> estimated(std::size_t players, std::size_t count, const Game& game) {
  const std::vector<Coalition> design = shapley_design(players, count);
  std::vector<double> values;
  for (const Coalition& coalition : design) values.push_back(game(coalition));
  return shapley_values(design, values);
}

/// What reviews are like: parts weigh for and against, and the more there are the less each of them adds.
double saturating(const Coalition& coalition) {
  double sum = -0.2;
  for (std::size_t i = 0; i < coalition.size(); ++i) {
    if (coalition[i]) sum += std::sin(static_cast<double>(3 * i + 1)) * (i % 3 == 0 ? 3 : 1);
  }
  if (coalition.size() > 1 && coalition[0] && coalition[1]) sum += 0.7;
  return 4 * std::tanh(sum / 3);
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

TEST_CASE("Shapley values are exact where every coalition is known") {
  for (const std::size_t players : {1U, 2U, 3U, 4U, 5U, 6U}) {
    const std::vector<double> expected = by_definition(players, saturating);
    const std::vector<double> values = estimated(players, 64, saturating);
    REQUIRE(values.size() == players);
    for (std::size_t i = 0; i < players; ++i) CHECK(values[i] == Approx(expected[i]).margin(1e-9));
  }
}

TEST_CASE("Shapley values of an additive game are near its weights, though few coalitions are known") {
  const auto additive = [](const Coalition& coalition) {
    double sum = 1.5;
    for (std::size_t i = 0; i < coalition.size(); ++i) sum += coalition[i] ? static_cast<double>(i) - 3 : 0;
    return sum;
  };
  const std::vector<double> values = estimated(9, 30, additive);
  std::vector<double> weights(9);
  std::iota(weights.begin(), weights.end(), -3.0);
  CHECK(correlation(values, weights) > 0.98);
  CHECK(std::accumulate(values.begin(), values.end(), 0.0) == Approx(9).margin(1e-12));
}

TEST_CASE("Shapley values from few coalitions are near the exact ones, and add up to the same") {
  const std::vector<double> expected = by_definition(9, saturating);
  const std::vector<double> values = estimated(9, 65, saturating);
  CHECK(correlation(values, expected) > 0.99);
  const double all = saturating(Coalition(9, true)) - saturating(Coalition(9, false));
  CHECK(std::accumulate(values.begin(), values.end(), 0.0) == Approx(all).margin(1e-12));
}

TEST_CASE("a player who changes nothing gets next to nothing, and twins get the same") {
  // Player 2 is a dummy; 0 and 1 can stand in for each other.
  const auto game = [](const Coalition& c) { return c[0] || c[1] ? 2.0 + (c[3] ? 1.0 : 0.0) : 0.0; };
  const std::vector<double> values = estimated(4, 16, game);
  CHECK(values[2] == Approx(0).margin(1e-9));
  CHECK(values[0] == Approx(values[1]).margin(1e-9));
}

TEST_CASE("a design begins with nobody and all, has no coalition twice, and keeps to its size") {
  for (const std::size_t players : {1U, 2U, 3U, 4U, 7U, 30U, 500U}) {
    for (const std::size_t count : {3U, 7U, 32U, 65U}) {
      const std::vector<Coalition> design = shapley_design(players, count);
      INFO(players << " players, " << count << " coalitions");
      const std::size_t all = players < 10 ? std::size_t{1} << players : 1000;
      CHECK(design.size() == std::min(all, count));
      CHECK(std::set<Coalition>(design.begin(), design.end()).size() == design.size());
      CHECK(design[0] == Coalition(players, false));
      CHECK(design[1] == Coalition(players, true));
      CHECK(design == shapley_design(players, count));
    }
  }
}

}  // namespace

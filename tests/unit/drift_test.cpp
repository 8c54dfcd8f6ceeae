// Shifts of samples that are counted by hand, and of sizes for which the p of the Kolmogorov-Smirnov test is computed
// in different ways; tests/python/test_measures.py compares random ones with SciPy and NumPy.
#include "reviewrate/drift.h"

#include <cmath>
#include <vector>

#include "catch.h"

using namespace reviewrate;

namespace {

/// first, first + 1, ... `size` values.
std::vector<double> steps(std::size_t size, double first = 0) {
  std::vector<double> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = first + static_cast<double>(i);
  return out;
}

}  // namespace

TEST_CASE("a sample is no shift of itself") {
  const std::vector<double> sample = steps(25);
  CHECK(population_stability(sample, sample) == 0);
  CHECK(kolmogorov_smirnov(sample, sample).statistic == 0);
  CHECK(kolmogorov_smirnov(sample, sample).p == 1);
}

TEST_CASE("population stability of samples counted by hand") {
  // The deciles of 0, 1, ... 10 are 1, 2, ... 9: [9, inf) holds two of the eleven, each other bin one.
  const std::vector<double> before = steps(11);
  const double one = 1.0 / 11, two = 2.0 / 11;
  // All of the others are in the last bin: nine bins fall to the least share.
  CHECK(population_stability(before, {9, 20}) ==
        Approx(9 * (kLeastPsiShare - one) * std::log(kLeastPsiShare / one) + (1 - two) * std::log(1 / two)));
  // All are below the first decile.
  CHECK(population_stability(before, {-5, 0.5}) ==
        Approx((1 - one) * std::log(1 / one) + 8 * (kLeastPsiShare - one) * std::log(kLeastPsiShare / one) +
               (kLeastPsiShare - two) * std::log(kLeastPsiShare / two)));
  // Equal deciles are one: below 7, and from 7 on.
  CHECK(population_stability({7, 7, 7}, {6, 7, 8, 9}) ==
        Approx((0.25 - kLeastPsiShare) * std::log(0.25 / kLeastPsiShare) + (0.75 - 1) * std::log(0.75)));
}

TEST_CASE("Kolmogorov-Smirnov statistic of samples with ties, counted by hand") {
  // After 2: 3 of 4 against 1 of 5.
  CHECK(kolmogorov_smirnov({1, 2, 2, 5}, {2, 3, 3, 5, 6}).statistic == Approx(0.75 - 0.2));
  CHECK(kolmogorov_smirnov({1, 2}, {3, 4, 5}).statistic == 1);
  CHECK(kolmogorov_smirnov({1}, {2}).p == 1);  // of so few nothing can be said
}

TEST_CASE("p of the Kolmogorov-Smirnov test as SciPy gives it") {
  const auto check = [](std::size_t before, std::size_t after, double first, double statistic, double p) {
    const KolmogorovSmirnov found = kolmogorov_smirnov(steps(before), steps(after, first));
    CHECK(found.statistic == Approx(statistic));
    CHECK(found.p == Approx(p).epsilon(2e-5));
  };
  check(4, 5, 1, 0.4, 0.82);
  check(30, 20, 9, 0.3, 0.187357090929);
  check(200, 200, 10, 0.05, 0.953215971064);
  check(200, 200, 60, 0.3, 1.77198698927e-08);
  check(9000, 8000, 100, 0.1, 2.55270925897e-37);
  check(9000, 9000, 160, 0.0177777777778, 0.114933819856);
  check(9000, 9000, 400, 0.0444444444444, 3.66735056958e-08);
  check(9000, 9000, 3000, 0.333333333333, 0);
}

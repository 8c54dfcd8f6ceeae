// Softmax, labels and ratings at every boundary.
#include "reviewrate/rating.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "catch.h"

using namespace reviewrate;

TEST_CASE("linear_rating agrees with Python's round at every boundary") {
  std::ifstream table(REVIEWRATE_TEST_DATA "/rating_cases.txt");
  std::string number;
  int expected = 0;
  int cases = 0;
  std::getline(table, number);  // the comment
  while (table >> number >> expected) {
    const double p = std::strtod(number.c_str(), nullptr);
    INFO(number);
    CHECK(linear_rating(p) == expected);
    ++cases;
  }
  CHECK(cases > 1000);
}

TEST_CASE("fitted_rating counts the thresholds that p reaches") {
  const RatingThresholds thresholds = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
  CHECK(fitted_rating(0, thresholds) == 1);
  CHECK(fitted_rating(0.1, thresholds) == 2);
  CHECK(fitted_rating(std::nextafter(0.1, 0.0), thresholds) == 1);
  CHECK(fitted_rating(0.9, thresholds) == 10);
  CHECK(fitted_rating(1, thresholds) == 10);
}

TEST_CASE("softmax sums to one and survives large logits") {
  const std::vector<float> logits = {1000.0F, 1001.0F};
  const auto p = softmax(logits);
  CHECK(p[0] + p[1] == Approx(1).epsilon(1e-15));
  CHECK(p[1] == Approx(1 / (1 + std::exp(-1.0))).epsilon(1e-15));
  const std::vector<float> far = {-2e38F, 2e38F};
  CHECK(softmax(far) == std::vector<double>{0, 1});
}

TEST_CASE("Scorer: two labels go by the threshold, more by the largest") {
  const Scorer scorer{1, 0.5, std::nullopt};
  const std::vector<double> even = {0.5, 0.5};
  CHECK(scorer(even).label == 1);
  CHECK(scorer(even).score == 0.5);
  CHECK(scorer(even).rating == 5);
  const Scorer strict{1, 0.9, std::nullopt};
  const std::vector<double> likely = {0.2, 0.8};
  CHECK(strict(likely).label == 0);
  CHECK(strict(likely).score == 0.2);
  CHECK(strict(likely).positive == 0.8);
  const Scorer swapped{0, 0.5, std::nullopt};
  CHECK(swapped(likely).positive == 0.2);
  CHECK(swapped(likely).label == 1);
  const std::vector<double> three = {0.2, 0.45, 0.35};
  CHECK(Scorer{std::nullopt, 0.5, std::nullopt}(three).label == 1);
  CHECK_FALSE(Scorer{std::nullopt, 0.5, std::nullopt}(three).rating);
  CHECK(Scorer{2, 0.3, std::nullopt}(three).label == 1);
  CHECK(Scorer{2, 0.3, std::nullopt}(three).positive == 0.35);
  CHECK_FALSE(Scorer{2, 0.3, std::nullopt}(three).rating);  // what the other two labels stand for is not known
}

TEST_CASE("Scorer: the rating of more than two labels is their expected value") {
  const Scorer scorer{2, 0.5, std::nullopt, {1, 5.5, 10}};
  const auto rating = [&](const std::vector<double>& p) { return scorer(p).rating; };
  CHECK(rating({0, 1, 0}) == 6);          // 5.5, to even
  CHECK(rating({0.1, 0.85, 0.05}) == 5);  // 5.275
  CHECK(rating({1, 0, 0}) == 1);
  CHECK(rating({0, 0, 1}) == 10);
  CHECK(rating({0.5, 0, 0.5}) == 6);
  CHECK(rating({0.02, 0.97, 0.01}) == 5);  // 5.455
  CHECK(rating({0, 0.5, 0.5}) == 8);       // 7.75
  CHECK(scorer(std::vector<double>{0.01, 0.98, 0.01}).positive == 0.01);
  // Stars without a positive label; probabilities whose sum is a little more than 1.
  const Scorer stars{std::nullopt, 0.5, std::nullopt, {1, 3.25, 5.5, 7.75, 10}};
  CHECK(stars(std::vector<double>{0, 0, 0.5, 0.5, 0}).rating == 7);  // 6.625
  CHECK(stars(std::vector<double>{0, 0, 0, 0, 1.0000000000000002}).rating == 10);
  CHECK_FALSE(stars(std::vector<double>{0, 0, 0, 0, 1}).positive);
}

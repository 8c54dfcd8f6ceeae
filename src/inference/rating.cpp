// Softmax, label and rating; see the header for what each means.
#include "reviewrate/rating.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string_view>
#include <system_error>

namespace reviewrate {

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> result(logits.begin(), logits.end());
  if (result.empty()) return result;
  const double largest = *std::max_element(result.begin(), result.end());
  double sum = 0;
  for (double& value : result) sum += value = std::exp(value - largest);
  for (double& value : result) value /= sum;
  return result;
}

int linear_rating(double p) {
  // to_chars rounds the exact value, ties to even: multiplying by ten first would round twice.
  std::array<char, 8> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), p, std::chars_format::fixed, 1);
  if (error != std::errc()) return 1;
  int tenths = 0;
  for (const char c : std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()))) {
    if (c != '.') tenths = tenths * 10 + (c - '0');
  }
  return std::max(tenths, 1);
}

int fitted_rating(double p, const RatingThresholds& thresholds) {
  return 1 + static_cast<int>(std::count_if(thresholds.begin(), thresholds.end(), [p](double t) { return p >= t; }));
}

int expected_rating(std::span<const double> probabilities, std::span<const double> values) {
  const double value = std::inner_product(probabilities.begin(), probabilities.end(), values.begin(), 0.0);
  // nearbyint rounds ties to even: nothing here changes the rounding mode. Rounding may lead a little beyond 1 and 10.
  return std::clamp(static_cast<int>(std::nearbyint(value)), 1, 10);
}

UnsureRange unsure_range(double share, const std::vector<double>& percentiles) {
  const double place = share * 100;
  const auto below = static_cast<std::size_t>(place);
  // No confidence is below one half.
  const double low = below == 0 ? 0.5 : percentiles[below - 1];
  const double high = percentiles[std::min(below, percentiles.size() - 1)];
  const double confidence = low + (high - low) * (place - static_cast<double>(below));
  return {1 - confidence, confidence};
}

Prediction Scorer::operator()(std::span<const double> probabilities) const {
  Prediction result;
  const auto largest = std::max_element(probabilities.begin(), probabilities.end());
  result.label = static_cast<std::size_t>(largest - probabilities.begin());
  if (positive) {
    const double p = probabilities[*positive];
    result.positive = p;
    if (probabilities.size() == 2) {
      result.rating = thresholds ? fitted_rating(p, *thresholds) : linear_rating(p);
      result.label = p >= threshold ? *positive : 1 - *positive;
    }
  }
  if (!values.empty()) result.rating = expected_rating(probabilities, values);
  result.score = probabilities[result.label];
  result.probabilities.assign(probabilities.begin(), probabilities.end());
  return result;
}

}  // namespace reviewrate

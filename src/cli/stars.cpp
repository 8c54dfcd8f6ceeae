// Stars: their range, and the ways in which they are none.
#include "stars.h"

#include <algorithm>
#include <cmath>

#include "labels.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

constexpr double kLowestOfRatings = 1, kHighestOfRatings = 10;
constexpr double kMostOfFive = 5;  // where no stars are above it, five may be all that there are

std::string range(const StarCounts& counts) { return shortest(*counts.low) + " to " + shortest(*counts.high); }

}  // namespace

double StarScale::on_ratings(double stars) const {
  // Without a rounding error where both scales are the same.
  if (low == kLowestOfRatings && high == kHighestOfRatings) return stars;
  return kLowestOfRatings + (kHighestOfRatings - kLowestOfRatings) * ((stars - low) / (high - low));
}

StarScale parse_star_scale(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::optional<double> low = parse_number(text.substr(0, colon));
  const std::optional<double> high = colon == std::string::npos ? std::nullopt : parse_number(text.substr(colon + 1));
  if (!low || !high || *low >= *high || !std::isfinite(*high - *low)) {
    throw Error(ErrorKind::usage, "--stars-scale: " + json_string(text) + " must be LOW:HIGH, such as 1:5");
  }
  return {*low, *high};
}

void StarCounts::add(const Stars& stars, const StarScale& scale) {
  if (!stars.given) return;
  ++reviews;
  if (!stars.number) {
    ++bad;
    return;
  }
  low = std::min(low.value_or(*stars.number), *stars.number);
  high = std::max(high.value_or(*stars.number), *stars.number);
  const bool good = scale.holds(*stars.number);
  bad += good ? 0 : 1;
  above_five = above_five || (good && *stars.number > kMostOfFive);
}

void StarCounts::add(const StarCounts& other) {
  reviews += other.reviews;
  bad += other.bad;
  if (other.low) {
    low = std::min(low.value_or(*other.low), *other.low);
    high = std::max(high.value_or(*other.high), *other.high);
  }
  above_five = above_five || other.above_five;
}

StarFindings::StarFindings(const StarCounts& field, const StarCounts& names, std::optional<StarScale> asked)
    : all_(field), names_(names), asked_(asked), names_ignored_(2 * names.bad > names.reviews) {
  if (!names_ignored_) all_.add(names);
  withheld_ = !asked_ && all_.reviews > all_.bad && !all_.above_five;
}

bool StarFindings::is_bad(const Stars& stars) const {
  if (!stars.given || (stars.in_name && names_ignored_)) return false;
  return !stars.number || !asked_.value_or(StarScale()).holds(*stars.number);
}

std::optional<double> StarFindings::compared(const Stars& stars) const {
  if (!stars.given || withheld_ || is_bad(stars) || (stars.in_name && names_ignored_)) return std::nullopt;
  return asked_.value_or(StarScale()).on_ratings(*stars.number);
}

std::string StarFindings::seen() const {
  std::string out;
  if (all_.reviews > 0) {
    out = "stars of " + counted(all_.reviews, "review");
    if (all_.low) out += " from " + range(all_);
    const StarScale scale = asked_.value_or(StarScale());
    if (asked_) out += ", read as " + shortest(scale.low) + " to " + shortest(scale.high);
    if (all_.bad > 0) {
      out += "; " + std::to_string(all_.bad) + " are no number from " + shortest(scale.low) + " to " +
             shortest(scale.high) + " and were left out";
    }
  }
  return out;
}

std::string StarFindings::doubt() const {
  if (withheld_) {
    return "no stars are above 5, so they may be 1 to 5 or 1 to 10: the rating measures were left out; say which with "
           "--stars-scale 1:5 or --stars-scale 1:10";
  }
  if (names_ignored_) {
    return "most numbers in the file names (" + range(names_) +
           ") are not on the scale of stars, so none of them were taken for stars";
  }
  return "";
}

}  // namespace reviewrate::cli

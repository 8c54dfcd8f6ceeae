// The stars of reviews: which numbers they are, and whether they say what ratings say.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace reviewrate::cli {

/// The lowest and the highest number of stars that can be given.
struct StarScale {
  double low = 1;
  double high = 10;

  bool holds(double stars) const { return low <= stars && stars <= high; }

  /// `stars` as they would be from 1 to 10.
  double on_ratings(double stars) const;
};

/// LOW:HIGH. Throws Error(usage), which names --stars-scale.
StarScale parse_star_scale(const std::string& text);

/// The stars of one review as they were found.
struct Stars {
  bool given = false;
  bool in_name = false;          ///< of a file, not in a field: nobody says that it holds stars
  std::optional<double> number;  ///< empty: what is given is none
};

/// Counts over the stars of a field, or over those in file names.
struct StarCounts {
  std::size_t reviews = 0;
  std::size_t bad = 0;  ///< no numbers, or not on the scale
  std::optional<double> low;
  std::optional<double> high;  ///< of all numbers
  bool above_five = false;     ///< one on the scale is

  void add(const Stars& stars, const StarScale& scale);
  void add(const StarCounts& other);
};

/// What the stars of all labelled reviews amount to.
class StarFindings {
 public:
  StarFindings() : StarFindings({}, {}, std::nullopt) {}

  /// `asked`: what --stars-scale says.
  StarFindings(const StarCounts& field, const StarCounts& names, std::optional<StarScale> asked);

  /// On the ratings' scale what is to be compared with the rating; empty where there is nothing, or nothing sure.
  std::optional<double> compared(const Stars& stars) const;

  bool is_bad(const Stars& stars) const;

  std::size_t reviews() const { return all_.reviews; }
  std::size_t bad() const { return all_.bad; }
  std::optional<double> low() const { return all_.low; }
  std::optional<double> high() const { return all_.high; }
  const std::optional<StarScale>& asked() const { return asked_; }

  /// No number is above 5, so that the scale cannot be told.
  bool withheld() const { return withheld_; }

  /// The numbers in file names are no stars; from `names_low` to `names_high`.
  bool names_ignored() const { return names_ignored_; }

  /// For people: what was seen; empty without any stars.
  std::string seen() const;

  /// For people: why the measures of the stars are left out; empty if they are not.
  std::string doubt() const;

 private:
  StarCounts all_;
  StarCounts names_;
  std::optional<StarScale> asked_;
  bool names_ignored_;
  bool withheld_;
};

}  // namespace reviewrate::cli

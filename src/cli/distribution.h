// What diff --distribution compares of two runs whose records need not be of the same reviews.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "predictions.h"
#include "reviewrate/drift.h"

namespace reviewrate::cli {

/// How many of the predictions that say whether it is so say that it is.
struct Share {
  std::size_t known = 0;
  std::size_t count = 0;

  void add(std::optional<bool> value);

  /// Empty where none says.
  std::optional<double> value() const;
};

/// A run's records, counted; of each two numbers are kept.
struct Distribution {
  std::size_t records = 0;
  std::size_t errors = 0;  ///< error records among them; all below is of the others
  Share truncated, unsure;
  std::map<std::string, std::size_t> labels;
  std::vector<double> p_positive;
  std::vector<double> tokens;

  void add(const PredictionRecord& record);

  /// Why nothing can be said of it, for people; empty: it can.
  std::string obstacle() const;
};

/// How far a number of one run lies from that of the other.
struct Shift {
  double psi = 0;
  KolmogorovSmirnov ks;
};

/// Two runs, neither of which has an obstacle.
class DistributionComparison {
 public:
  DistributionComparison(Distribution before, Distribution after);

  /// Whether the index of p_positive is not above `max_psi`, if there is one.
  bool holds(std::optional<double> max_psi) const { return !max_psi || p_positive_.psi <= *max_psi; }

  /// What was found, for people: a table, and a line for each number.
  std::string text(std::optional<double> max_psi) const;

  /// The same for scripts.
  nlohmann::ordered_json json(std::optional<double> max_psi) const;

 private:
  /// The most frequent labels of both runs, by name.
  std::vector<std::string> labels() const;

  Distribution before_;
  Distribution after_;
  Shift p_positive_;
  std::optional<Shift> tokens_;  // empty: not both runs have them
};

}  // namespace reviewrate::cli

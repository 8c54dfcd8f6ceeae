// What a run amounts to: counted as records go by, told at the end, and shown as a bar meanwhile.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "console.h"
#include "reviewrate/input.h"
#include "reviewrate/record.h"

namespace reviewrate::cli {

/// Counts over the records of a run. What an earlier one has written, which it goes on with, is in two counts of its
/// own.
struct Summary {
  /// `unsure_asked`: predictions may be marked as unsure.
  Summary(std::vector<std::string> label_names, bool unsure_asked)
      : labels(std::move(label_names)), by_label(labels.size()) {
    if (unsure_asked) unsure = 0;
  }

  void add(const Outcome& outcome);

  /// Error records, those of an earlier run too.
  std::size_t all_failures() const { return failures + resumed_failures; }

  /// Mean of the ratings, 0 without any.
  double mean_rating() const;

  /// One line for people, with the ratings as ten small bars; without a newline. `skipped` files by reason.
  std::string line(double seconds, const std::map<std::string, std::size_t>& skipped) const;

  /// One line on the failures, of which there are some, of an earlier run or this one.
  std::string failure_line() const;

  /// The same and more as a JSON object for scripts, on one line with its newline.
  std::string json(double seconds, bool interrupted, const InputFindings& findings) const;

  std::vector<std::string> labels;
  std::string effort;                 ///< of the model
  std::vector<std::size_t> by_label;  ///< of reviews that are not empty
  std::size_t records = 0;
  std::size_t failures = 0;
  std::size_t resumed = 0;           ///< records that an earlier, interrupted run had written; in no other count
  std::size_t resumed_failures = 0;  ///< error records among them
  std::map<std::string, std::size_t> failures_by_kind;
  std::string first_failure;  ///< its message; empty: there is none
  std::size_t truncated = 0;
  std::size_t repeated = 0;  ///< equal to an earlier text, whose answer they have
  std::size_t repaired = 0;  ///< reviews that had bytes of another encoding
  std::size_t empty = 0;     ///< reviews of nothing but white space, which say nothing of what people think
  std::optional<std::size_t> unsure = {};  ///< predictions that are marked so; empty: it was not asked for
  std::size_t tokens = 0;
  std::array<std::size_t, 10> ratings{};  ///< of reviews that are not empty

 private:
  /// The failures by kind; those that an earlier run has written have none here.
  std::string listed_failures() const;
};

/// A bar on a terminal: reviews that are done, their rate, and the remaining time where the inputs' size is known.
class ProgressBar {
 public:
  /// Shown on stderr if that is a terminal that can move its cursor, and `wanted`. `goes_on`: an earlier run has done
  /// the first records.
  ProgressBar(const Source& source, bool wanted, const InputOptions& input, bool goes_on = false);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Draws it anew, at most ten times a second, and not before a second is over. `position` is that of the last of the
  /// records that are done.
  void update(std::size_t records, std::uint64_t position);

  /// Removes it from the screen.
  void clear() { clear_status(); }

 private:
  using Clock = std::chrono::steady_clock;

  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);

  std::uint64_t bytes_;  // of all inputs; 0: unknown
  std::size_t records_;  // that are asked for
  bool goes_on_;
  bool shown_;
  double first_share_ = 0;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point last_;
};

}  // namespace reviewrate::cli

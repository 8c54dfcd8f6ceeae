// Reads what classify wrote: jsonl, csv and tsv, told apart by their content.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/input.h"
#include "reviewrate/record_reader.h"

namespace reviewrate::cli {

/// What is compared of a record that classify wrote.
struct PredictionRecord {
  Value id;
  std::string label;  ///< of an error record its kind
  double p = 0;       ///< of the positive label, or where there is none the score; 0 of an error record
  bool failed = false;
  bool has_positive = false;               ///< p is that of the positive label
  std::string fault = {};                  ///< why it is none, though it has id and label; empty: it is one
  std::optional<double> score = {};        ///< of the label; empty: the record does not say
  std::string scores = {};                 ///< an object of all labels' probabilities as JSON; empty: the same
  std::optional<int> rating = {};          ///< 1-10; the same
  std::optional<std::size_t> tokens = {};  ///< the same
  std::optional<bool> truncated = {};      ///< the same
  std::optional<bool> unsure = {};         ///< the same; jsonl has it only where it is true
  std::string effort = {};                 ///< empty: the record names none
};

/// How a fault ends that is about a probability.
inline constexpr const char* kNoProbability = ", and a probability is a number from 0 to 1";

/// Whether the line is a record of classify's jsonl.
bool is_prediction(std::string_view line);

/// What the file is, if it is something else that this program wrote: "predictions ..." or "a report ...". Empty where
/// it is neither, or cannot be read.
std::string recognize_output(const std::string& path, Waiter& waiter);

/// Reads predictions through the same layer as reviews: compressed or not, and heeding signals.
class PredictionReader {
 public:
  /// `path`: a file, or - for stdin. `prefix` stands before the names of all fields but the id, as --prefix puts it
  /// there. Throws Error(input).
  PredictionReader(const std::string& path, Waiter& waiter, std::string prefix = "");

  /// Reads the beginning. What it is if that is known and holds no predictions, for people; else empty.
  /// Throws Error(input).
  std::string recognize();

  /// After recognize(): whether the records are rows of a table, whose ids have no type.
  bool is_table() const { return first_ || format_ != InputFormat::jsonl; }

  /// The next record, or false at the end. What is none is noted and counted, and so is what has a fault. Throws
  /// Error(input).
  bool next(PredictionRecord& record);

  std::size_t records() const { return records_; }
  std::size_t errors() const { return errors_; }  ///< error records among them
  std::size_t broken() const { return broken_; }  ///< lines that are no record, or one with a fault

  /// Where the first few of those stand, and what is wrong with them, for people.
  const std::vector<std::string>& broken_lines() const { return broken_lines_; }

  /// The efforts of the predictions so far, with commas between; one that names none was made at full effort.
  std::string efforts() const;

 private:
  struct Line {
    std::string place;
    std::string text;
    bool valid = true;  // it is UTF-8, and not too long
  };

  bool next_row(PredictionRecord& record);
  bool next_typed(PredictionRecord& record);
  bool take_line(Line& line);
  bool read_line(Line& line);
  void count(const PredictionRecord& record, const std::string& place);
  void note_broken(const std::string& place, const std::string& fault = "");

  std::string path_;
  std::string prefix_;
  std::unique_ptr<Source> source_;  // of lines, or of records with types
  std::optional<Review> first_;     // of Parquet and Arrow: the record that comes next
  std::deque<Line> seen_;           // lines that were read by recognize() and not yet by next()
  InputOptions record_options_;
  InputFormat format_ = InputFormat::jsonl;
  std::unique_ptr<RecordReader> rows_;  // of a table
  std::string row_bytes_;               // what it is to read next
  std::string_view pending_;            // the rest of it
  bool ended_ = false;
  std::size_t records_ = 0;
  std::size_t errors_ = 0;
  std::size_t broken_ = 0;
  std::vector<std::string> broken_lines_;
  std::set<std::string> efforts_;
};

}  // namespace reviewrate::cli

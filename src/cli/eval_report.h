// What an evaluation found, and the forms that it is told in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "labels.h"
#include "reviewrate/metrics.h"
#include "reviewrate/record.h"
#include "stars.h"

namespace reviewrate::cli {

/// A set of the labelled reviews that is measured by itself.
struct Part {
  std::string key;    ///< in the JSON: all, short, long
  std::string title;  ///< for people
  Evaluation evaluation;
  Intervals intervals;
};

/// A review that was called wrongly.
struct Mistake {
  Value id;
  std::string text;             ///< in a report its beginning
  std::size_t label = 0;        ///< its own, by its number
  std::size_t called = 0;       ///< what it was called
  double score = 0;             ///< the probability of that
  std::optional<double> p;      ///< binary: of the positive label
  std::optional<double> stars;  ///< as they were given
  std::size_t tokens = 0;       ///< 0: not known
  std::optional<Explanation> explanation = {};

  /// The probability of the likeliest label.
  double confidence() const { return p ? std::max(*p, 1 - *p) : score; }
};

/// A condition and whether it held.
struct Gate {
  std::string name;  ///< such as "f1 >= 0.92"
  bool holds = false;
  std::string found;  ///< what was found instead or as well
};

/// How a measure changed since the baseline, or from another model to this one.
struct Change {
  std::string name;       ///< of the measure
  bool of_label = false;  ///< it is of one label
  std::optional<double> before;
  std::optional<double> after;
  std::optional<Interval> difference = {};  ///< 95 %; only where both models were run
};

/// The comparison with a baseline, or with another model.
struct BaselineComparison {
  std::string before = "old";  ///< what the two are called
  std::string after = "new";
  std::optional<double> before_threshold;  ///< of another model that has one of its own
  std::vector<Change> changes;
  std::string verdict;            ///< whether it is more than chance, in words
  std::optional<double> mcnemar;  ///< p of the exact test; empty where the inputs differ
};

/// What a label of the data was taken for.
struct TakenLabel {
  std::string value;
  bool is_folder = false;
  std::string label;  ///< of the model; empty: none
  std::size_t reviews = 0;
};

/// The name of a measure in reports and gates, such as "roc_auc"; of one label "roc_auc:neutral".
std::string measure_title(MeasureOf measure, const MeasuredLabels& labels);

/// Everything that is reported. Counts: `labelled` reviews, `failed` ones among them, and `unlabelled` ones beside
/// them.
struct EvalReport {
  std::vector<std::string> command;  ///< the words of it
  std::vector<std::string> files;    ///< that were read
  std::string date;                  ///< of the end of the run, in UTC, as ISO 8601 has it
  std::string model;
  std::string model_sha256;
  std::string precision;
  std::string effort;
  std::string long_text;
  std::string rating;  ///< linear, fitted, none, or "as they are" of predictions
  MeasuredLabels labels;
  std::size_t max_tokens = 0;
  std::optional<double> threshold;  ///< binary; empty of predictions, whose labels are as they were written
  std::string input_sha256;
  std::size_t labelled = 0;
  std::size_t failed = 0;
  std::size_t unlabelled = 0;
  std::vector<TakenLabel> taken_labels;
  std::string taken;  ///< the same for people
  StarFindings stars;
  std::string outcomes;           ///< a character a review: 1 right, 0 wrong, x failed
  std::vector<Failure> failures;  ///< the first few
  std::vector<Mistake> mistakes;  ///< by falling confidence
  std::vector<Part> parts;        ///< the first one is all of them
  std::vector<Gate> gates;
  std::optional<BaselineComparison> comparison;
};

/// Model, precision, and the effort unless it is full.
std::string model_text(const EvalReport& report);

/// A number for people: four decimals, "-" for none.
std::string decimals(std::optional<double> value);

/// Tables for people (eval_text.cpp).
std::string report_text(const EvalReport& report);

std::string report_json(const EvalReport& report);
std::string report_junit(const EvalReport& report);

/// A summary for a job's page, in GitHub's Markdown (eval_markdown.cpp).
std::string report_markdown(const EvalReport& report);

/// The words of the command as a shell takes them.
std::string command_line(const EvalReport& report);

/// One page that needs nothing from elsewhere (eval_page.cpp).
std::string report_html(const EvalReport& report);

}  // namespace reviewrate::cli

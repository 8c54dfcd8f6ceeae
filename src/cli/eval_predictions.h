// What classify has written of reviews, as eval measures it: labels, ratings and probabilities are those of the
// records.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "eval_collector.h"
#include "eval_plan.h"
#include "labelled_source.h"
#include "predictions.h"
#include "process.h"

namespace reviewrate::cli {

/// The records of --predictions, by their ids.
class Predictions {
 public:
  /// Reads the file, until it is interrupted. What is no record is told. Throws Error(input) if there is none, and
  /// Error(usage) if all are of another model than the plan's.
  Predictions(const EvalPlan& plan, const Interruption& interruption);

  /// Whether the probabilities of all labels are known, which measures such as the log loss go by.
  bool has_all_scores() const { return without_scores_ == 0; }

  /// Lines that are no record, or hold what no model says.
  std::size_t unreadable() const { return unreadable_; }

  /// Hands the next prediction of each review's id to `collector`, or why there is none.
  void rate(LabelledSource& labelled, Truths& truths, EvalCollector& collector, const Interruption& interruption);

  /// The report's part that does not depend on the reviews.
  EvalReport describe() const;

 private:
  /// What a record says.
  struct Said {
    std::string obstacle = {};  ///< why it is no prediction of the model; empty: it is one
    std::size_t label = 0;
    double p = 0;                            ///< of the positive label, or where there is no threshold of `label`
    std::vector<double> probabilities = {};  ///< no threshold: of all labels; empty: they are not known
    std::optional<int> rating = {};
    std::size_t tokens = 0;  ///< 0: not known
  };

  Said judge(const PredictionRecord& record);
  Said judge_by_threshold(const PredictionRecord& record);
  Said judge_by_scores(const PredictionRecord& record);
  Said of_another_model(const PredictionRecord& record, const std::string& obstacle);
  Said of_another_label(const PredictionRecord& record);
  Prediction prediction_of(Said& said) const;

  const EvalPlan& plan_;
  std::string in_;         // " in FILE"
  MeasuredLabels labels_;  // the model's, in its own order
  std::unordered_map<std::string, std::deque<Said>> by_id_;
  std::size_t rated_ = 0;  // records that are no error records
  std::size_t foreign_ = 0;
  std::string first_foreign_;
  std::size_t without_scores_ = 0;
  std::size_t unreadable_ = 0;
};

}  // namespace reviewrate::cli

// Records of classify, looked up by the ids of labelled reviews.
#include "eval_predictions.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "console.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/manifest.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate::cli {
namespace {

constexpr double kSumTolerance = 1e-6;
constexpr std::size_t kShownBytes = 40;  // of what is no number

/// Reads the probabilities of a record's `scores`, in the order of `labels`. Why they are none, else nothing.
std::string read_scores(const std::string& text, const MeasuredLabels& labels, std::vector<double>& p) {
  const nlohmann::json scores = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!scores.is_object()) return "its scores are no object with a probability for each label";
  p.assign(labels.names.size(), -1);
  for (const auto& [name, score] : scores.items()) {
    const std::optional<std::size_t> number = number_of(name, labels);
    if (!number) return "its scores have the label " + shown_label(name) + ", and there are " + listed(labels.names);
    const double value = score.is_number() ? score.get<double>() : -1;
    if (!(value >= 0 && value <= 1)) {
      return "its score of " + shown_label(name) + " is " + shortened(score.dump(), kShownBytes) + kNoProbability;
    }
    p[*number] = value;
  }
  for (std::size_t label = 0; label < p.size(); ++label) {
    if (p[label] < 0) return "its scores lack the label " + shown_label(labels.names[label]);
  }
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  if (std::abs(sum - 1) > kSumTolerance) return "its scores add up to " + shortest(sum) + ", and must to 1";
  return "";
}

}  // namespace

Predictions::Predictions(const EvalPlan& plan, const Interruption& interruption)
    : plan_(plan), in_(" in " + plan.asked.predictions), labels_{plan.labels().task, plan.manifest.labels} {
  const std::string& path = plan.asked.predictions;
  InputWaiter waiter(false);
  PredictionReader reader(path, waiter, plan.asked.prefix);
  if (const std::string what = reader.recognize(); !what.empty()) {
    throw Error(ErrorKind::input, path + ": is " + what + ", and --predictions reads what classify writes");
  }
  PredictionRecord record;
  while (!interruption.flag().load() && reader.next(record)) by_id_[record.id.text].push_back(judge(record));
  unreadable_ = reader.broken();
  if (reader.records() == 0 && unreadable_ > 0) {
    throw Error(ErrorKind::input, path + ": there is no prediction record in it: " + reader.broken_lines().front());
  }
  if (foreign_ > 0 && foreign_ == rated_) {
    throw Error(ErrorKind::usage, "--predictions: " + first_foreign_ + ": name the model that they are of with -m");
  }
  // Of labelled reviews the reader says the same.
  if (unreadable_ > 0 && !plan.files_are_predictions) {
    print_notice("eval: " + failure_message(path, counted(unreadable_, "line") + " could not be read; the first: " +
                                                      reader.broken_lines().front()));
  }
}

Predictions::Said Predictions::judge(const PredictionRecord& record) {
  if (record.failed) return {.obstacle = "is an error record (" + record.label + ")" + in_};
  if (!record.fault.empty()) return {.obstacle = record.fault + " (" + plan_.asked.predictions + ")"};
  ++rated_;
  Said said = has_threshold(plan_.manifest) ? judge_by_threshold(record) : judge_by_scores(record);
  said.rating = record.rating;
  said.tokens = record.tokens.value_or(0);
  return said;
}

Predictions::Said Predictions::judge_by_threshold(const PredictionRecord& record) {
  if (!record.has_positive) return of_another_model(record, "has no p_positive" + in_);
  const std::size_t positive = *plan_.manifest.positive;
  if (const std::optional<double> threshold = plan_.asked.scoring.threshold) {
    return {.label = record.p >= *threshold ? positive : 1 - positive, .p = record.p};
  }
  const std::optional<std::size_t> label = number_of(record.label, labels_);
  if (!label) return of_another_label(record);
  return {.label = *label, .p = record.p};
}

Predictions::Said Predictions::judge_by_scores(const PredictionRecord& record) {
  const std::optional<std::size_t> label = number_of(record.label, labels_);
  if (!label) return of_another_label(record);
  if (!record.score) return of_another_model(record, "has no score" + in_);
  Said said{.label = *label, .p = *record.score};
  if (labels_.names.size() == 2) {
    // Of one probability the other follows.
    said.probabilities = {said.p, said.p};
    said.probabilities[1 - *label] = 1 - said.p;
  } else if (record.scores.empty()) {
    ++without_scores_;
  } else if (const std::string fault = read_scores(record.scores, labels_, said.probabilities); !fault.empty()) {
    said.obstacle = fault + " (" + plan_.asked.predictions + ")";
  }
  return said;
}

Predictions::Said Predictions::of_another_model(const PredictionRecord& record, const std::string& obstacle) {
  if (foreign_++ == 0) {
    first_foreign_ = failure_message(record.id.text, obstacle);
  }
  return {.obstacle = obstacle};
}

Predictions::Said Predictions::of_another_label(const PredictionRecord& record) {
  return of_another_model(record, "has the label " + shown_label(record.label) + in_ + ", and those of model " +
                                      plan_.manifest.name + " (-m) are " + listed(labels_.names));
}

Prediction Predictions::prediction_of(Said& said) const {
  Prediction prediction;
  prediction.label = said.label;
  prediction.rating = said.rating;
  prediction.tokens = said.tokens;
  if (labels_.task == Task::binary) {
    prediction.positive = said.p;
  } else {
    prediction.score = said.p;
    if (has_all_scores()) prediction.probabilities = std::move(said.probabilities);
  }
  return prediction;
}

void Predictions::rate(LabelledSource& labelled, Truths& truths, EvalCollector& collector,
                       const Interruption& interruption) {
  if (const std::size_t all = rated_ - foreign_; 0 < without_scores_ && without_scores_ < all) {
    print_notice("eval: " + failure_message(plan_.asked.predictions,
                                            std::to_string(without_scores_) + " of " + counted(all, "prediction") +
                                                " have no scores: what needs the probabilities of all labels is not "
                                                "measured"));
  }
  Outcome outcome;
  while (!interruption.flag().load() && labelled.next(outcome.review, /*may_block=*/true) == Source::Status::review) {
    outcome.prediction.reset();
    if (plan_.files_are_predictions) outcome.review.text.clear();  // what was read as a text is none
    const std::string& id = outcome.review.id.text;
    std::deque<Said>& found = by_id_[id];
    const std::string obstacle = found.empty() ? "there is no prediction of this id" + in_ : found.front().obstacle;
    if (outcome.review.failure) {
      // An error record was read as a review, whose text it lacks.
      const bool is_error_record = plan_.files_are_predictions && !found.empty() && !obstacle.empty();
      if (is_error_record) outcome.review.failure = Failure{"prediction", failure_message(id, obstacle)};
    } else if (!obstacle.empty()) {
      truths.take();
      outcome.review.failure = Failure{"prediction", failure_message(id, obstacle)};
    } else {
      outcome.prediction = prediction_of(found.front());
    }
    if (!found.empty()) found.pop_front();
    collector.write(outcome);
  }
}

EvalReport Predictions::describe() const {
  EvalReport report;
  report.model = "predictions of " + plan_.asked.predictions;
  report.model_sha256 = sha256_file(plan_.asked.predictions);
  report.precision = report.effort = report.long_text = report.rating = "as they are";
  report.labels = plan_.labels();
  report.max_tokens = plan_.manifest.max_tokens;
  report.threshold = plan_.asked.scoring.threshold;
  return report;
}

}  // namespace reviewrate::cli

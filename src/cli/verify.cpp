// reviewrate verify: does the model still give the probabilities that transformers, or for a schedule PyTorch, gave
// when it was exported?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "help.h"
#include "options.h"
#include "output_plan.h"
#include "reviewrate/error.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

constexpr double kTolerance = 1e-5;  // fp32: another order of additions
// bf16 and int8 round every step. With a schedule they may choose another token here and there, and that text differs
// by more: then it is the mean difference that counts.
constexpr double kRoughTolerance = 0.05;

struct VerifyOptions {
  ModelChoice model;
  std::size_t workers = 0;
};

/// Compares each prediction with the label, the probabilities and the token count that came along with its text. Those
/// of a schedule are in the object `schedules`; a text that has none there is not compared: the choice of its tokens
/// hung on less than fp32 can tell.
class ReferenceCheck : public Sink {
 public:
  ReferenceCheck(const Manifest& manifest, std::string effort, Precision precision)
      : path_(manifest.reference->path),
        labels_(manifest.labels),
        effort_(std::move(effort)),
        tolerance_(precision == Precision::fp32 ? kTolerance : kRoughTolerance),
        of_mean_(precision != Precision::fp32 && effort_ != kFullEffort) {}

  void write(const Outcome& outcome) override {
    const std::string where = path_ + ": " + outcome.review.id.text;
    if (!outcome.prediction) throw Error(ErrorKind::model, path_ + ": " + outcome.review.failure->message);
    const auto passed = [&](const std::string& name) {
      const auto& fields = outcome.review.passed;
      const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
      if (found == fields.end() || !found->value.json) throw Error(ErrorKind::model, where + ": has no " + name);
      return nlohmann::json::parse(found->value.text);
    };
    try {
      const auto p = passed("p").get<std::vector<double>>();
      compare_label(where, outcome.review, p);
      const bool full = effort_ == kFullEffort;
      const nlohmann::json schedules = full ? nlohmann::json() : passed("schedules");
      if (!full && !schedules.contains(effort_)) return;
      ++texts_;
      compare(where, full ? p : schedules.at(effort_).get<std::vector<double>>(), passed("tokens").get<std::size_t>(),
              *outcome.prediction);
    } catch (const nlohmann::json::exception& e) {
      throw Error(ErrorKind::model, where + ": " + json_complaint(e.what()));
    }
  }

  void flush() override {}

  std::size_t texts() const { return texts_; }

  bool passed() const { return mismatches_ == 0 && (!of_mean_ || mean() <= tolerance_); }

  /// What was found, for people.
  std::string text() const {
    return counted(texts_, "text") + ", " + std::to_string(mismatches_) + " differ, " +
           (of_mean_ ? "mean difference " + shortest(mean()) + ", " : "") + "largest difference " + shortest(largest_) +
           " (tolerance " + (of_mean_ ? "of the mean " : "") + shortest(tolerance_) + ")";
  }

 private:
  double mean() const { return sum_ / static_cast<double>(texts_); }

  void compare(const std::string& where, const std::vector<double>& expected, std::size_t tokens,
               const Prediction& prediction) {
    const std::vector<double>& found = prediction.probabilities;
    if (expected.size() != found.size()) {
      throw Error(ErrorKind::model, where + ": has probabilities of " + std::to_string(expected.size()) +
                                        " labels, the model of " + std::to_string(found.size()));
    }
    std::string differences;
    double farthest = 0;
    for (std::size_t label = 0; label < found.size(); ++label) {
      const double difference = std::abs(expected[label] - found[label]);
      farthest = std::max(farthest, difference);
      if (!of_mean_ && !(difference <= tolerance_)) {
        differences += ", p of label " + std::to_string(label) + " " + shortest(found[label]) + " for " +
                       shortest(expected[label]);
      }
    }
    largest_ = std::max(largest_, farthest);
    sum_ += farthest;
    if (tokens != prediction.tokens) {
      differences += ", tokens " + std::to_string(prediction.tokens) + " for " + std::to_string(tokens);
    }
    if (differences.empty()) return;
    ++mismatches_;
    print_notice("verify: " + where + (effort_ == kFullEffort ? "" : ", " + effort_) + ": " + differences.substr(2));
  }

  /// Probabilities go by index, so label names that changed places would not be noticed by them. References of packages
  /// that were exported before they had labels hold none.
  void compare_label(const std::string& where, const Review& review, const std::vector<double>& expected) const {
    const auto given = std::find_if(review.passed.begin(), review.passed.end(),
                                    [](const Field& field) { return field.name == "label"; });
    if (given == review.passed.end()) return;
    const auto most = std::max_element(expected.begin(), expected.end()) - expected.begin();
    const std::string& named = labels_[static_cast<std::size_t>(most)];
    if (given->value.text == named) return;
    throw Error(ErrorKind::model, where + ": the label of its largest probability was " + given->value.text +
                                      " when the model was exported, and is " + named + " by the manifest");
  }

  std::string path_;
  std::vector<std::string> labels_;
  std::string effort_;
  double tolerance_;
  bool of_mean_;  ///< the tolerance is that of the mean over all texts
  std::size_t texts_ = 0;
  std::size_t mismatches_ = 0;
  double largest_ = 0;
  double sum_ = 0;  ///< of each text's largest difference
};

/// Compares the model, at the effort of `choice`, with its reference; empty where a signal came.
std::optional<ReferenceCheck> compare_with_reference(const ModelChoice& choice, std::size_t& workers,
                                                     const Interruption& interruption) {
  const Package package = open_package_for(choice, workers);
  const Manifest& manifest = package.manifest;
  if (!manifest.reference) {
    throw Error(ErrorKind::model, "model " + manifest.name + ": brings no reference to verify against");
  }
  OutputPlan plan;
  plan.writes("the result", "-");
  plan.reads_model(manifest);
  plan.check();
  read_package_file(*manifest.reference, kMaxModelBytes);  // throws unless it is as it was exported

  InputOptions input;
  input.format = InputFormat::jsonl;
  input.pass = {"p", "tokens", "label"};
  if (package.effort != kFullEffort) input.pass.emplace_back("schedules");
  InputWaiter waiter(false);
  const auto source = open_source({}, {manifest.reference->path}, input, waiter);
  const PipelineOptions options = pipeline_options(workers, {}, manifest, interruption);
  ReferenceCheck check(manifest, package.effort, package.precision);
  run_pipeline(*source, *package.tokenizer, *package.model, check, options);
  if (interruption.signal() != 0) return std::nullopt;
  if (check.texts() == 0) {
    throw Error(ErrorKind::model, manifest.reference->path + ": holds no texts" +
                                      (package.effort == kFullEffort ? "" : " for the schedule " + package.effort));
  }
  return check;
}

int verify(VerifyOptions a, const Interruption& interruption) {
  const Manifest manifest = find_manifest(a.model);
  const std::vector<std::string> efforts =
      a.model.effort.empty() ? effort_names(manifest) : std::vector<std::string>{a.model.effort};
  std::string lines;
  bool same = true;
  for (const std::string& effort : efforts) {
    a.model.effort = effort;
    const std::optional<ReferenceCheck> found = compare_with_reference(a.model, a.workers, interruption);
    if (!found) return kInterrupted + interruption.signal();
    same = same && found->passed();
    lines += manifest.name + (effort == kFullEffort ? "" : ", " + effort) + ": " + found->text() + '\n';
  }
  OutputStream stream("");
  print_lines(stream, lines);
  stream.close();
  return same ? kOk : kGateFailed;
}

}  // namespace

Run add_verify(CLI::App& app) {
  const auto a = std::make_shared<VerifyOptions>();
  a->model.effort = "";  // each that there is
  add_model_options(app, a->model);
  add_workers_option(app, a->workers);
  add_speed_options(app, a->model);
  app.get_option("--effort")->default_str("each of the package's");
  add_footer(app, "Example: reviewrate verify -m models/imdb-small");
  return [a](const Interruption& interruption) { return verify(*a, interruption); };
}

}  // namespace reviewrate::cli

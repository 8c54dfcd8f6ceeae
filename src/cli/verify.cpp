// reviewrate verify: does the model still give the probabilities that transformers gave when it was exported?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
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

constexpr double kTolerance = 1e-5;       // fp32: another order of additions
constexpr double kRoughTolerance = 0.05;  // bf16 and int8, which round every step

struct VerifyOptions {
  ModelChoice model;
  std::size_t workers = 0;
};

/// Compares each prediction with the label, the probabilities and the token count that came along with its text.
class ReferenceCheck : public Sink {
 public:
  ReferenceCheck(const Manifest& manifest, double tolerance)
      : path_(manifest.reference->path), labels_(manifest.labels), tolerance_(tolerance) {}

  void write(const Outcome& outcome) override {
    const std::string where = path_ + ": " + outcome.review.id.text;
    if (!outcome.prediction) throw Error(ErrorKind::model, path_ + ": " + outcome.review.failure->message);
    const auto passed = [&](const std::string& name) {
      const auto& fields = outcome.review.passed;
      const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
      if (found == fields.end() || !found->value.json) throw Error(ErrorKind::model, where + ": has no " + name);
      return nlohmann::json::parse(found->value.text);
    };
    ++texts_;
    std::vector<double> expected;
    std::size_t tokens = 0;
    try {
      expected = passed("p").get<std::vector<double>>();
      tokens = passed("tokens").get<std::size_t>();
    } catch (const nlohmann::json::exception& e) {
      throw Error(ErrorKind::model, where + ": " + json_complaint(e.what()));
    }
    compare(where, expected, tokens, *outcome.prediction);
    compare_label(where, outcome.review, expected);
  }

  void flush() override {}

  std::size_t texts() const { return texts_; }
  std::size_t mismatches() const { return mismatches_; }
  double largest() const { return largest_; }

 private:
  void compare(const std::string& where, const std::vector<double>& expected, std::size_t tokens,
               const Prediction& prediction) {
    const std::vector<double>& found = prediction.probabilities;
    if (expected.size() != found.size()) {
      throw Error(ErrorKind::model, where + ": has probabilities of " + std::to_string(expected.size()) +
                                        " labels, the model of " + std::to_string(found.size()));
    }
    std::string differences;
    for (std::size_t label = 0; label < found.size(); ++label) {
      const double difference = std::abs(expected[label] - found[label]);
      largest_ = std::max(largest_, difference);
      if (!(difference <= tolerance_)) {
        differences += ", p of label " + std::to_string(label) + " " + shortest(found[label]) + " for " +
                       shortest(expected[label]);
      }
    }
    if (tokens != prediction.tokens) {
      differences += ", tokens " + std::to_string(prediction.tokens) + " for " + std::to_string(tokens);
    }
    if (differences.empty()) return;
    ++mismatches_;
    print_notice("verify: " + where + ": " + differences.substr(2));
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
  double tolerance_;
  std::size_t texts_ = 0;
  std::size_t mismatches_ = 0;
  double largest_ = 0;
};

int verify(VerifyOptions a, const Interruption& interruption) {
  const Package package = open_package_for(a.model, a.workers);
  const Manifest& manifest = package.manifest;
  if (!manifest.reference) {
    throw Error(ErrorKind::model, "model " + manifest.name + ": brings no reference to verify against");
  }
  OutputPlan plan;
  plan.writes("the result", "-");
  plan.reads_model(manifest);
  plan.check();
  read_package_file(*manifest.reference, kMaxModelBytes);  // throws unless it is as it was exported
  const double tolerance = package.precision == Precision::fp32 ? kTolerance : kRoughTolerance;

  InputOptions input;
  input.format = InputFormat::jsonl;
  input.pass = {"p", "tokens", "label"};
  InputWaiter waiter(false);
  const auto source = open_source({}, {manifest.reference->path}, input, waiter);
  const PipelineOptions options = pipeline_options(a.workers, {}, manifest, interruption);
  ReferenceCheck check(manifest, tolerance);
  run_pipeline(*source, *package.tokenizer, *package.model, check, options);
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  if (check.texts() == 0) throw Error(ErrorKind::model, manifest.reference->path + ": holds no texts");

  OutputStream stream("");
  print_lines(stream, manifest.name + ": " + std::to_string(check.texts()) + " texts, " +
                          std::to_string(check.mismatches()) + " differ, largest difference " +
                          shortest(check.largest()) + " (tolerance " + shortest(tolerance) + ")\n");
  stream.close();
  return check.mismatches() == 0 ? kOk : kGateFailed;
}

}  // namespace

Run add_verify(CLI::App& app) {
  const auto a = std::make_shared<VerifyOptions>();
  add_model_options(app, a->model);
  add_workers_option(app, a->workers);
  add_precision_option(app, a->model);
  add_footer(app, "Example: reviewrate verify -m models/imdb-small");
  return [a](const Interruption& interruption) { return verify(*a, interruption); };
}

}  // namespace reviewrate::cli

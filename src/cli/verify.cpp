// reviewrate verify: does the model still give the probabilities that transformers gave when it was exported?
#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "exit_status.h"
#include "inference.h"
#include "package.h"
#include "record_writer.h"
#include "reviewrate/error.h"

namespace reviewrate::cli {
namespace {

constexpr double kTolerance = 1e-5;       // fp32: another order of additions
constexpr double kRoughTolerance = 0.05;  // bf16 and int8, which round every step

/// Compares each prediction with the probabilities and the token count that came along with its text.
class Comparison : public Sink {
 public:
  Comparison(std::string path, std::size_t positive, double tolerance)
      : path_(std::move(path)), positive_(positive), tolerance_(tolerance) {}

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
    try {
      const double expected = passed("p").at(positive_).get<double>();
      const auto tokens = passed("tokens").get<std::size_t>();
      const Prediction& p = *outcome.prediction;
      const double difference = std::abs(expected - *p.positive);
      largest_ = std::max(largest_, difference);
      if (!(difference <= tolerance_) || tokens != p.tokens) {
        ++mismatches_;
        std::cerr << "reviewrate: verify: " << where << ": p " << *p.positive << " for " << expected << ", tokens "
                  << p.tokens << " for " << tokens << '\n';
      }
    } catch (const nlohmann::json::exception& e) {
      throw Error(ErrorKind::model, where + ": " + e.what());
    }
  }

  void flush() override {}

  std::size_t texts() const { return texts_; }
  std::size_t mismatches() const { return mismatches_; }
  double largest() const { return largest_; }

 private:
  std::string path_;
  std::size_t positive_;
  double tolerance_;
  std::size_t texts_ = 0;
  std::size_t mismatches_ = 0;
  double largest_ = 0;
};

}  // namespace

int verify(const Arguments& a, const Interruption& interruption) {
  Manifest manifest = find_manifest(a);
  if (!manifest.reference)
    throw Error(ErrorKind::model, "model " + manifest.name + ": brings no reference to verify against");
  check_sha256(*manifest.reference);
  const Precision precision = choose_precision(a, manifest);
  const double tolerance = precision == Precision::fp32 ? kTolerance : kRoughTolerance;
  const auto tokenizer = load_tokenizer(manifest);
  const auto model = load_model(manifest, precision);

  InputOptions input;
  input.format = InputFormat::jsonl;
  input.pass = {"p", "tokens"};
  InputWaiter waiter(false);
  const auto source = open_source({}, {manifest.reference->path}, input, waiter);

  // One label's probability tells; every other one's would cost a run of its own.
  PipelineOptions options = pipeline_options(a, manifest, interruption);
  options.scorer.positive = manifest.positive.value_or(0);
  Comparison comparison(manifest.reference->path, *options.scorer.positive, tolerance);
  run_pipeline(*source, *tokenizer, *model, comparison, options);
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  if (comparison.texts() == 0) throw Error(ErrorKind::model, manifest.reference->path + ": holds no texts");

  const bool ok = comparison.mismatches() == 0;
  std::cout << manifest.name << ": " << comparison.texts() << " texts, " << comparison.mismatches()
            << " differ, largest difference " << comparison.largest() << " (tolerance " << tolerance << ")"
            << std::endl;
  if (!std::cout) throw Error(ErrorKind::output, "stdout: cannot be written");
  return ok ? kOk : kGateFailed;
}

}  // namespace reviewrate::cli

// reviewrate eval: classifies labelled reviews, measures, reports, and holds the gates.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string_view>

#include "command.h"
#include "console.h"
#include "eval_report.h"
#include "exit_status.h"
#include "options.h"
#include "reviewrate/error.h"
#include "reviewrate/file.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/sha256.h"
#include "reviewrate/text.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMistakes = 20;
constexpr std::size_t kFailures = 10;
constexpr std::size_t kExcerptBytes = 600;
constexpr std::size_t kMaxBaselineBytes = std::size_t{1} << 30;
constexpr std::size_t kResamples = 1000;
constexpr std::uint64_t kSeed = 1;
constexpr std::string_view kUnlabelled = "unsup";  // aclImdb's name for reviews without a label

/// A measure and what a gate asks of it.
struct Bound {
  Measure measure;
  double value;
};

struct EvalOptions {
  ModelChoice model;
  InputChoice input;
  std::size_t workers = 0;
  ScoringChoice scoring;
  std::string label_field = "label";
  std::string stars_field;
  std::string json;
  std::string report;
  std::string junit;
  std::string baseline;
  std::vector<Bound> minimums;
  std::vector<Bound> maximums;
  std::vector<Bound> max_drops;
  bool quiet = false;
};

/// What is known of a review beside its text.
struct Truth {
  bool positive = false;
  std::optional<double> stars;
};

/// The truths of the reviews that are in the pipeline, in their order: one thread adds, another takes.
class Truths {
 public:
  void add(Truth truth) {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(truth);
  }

  Truth take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Truth truth = waiting_.front();
    waiting_.pop_front();
    return truth;
  }

 private:
  std::mutex mutex_;
  std::deque<Truth> waiting_;
};

/// SHA-256 of strings, each with its length before it.
class Checksum {
 public:
  void add(const std::string& text) {
    sum_.add(std::to_string(text.size()) + ":");
    sum_.add(text);
  }

  std::string hex() { return sum_.hex(); }

 private:
  Sha256 sum_;
};

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

const Value* find(const Review& review, const std::string& name) {
  const auto found =
      std::find_if(review.passed.begin(), review.passed.end(), [&](const Field& f) { return f.name == name; });
  return found == review.passed.end() ? nullptr : &found->value;
}

bool is_absent(const Value& value) { return is_blank(value.text) || (value.json && value.text == "null"); }

/// Lets through the reviews that have a label, whose truth it adds to `truths`, and the failed ones.
class LabelledSource : public Source {
 public:
  LabelledSource(Source& source, const EvalOptions& options, const Manifest& manifest, Truths& truths)
      : source_(source), options_(options), manifest_(manifest), truths_(truths) {}

  Status next(Review& review, bool may_block) override {
    while (true) {
      const Status status = source_.next(review, may_block);
      if (status != Status::review) return status;
      Found found;
      if (!review.failure) found = find_truth(review);
      if (!found.problem.empty()) {
        review.failure = Failure{"label", failure_message(review.id.text, found.problem)};
        review.text.clear();
      }
      if (!review.failure && !found.positive) {
        ++unlabelled_;
        continue;
      }
      checksum_.add(review.id.text);
      checksum_.add(review.failure ? "x" : *found.positive ? "1" : "0");
      checksum_.add(review.text);
      if (!review.failure) truths_.add({*found.positive, found.stars});
      return status;
    }
  }

  std::uint64_t bytes_read() const override { return source_.bytes_read(); }
  std::uint64_t bytes_total() const override { return source_.bytes_total(); }
  InputFindings findings() const override { return source_.findings(); }

  std::size_t unlabelled() const { return unlabelled_; }
  std::string checksum() { return checksum_.hex(); }

 private:
  struct Found {
    std::optional<bool> positive;  // empty: no label
    std::optional<double> stars;
    std::string problem;
  };

  Found find_truth(const Review& review) const {
    // A record with fields has its text among them; lines and whole files have nothing but their path. An id begins
    // below the folder that was asked for, but that may be called pos itself.
    if (find(review, options_.input.options.text_field) == nullptr) {
      return truth_of_path(review.path.empty() ? review.id.text : review.path);
    }
    Found found;
    const Value* label = find(review, options_.label_field);
    if (label == nullptr || is_absent(*label)) return found;
    found.positive = named_label(label->text);
    const std::optional<double> index = number(label->text);
    if (!found.positive && index && (*index == 0 || *index == 1))
      found.positive = (*index == 1) == (*manifest_.positive == 1);
    if (!found.positive && ascii_lower(label->text) != kUnlabelled && index != -1.0) {
      found.problem = "the label is " + json_string(label->text.substr(0, 80)) + ", and must be " +
                      manifest_.labels[0] + " (0), " + manifest_.labels[1] + " (1) or, for none, empty or -1";
    }
    if (const Value* stars = find(review, options_.stars_field);
        found.positive && stars != nullptr && !is_absent(*stars)) {
      found.stars = number(stars->text);
      if (!found.stars) {
        found.problem = "the stars are " + json_string(stars->text.substr(0, 80)) + ", and must be a number";
      }
    }
    return found;
  }

  /// As in aclImdb: .../pos/ID_STARS.txt. The innermost folder that is a label counts.
  Found truth_of_path(const std::string& path) const {
    Found found;
    std::size_t end = path.rfind('/');
    const std::string file = path.substr(end == std::string::npos ? 0 : end + 1);
    while (!found.positive && end != std::string::npos) {
      const std::size_t slash = end == 0 ? std::string::npos : path.rfind('/', end - 1);
      const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
      const std::string folder = path.substr(begin, end - begin);
      if (ascii_lower(folder) == kUnlabelled) return found;
      found.positive = named_label(folder);
      end = slash;
    }
    const std::size_t dot = file.find('.');
    const std::size_t underscore = file.rfind('_', dot);
    if (dot != std::string::npos && underscore != std::string::npos) {
      found.stars = number(file.substr(underscore + 1, dot - underscore - 1));
    }
    return found;
  }

  std::optional<bool> named_label(const std::string& text) const {
    const std::string name = ascii_lower(text);
    const std::size_t positive = *manifest_.positive;
    if (name == "pos" || name == ascii_lower(manifest_.labels[positive])) return true;
    if (name == "neg" || name == ascii_lower(manifest_.labels[1 - positive])) return false;
    return std::nullopt;
  }

  Source& source_;
  const EvalOptions& options_;
  const Manifest& manifest_;
  Truths& truths_;
  Checksum checksum_;
  std::size_t unlabelled_ = 0;
};

/// The beginning of a text, cut between code points.
std::string excerpt(const std::string& text) {
  if (text.size() <= kExcerptBytes) return text;
  std::size_t end = kExcerptBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "\xE2\x80\xA6";
}

/// Keeps of each outcome what the measures need.
class Collector : public Sink {
 public:
  Collector(EvalReport& report, std::size_t positive, Truths& truths, ProgressBar& bar)
      : report_(report), positive_(positive), truths_(truths), bar_(bar) {}

  void write(const Outcome& outcome) override {
    ++report_.labelled;
    if (!outcome.prediction) {
      ++report_.failed;
      report_.outcomes += 'x';
      if (report_.failures.size() < kFailures) report_.failures.push_back(*outcome.review.failure);
      return;
    }
    const Prediction& prediction = *outcome.prediction;
    Observation o;
    o.p = *prediction.positive;
    const Truth truth = truths_.take();
    o.positive = truth.positive;
    o.stars = truth.stars;
    o.rating = *prediction.rating;
    const bool right = (prediction.label == positive_) == o.positive;
    report_.outcomes += right ? '1' : '0';
    if (!right)
      keep_mistake({outcome.review.id.text, "", o.p, o.positive, o.stars, prediction.tokens}, outcome.review.text);
    observations_.push_back(o);
    is_long_.push_back(prediction.tokens > report_.max_tokens);
  }

  void flush() override { bar_.update(report_.labelled); }

  std::vector<Observation> all() const { return observations_; }

  std::vector<Observation> part(bool is_long) const {
    std::vector<Observation> out;
    for (std::size_t i = 0; i < observations_.size(); ++i) {
      if (is_long_[i] == is_long) out.push_back(observations_[i]);
    }
    return out;
  }

 private:
  void keep_mistake(Mistake mistake, const std::string& text) {
    std::vector<Mistake>& kept = report_.mistakes;
    const auto surer = [](const Mistake& a, const Mistake& b) { return a.confidence() > b.confidence(); };
    const auto place = std::upper_bound(kept.begin(), kept.end(), mistake, surer);
    if (place == kept.end() && kept.size() >= kMistakes) return;
    mistake.text = excerpt(text);
    kept.insert(place, std::move(mistake));
    if (kept.size() > kMistakes) kept.pop_back();
  }

  EvalReport& report_;
  std::size_t positive_;
  Truths& truths_;
  ProgressBar& bar_;
  std::vector<Observation> observations_;
  std::vector<bool> is_long_;
};

/// What an earlier run's --json said.
struct Baseline {
  Measures measures;
  std::string input_sha256;
  std::string outcomes;
};

Baseline read_baseline(const std::string& path) {
  const std::string where = "baseline " + path;
  const std::string text = read_file(path, kMaxBaselineBytes, ErrorKind::input);
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    Baseline baseline;
    for (const auto& [name, value] : json.at("parts").at("all").at("measures").items()) {
      const std::optional<Measure> measure = parse_measure(name);
      if (measure && !value.is_null()) baseline.measures[static_cast<std::size_t>(*measure)] = value.get<double>();
    }
    baseline.input_sha256 = json.at("input").at("sha256").get<std::string>();
    baseline.outcomes = json.at("outcomes").get<std::string>();
    return baseline;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::input, where + ": is no report of reviewrate eval: " + e.what());
  }
}

/// Says whether old and new differ by more than chance, where both saw the same reviews.
void judge_by_chance(const Baseline& old, const EvalReport& report, BaselineComparison& comparison) {
  if (old.input_sha256 != report.input_sha256 || old.outcomes.size() != report.outcomes.size()) {
    comparison.verdict = "The baseline saw other reviews: whether the difference is more than chance cannot be told.";
    return;
  }
  std::size_t only_old = 0, only_new = 0;
  for (std::size_t i = 0; i < old.outcomes.size(); ++i) {
    only_old += old.outcomes[i] == '1' && report.outcomes[i] == '0' ? 1 : 0;
    only_new += old.outcomes[i] == '0' && report.outcomes[i] == '1' ? 1 : 0;
  }
  comparison.mcnemar = mcnemar_exact(only_old, only_new);
  comparison.verdict =
      "Right before and wrong now: " + std::to_string(only_old) +
      " reviews; wrong before and right now: " + std::to_string(only_new) +
      ". Exact McNemar test: p = " + decimals(comparison.mcnemar) +
      (*comparison.mcnemar < 0.05 ? ", more than chance (at 5 %)." : ", no more than chance (at 5 %).");
}

void hold_gates(const EvalOptions& a, const std::optional<Baseline>& baseline, EvalReport& report) {
  const Measures& measures = report.parts.front().evaluation.measures();
  const auto gate = [&](const Bound& bound, const char* relation, auto holds) {
    const std::optional<double> value = measures[static_cast<std::size_t>(bound.measure)];
    const std::string found = value ? "it is " + shortest(*value) : "it is not defined for these reviews";
    report.gates.push_back({std::string(measure_name(bound.measure)) + relation + shortest(bound.value),
                            value && holds(*value, bound.value), found});
  };
  for (const Bound& bound : a.minimums) gate(bound, " >= ", [](double value, double least) { return value >= least; });
  for (const Bound& bound : a.maximums) gate(bound, " <= ", [](double value, double most) { return value <= most; });
  if (!baseline) return;

  report.comparison.emplace();
  judge_by_chance(*baseline, report, *report.comparison);
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    report.comparison->changes.push_back({static_cast<Measure>(m), baseline->measures[m], measures[m]});
  }
  for (const Bound& bound : a.max_drops) {
    const Change& change = report.comparison->changes[static_cast<std::size_t>(bound.measure)];
    Gate drop{std::string(measure_name(bound.measure)) + " no more than " + shortest(bound.value) + " worse", false,
              "it is not defined for these reviews or for the baseline"};
    if (change.before && change.after) {
      // 0.93 - 0.928 is a little above 0.002 in binary.
      constexpr double kRounding = 1e-12;
      const double worse = measure_direction(bound.measure) * (*change.before - *change.after);
      drop.holds = worse <= bound.value + kRounding;
      drop.found = "it was " + shortest(*change.before) + " and is " + shortest(*change.after);
    }
    report.gates.push_back(drop);
  }
}

/// An empty path asks for nothing; - is stdout.
void write_file(const std::string& path, const std::string& content) {
  if (path.empty()) return;
  OutputStream stream(path == "-" ? "" : path);
  stream.write(content);
  stream.close();
}

int eval(EvalOptions a, const Interruption& interruption) {
  const std::vector<std::string> files = input_files(a.input.files, " or pipe reviews in");
  if (!a.max_drops.empty() && a.baseline.empty()) throw Error(ErrorKind::usage, "--max-drop: needs a --baseline");
  std::optional<Baseline> baseline;
  if (!a.baseline.empty()) baseline = read_baseline(a.baseline);
  if ((a.json == "-") + (a.report == "-") + (a.junit == "-") > 1) {
    throw Error(ErrorKind::usage, "--json, --report, --junit: only one of them can be - (stdout)");
  }
  for (const std::string& path : {a.json, a.report, a.junit}) {
    // Better told now than after an hour; what stands in the file is left until there is something new.
    if (!path.empty() && path != "-" && !std::ofstream(path, std::ios::app))
      throw Error(ErrorKind::output, path + ": cannot be opened for writing");
  }
  const Package package = open_package_for(a.model, a.workers);
  const Manifest& manifest = package.manifest;
  if (manifest.labels.size() != 2 || !manifest.positive) {
    throw Error(ErrorKind::usage, "eval: model " + manifest.name + ": must have two labels, one of them positive");
  }
  const PipelineOptions options = pipeline_options(a.workers, a.scoring, manifest, interruption);

  EvalReport report;
  report.model = manifest.name;
  report.model_sha256 = model_sha256(manifest);
  report.precision = precision_name(package.precision);
  report.long_text = long_text_name(options.window.policy);
  report.rating = a.scoring.fitted_rating ? "fitted" : "linear";
  report.labels = {manifest.labels[1 - *manifest.positive], manifest.labels[*manifest.positive]};
  report.max_tokens = manifest.max_tokens;
  report.threshold = a.scoring.threshold;

  InputOptions& input = a.input.options;
  input.notify = print_notice;
  input.pass = {a.label_field, input.text_field};
  if (!a.stars_field.empty()) input.pass.push_back(a.stars_field);
  InputWaiter waiter(false);
  const auto source = open_source({}, files, input, waiter);
  Truths truths;
  LabelledSource labelled(*source, a, manifest, truths);
  ProgressBar bar(*source, !a.quiet);
  Collector collector(report, *manifest.positive, truths, bar);
  run_pipeline(labelled, *package.tokenizer, *package.model, collector, options);
  bar.clear();
  if (interruption.signal() != 0) {
    print_notice("eval: interrupted after " + std::to_string(report.labelled) +
                 " labelled reviews; nothing is reported");
    return kInterrupted + interruption.signal();
  }

  report.unlabelled = labelled.unlabelled();
  report.input_sha256 = labelled.checksum();
  const std::string limit = std::to_string(report.max_tokens) + " tokens";
  const auto add_part = [&](const char* key, const std::string& title, std::vector<Observation> observations) {
    Evaluation evaluation(std::move(observations), a.scoring.threshold);
    auto intervals = evaluation.intervals(kResamples, kSeed);
    report.parts.push_back({key, title, std::move(evaluation), intervals});
  };
  add_part("all", "all", collector.all());
  add_part("short", "<= " + limit, collector.part(false));
  add_part("long", "> " + limit, collector.part(true));
  hold_gates(a, baseline, report);

  write_file(a.json, report_json(report));
  write_file(a.report, report_html(report));
  write_file(a.junit, report_junit(report));
  if (!a.quiet) std::cerr << report_text(report);
  for (const Failure& failure : report.failures) print_notice("eval: " + failure.message);
  if (report.failed > report.failures.size()) {
    print_notice("eval: and " + std::to_string(report.failed - report.failures.size()) + " more failed");
  }
  if (report.labelled == 0) {
    print_notice("eval: no review has a label: it is the field --label-field (" + a.label_field +
                 "), or a folder pos or neg in the path");
  }
  const InputFindings findings = source->findings();
  print_findings(findings);
  bool all_hold = true;
  for (const Gate& gate : report.gates) {
    all_hold = all_hold && gate.holds;
    if (!gate.holds || !a.quiet) {
      print_notice("eval: gate " + gate.name + (gate.holds ? " holds: " : " DOES NOT HOLD: ") + gate.found);
    }
  }
  if (!all_hold) return kGateFailed;
  return report.failed > 0 || report.labelled == 0 || !findings.problems.empty() ? kRecordsFailed : kOk;
}

/// MEASURE=VALUE, and with `directed` only measures of which more or less is better.
Bound parse_bound(const std::string& option, const std::string& condition, bool directed) {
  const auto [name, text] = split_condition(condition, option, "MEASURE=VALUE");
  const std::optional<double> value = number(text);
  if (!value) throw CLI::ValidationError(option, "\"" + text + "\" is not a number");
  std::string names;
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    const auto measure = static_cast<Measure>(m);
    if (directed && measure_direction(measure) == 0) continue;
    if (measure_name(measure) == name) return {measure, *value};
    names += (names.empty() ? "" : ", ") + std::string(measure_name(measure));
  }
  throw CLI::ValidationError(option, "\"" + name + "\" is none of the measures " + names);
}

void add_gate(CLI::App& app, const std::string& name, std::vector<Bound>& bounds, bool directed,
              const std::string& help) {
  const auto take = [&bounds, name, directed](const std::vector<std::string>& conditions) {
    for (const std::string& condition : conditions) bounds.push_back(parse_bound(name, condition, directed));
  };
  app.add_option_function<std::vector<std::string>>(name, take, help)
      ->type_name("MEASURE=VALUE")
      ->allow_extra_args(false);
}

}  // namespace

Run add_eval(CLI::App& app) {
  const auto a = std::make_shared<EvalOptions>();
  add_model_options(app, a->model);
  add_input_options(app, a->input);
  app.add_option("--label-field", a->label_field,
                 "Field or column that holds the label: a name of the model's, or 0 or 1")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--stars-field", a->stars_field, "Field or column that holds 1-10 stars")->type_name("NAME");
  add_workers_option(app, a->workers);
  add_precision_option(app, a->model);
  add_scoring_options(app, a->scoring);
  app.add_option("--json", a->json, "Write all measures to FILE")->type_name("FILE");
  app.add_option("--report", a->report, "Write a page with the curves to FILE")->type_name("FILE.html");
  app.add_option("--junit", a->junit, "Write the gates as JUnit XML to FILE")->type_name("FILE.xml");
  app.add_option("--baseline", a->baseline, "Compare with the --json of an earlier run")->type_name("FILE");
  add_gate(app, "--min", a->minimums, false, "Exit 4 if MEASURE is below VALUE; may repeat");
  add_gate(app, "--max", a->maximums, false, "Exit 4 if MEASURE is above VALUE; may repeat");
  add_gate(app, "--max-drop", a->max_drops, true,
           "Exit 4 if MEASURE is worse than the baseline's by more than VALUE; may repeat");
  app.add_flag("-q,--quiet", a->quiet, "No table on stderr");
  add_footer(app,
             "A file of a folder pos or neg has that label, and the stars of its name, ID_STARS.txt. Reviews without "
             "a\nlabel (empty, -1, unsup) are left out and counted.\n"
             "Example: reviewrate eval labelled.jsonl --stars-field stars --min f1=0.92 --report eval.html");
  return [a](const Interruption& interruption) { return eval(*a, interruption); };
}

}  // namespace reviewrate::cli

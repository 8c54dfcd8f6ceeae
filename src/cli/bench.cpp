// reviewrate bench: times the program itself, stage by stage, on the reviews of files.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "help.h"
#include "options.h"
#include "output_plan.h"
#include "reviewrate/error.h"
#include "reviewrate/metrics.h"
#include "reviewrate/output_file.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/printable.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

struct BenchOptions {
  ModelChoice model;
  InputChoice input;
  std::size_t workers = 0;
  ScoringChoice scoring;
  std::size_t rounds = 3;
  std::string json;
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// What one round took, in seconds.
struct Round {
  double whole = 0;
  double read = 0;
  double tokenize = 0;
  double write = 0;
  std::vector<double> batches;  ///< in the model, each
  std::size_t reviews = 0;
  std::size_t failures = 0;
  std::size_t tokens = 0;  ///< that the model saw
};

/// Adds the seconds until it goes out of scope.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { seconds_ += seconds_since(begin_); }

 private:
  double& seconds_;
  Clock::time_point begin_ = Clock::now();
};

// Source, tokenizer and sink are each called by one thread at a time, the model by all.

class TimedSource : public Source {
 public:
  TimedSource(Source& source, Round& round) : source_(source), round_(round) {}

  Status next(Review& review, bool may_block) override {
    const Stopwatch watch(round_.read);
    return source_.next(review, may_block);
  }
  void wake() override { source_.wake(); }
  std::uint64_t bytes_total() const override { return source_.bytes_total(); }

 private:
  Source& source_;
  Round& round_;
};

class TimedTokenizer : public Tokenizer {
 public:
  TimedTokenizer(const Tokenizer& tokenizer, Round& round) : tokenizer_(tokenizer), round_(round) {}

  void encode(std::string_view text, std::vector<TokenId>& ids) const override {
    const Stopwatch watch(round_.tokenize);
    tokenizer_.encode(text, ids);
  }
  std::string_view token(TokenId id) const override { return tokenizer_.token(id); }
  std::size_t vocab_size() const override { return tokenizer_.vocab_size(); }
  TokenId unknown_id() const override { return tokenizer_.unknown_id(); }
  TokenId begin_id() const override { return tokenizer_.begin_id(); }
  TokenId end_id() const override { return tokenizer_.end_id(); }

 private:
  const Tokenizer& tokenizer_;
  Round& round_;
};

class TimedModel : public Model {
 public:
  TimedModel(const Model& model, Round& round) : model_(model), round_(round) {}

  std::size_t labels() const override { return model_.labels(); }
  std::vector<float> forward(const Batch& batch) const override {
    double seconds = 0;
    std::vector<float> logits;
    {
      const Stopwatch watch(seconds);
      logits = model_.forward(batch);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    round_.batches.push_back(seconds);
    round_.tokens += batch.tokens();
    return logits;
  }

 private:
  const Model& model_;
  Round& round_;
  mutable std::mutex mutex_;
};

/// Formats records and writes them where nothing is kept.
class TimedSink : public Sink {
 public:
  TimedSink(Formatter& formatter, Round& round) : formatter_(formatter), round_(round), null_("/dev/null") {}

  void write(const Outcome& outcome) override {
    const Stopwatch watch(round_.write);
    formatter_.append(outcome, buffer_);
    ++round_.reviews;
    if (!outcome.prediction) ++round_.failures;
  }
  void flush() override {
    const Stopwatch watch(round_.write);
    null_.write(buffer_);
    buffer_.clear();
  }

 private:
  Formatter& formatter_;
  Round& round_;
  OutputStream null_;
  std::string buffer_;
};

/// What was measured.
struct BenchReport {
  std::string model;
  Precision precision;
  std::string effort;
  std::size_t workers = 0;
  double load_seconds = 0;
  std::size_t reviews = 0;
  std::size_t failures = 0;
  std::size_t tokens = 0;
  std::vector<double> rounds;                                 ///< seconds of each
  double seconds = 0;                                         ///< their median
  std::vector<std::pair<std::string, double>> stages;         ///< median seconds, all workers together
  std::vector<std::pair<std::string, double>> batch_seconds;  ///< percentiles of a batch's time in the model
};

double median(const std::vector<Round>& rounds, double (*of)(const Round&)) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(of(round));
  std::sort(values.begin(), values.end());
  return percentile(values, 0.5);
}

void measure(const std::vector<Round>& rounds, BenchReport& report) {
  const Round& any = rounds.front();
  report.reviews = any.reviews;
  report.failures = any.failures;
  report.tokens = any.tokens;
  for (const Round& round : rounds) report.rounds.push_back(round.whole);
  report.seconds = median(rounds, [](const Round& r) { return r.whole; });
  report.stages = {
      {"read", median(rounds, [](const Round& r) { return r.read; })},
      {"tokenize", median(rounds, [](const Round& r) { return r.tokenize; })},
      {"model",
       median(rounds, [](const Round& r) { return std::accumulate(r.batches.begin(), r.batches.end(), 0.0); })},
      {"write", median(rounds, [](const Round& r) { return r.write; })}};
  std::vector<double> batches;
  for (const Round& round : rounds) batches.insert(batches.end(), round.batches.begin(), round.batches.end());
  if (batches.empty()) return;
  std::sort(batches.begin(), batches.end());
  report.batch_seconds = {{"p50", percentile(batches, 0.5)},
                          {"p90", percentile(batches, 0.9)},
                          {"p99", percentile(batches, 0.99)},
                          {"max", batches.back()}};
}

std::string report_json(const BenchReport& r) {
  const auto object = [](const std::vector<std::pair<std::string, double>>& values) {
    nlohmann::ordered_json out = nlohmann::ordered_json::object();
    for (const auto& [name, value] : values) out[name] = value;
    return out;
  };
  nlohmann::ordered_json out = {{"model", r.model},
                                {"precision", precision_name(r.precision)},
                                {"effort", r.effort},
                                {"workers", r.workers},
                                {"load_seconds", r.load_seconds},
                                {"reviews", r.reviews},
                                {"failures", r.failures},
                                {"tokens", r.tokens},
                                {"seconds", {{"median", r.seconds}, {"rounds", r.rounds}}},
                                {"reviews_per_second", static_cast<double>(r.reviews) / r.seconds},
                                {"tokens_per_second", static_cast<double>(r.tokens) / r.seconds},
                                {"breakdown", object(r.stages)}};
  if (!r.batch_seconds.empty()) out["batch_seconds"] = object(r.batch_seconds);
  return printable_json(out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) + '\n';
}

std::string report_text(const BenchReport& r) {
  const auto row = [](const std::string& name, double value, int digits) {
    const std::string number = fixed(value, digits);
    return name + std::string(10 - std::min<std::size_t>(10, name.size()), ' ') +
           std::string(11 - std::min<std::size_t>(10, number.size()), ' ') + number;
  };
  std::string out = r.model + ", " + precision_name(r.precision) + ", effort " + r.effort + ", " +
                    counted(r.workers, "worker") + ": " + counted(r.reviews, "review") + " (" +
                    std::to_string(r.failures) + " failed), " + counted(r.tokens, "token") + ", " +
                    counted(r.rounds.size(), "round") + " after one to warm up\n\n";
  out += row("reviews/s", static_cast<double>(r.reviews) / r.seconds, 1) + '\n';
  out += row("tokens/s", static_cast<double>(r.tokens) / r.seconds, 0) + '\n';
  out += row("whole", r.seconds, 3) + " s, median of";
  for (const double seconds : r.rounds) out += ' ' + fixed(seconds, 3);
  out += '\n' + row("load", r.load_seconds, 3) + " s, model and tokenizer, once\n\n";
  out += "where the time goes, all workers together\n";
  double sum = 0;
  for (const auto& [name, seconds] : r.stages) sum += seconds;
  for (const auto& [name, seconds] : r.stages) {
    out += row(name, seconds, 3) + " s" + row("", 100 * seconds / sum, 1).substr(14) + " %\n";
  }
  if (!r.batch_seconds.empty()) out += "\na batch in the model, ms\n";
  for (const auto& [name, seconds] : r.batch_seconds) out += row(name, 1000 * seconds, 1) + '\n';
  return out;
}

int bench(BenchOptions a, const Interruption& interruption) {
  const std::vector<std::string> files = input_files(a.input, "");
  if (std::find(files.begin(), files.end(), "-") != files.end()) {
    throw Error(ErrorKind::usage, "bench: stdin cannot be read a second time: name a FILE");
  }
  const bool json_on_stdout = named_descriptor(a.json) == STDOUT_FILENO;
  OutputPlan plan;
  plan.writes("--json", a.json);
  if (!json_on_stdout) plan.writes("the table", "-");
  plan.reads_inputs(files, a.input.files_from);
  plan.reads_model(find_manifest(a.model));
  plan.check();
  a.input.options.skip = plan.skip();
  const auto begin = Clock::now();
  const Package package = open_package_for(a.model, a.workers);
  BenchReport report;
  report.load_seconds = seconds_since(begin);
  report.model = package.manifest.name;
  report.precision = package.precision;
  report.effort = package.effort;
  report.workers = a.workers;
  const PipelineOptions options = pipeline_options(a.workers, a.scoring, package.manifest, interruption);
  OutputOptions output;
  output.format = OutputFormat::jsonl;
  output.labels = package.manifest.labels;
  const auto formatter = make_formatter(output);

  std::vector<Round> rounds;
  for (std::size_t i = 0; i < a.rounds + 1; ++i) {  // one to warm up
    Round round;
    InputWaiter waiter(/*watch_stdout=*/false);
    a.input.options.notify = i == 0 ? print_notice : [](const std::string&) {};
    const auto source = open_source({}, files, a.input.options, waiter);
    TimedSource timed_source(*source, round);
    const TimedTokenizer timed_tokenizer(*package.tokenizer, round);
    const TimedModel timed_model(*package.model, round);
    TimedSink sink(*formatter, round);
    const auto start = Clock::now();
    run_pipeline(timed_source, timed_tokenizer, timed_model, sink, options);
    round.whole = seconds_since(start);
    if (interruption.signal() != 0) return kInterrupted + interruption.signal();
    if (round.reviews == 0) throw Error(ErrorKind::usage, "bench: there are no reviews in what was named");
    if (i > 0) rounds.push_back(std::move(round));
  }
  measure(rounds, report);
  if (!a.json.empty()) write_whole(a.json, report_json(report));
  if (!json_on_stdout) {
    OutputStream stream("");
    print_lines(stream, report_text(report));
    stream.close();
  }
  return report.failures > 0 ? kRecordsFailed : kOk;
}

}  // namespace

Run add_bench(CLI::App& app) {
  const auto a = std::make_shared<BenchOptions>();
  add_model_options(app, a->model);
  add_input_options(app, a->input);
  add_workers_option(app, a->workers);
  add_speed_options(app, a->model);
  add_scoring_options(app, a->scoring);
  begin_group(app, "Output");
  app.add_option("--rounds", a->rounds, "Measured runs over the input, after one to warm up")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{1000}).description(""))
      ->type_name("N");
  app.add_option("--json", a->json, "Write all measures to FILE; - is stdout, in place of the table")
      ->type_name("FILE");
  add_footer(app, "Example: reviewrate bench reviews.jsonl --precision int8 --effort fast");
  return [a](const Interruption& interruption) { return bench(*a, interruption); };
}

}  // namespace reviewrate::cli

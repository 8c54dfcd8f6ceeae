// reviewrate bench: times the program itself, room by room, on the reviews of files.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "exit_status.h"
#include "inference.h"
#include "package.h"
#include "record_writer.h"
#include "reviewrate/error.h"

namespace reviewrate::cli {
namespace {

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
  std::uint64_t bytes_read() const override { return source_.bytes_read(); }
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
  TimedSink(const Formatter& formatter, Round& round) : formatter_(formatter), round_(round), null_("/dev/null") {}

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
  const Formatter& formatter_;
  Round& round_;
  OutputStream null_;
  std::string buffer_;
};

/// The value that a share of all are not above (nearest rank); `values` not empty.
double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
  return values[std::min(rank, values.size() - 1)];
}

template <typename Of>
double median(const std::vector<Round>& rounds, const Of& of) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(of(round));
  return percentile(std::move(values), 0.5);
}

nlohmann::ordered_json measures(const std::vector<Round>& rounds) {
  nlohmann::ordered_json out;
  const Round& any = rounds.front();
  const auto whole = [](const Round& r) { return r.whole; };
  const double seconds = median(rounds, whole);
  out["reviews"] = any.reviews;
  out["failures"] = any.failures;
  out["tokens"] = any.tokens;
  out["seconds"] = {{"median", seconds}};
  for (const Round& round : rounds) out["seconds"]["rounds"].push_back(round.whole);
  out["reviews_per_second"] = static_cast<double>(any.reviews) / seconds;
  out["tokens_per_second"] = static_cast<double>(any.tokens) / seconds;
  out["breakdown"] = {{"read", median(rounds, [](const Round& r) { return r.read; })},
                      {"tokenize", median(rounds, [](const Round& r) { return r.tokenize; })},
                      {"model", median(rounds,
                                       [](const Round& r) {
                                         double sum = 0;
                                         for (const double batch : r.batches) sum += batch;
                                         return sum;
                                       })},
                      {"write", median(rounds, [](const Round& r) { return r.write; })}};
  std::vector<double> batches;
  for (const Round& round : rounds) batches.insert(batches.end(), round.batches.begin(), round.batches.end());
  if (!batches.empty()) {
    out["batch_seconds"] = {{"p50", percentile(batches, 0.5)},
                            {"p90", percentile(batches, 0.9)},
                            {"p99", percentile(batches, 0.99)},
                            {"max", percentile(batches, 1)}};
  }
  return out;
}

template <typename... Values>
std::string line(const char* format, Values... values) {
  char buffer[200];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

std::string table(const nlohmann::ordered_json& m) {
  std::string out = line("%-10s %10.1f\n", "reviews/s", m["reviews_per_second"].get<double>());
  out += line("%-10s %10.0f\n", "tokens/s", m["tokens_per_second"].get<double>());
  out += line("%-10s %10.3f s, median of", "whole", m["seconds"]["median"].get<double>());
  for (const auto& seconds : m["seconds"]["rounds"]) out += line(" %.3f", seconds.get<double>());
  out += line("\n%-10s %10.3f s, model and tokenizer, once\n\n", "load", m["load_seconds"].get<double>());
  out += "where the time goes, all workers together\n";
  double sum = 0;
  for (const auto& seconds : m["breakdown"]) sum += seconds.get<double>();
  for (const auto& [room, seconds] : m["breakdown"].items()) {
    out += line("%-10s %10.3f s %6.1f %%\n", room.c_str(), seconds.get<double>(), 100 * seconds.get<double>() / sum);
  }
  if (m.contains("batch_seconds")) {
    out += "\na batch in the model, ms\n";
    for (const auto& [name, seconds] : m["batch_seconds"].items()) {
      out += line("%-10s %10.1f\n", name.c_str(), 1000 * seconds.get<double>());
    }
  }
  return out;
}

}  // namespace

int bench(const Arguments& a, const Interruption& interruption) {
  const std::vector<std::string> files = input_files(a);
  if (std::find(files.begin(), files.end(), "-") != files.end()) {
    throw Error(ErrorKind::usage, "bench: stdin cannot be read a second time: name a FILE");
  }
  const auto begin = Clock::now();
  Manifest manifest = find_manifest(a);
  const Precision precision = choose_precision(a, manifest);
  const auto tokenizer = load_tokenizer(manifest);
  const auto model = load_model(manifest, precision);
  const double load_seconds = seconds_since(begin);
  const PipelineOptions options = pipeline_options(a, manifest, interruption);
  OutputOptions output;
  output.format = OutputFormat::jsonl;
  output.labels = manifest.labels;
  const auto formatter = make_formatter(output);

  std::vector<Round> rounds;
  for (std::size_t i = 0; i < a.rounds + 1; ++i) {  // one to warm up
    Round round;
    InputWaiter waiter(/*watch_stdout=*/false);
    const auto source = open_source({}, files, a.input, waiter);
    TimedSource timed_source(*source, round);
    const TimedTokenizer timed_tokenizer(*tokenizer, round);
    const TimedModel timed_model(*model, round);
    TimedSink sink(*formatter, round);
    const auto start = Clock::now();
    run_pipeline(timed_source, timed_tokenizer, timed_model, sink, options);
    round.whole = seconds_since(start);
    if (interruption.signal() != 0) return kInterrupted + interruption.signal();
    if (round.reviews == 0) throw Error(ErrorKind::usage, "bench: there are no reviews in what was named");
    if (i > 0) rounds.push_back(std::move(round));
  }
  nlohmann::ordered_json out = {{"model", manifest.name},
                                {"precision", precision_name(precision)},
                                {"workers", options.workers},
                                {"load_seconds", load_seconds}};
  out.update(measures(rounds));
  if (!a.json.empty()) {
    OutputStream file(a.json);
    file.write(out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
    file.close();
  }
  const auto count = [&](const char* name) { return std::to_string(out[name].get<std::size_t>()); };
  OutputStream stream("");
  stream.write(manifest.name + ", " + std::string(precision_name(precision)) + ", " + count("workers") +
               " workers: " + count("reviews") + " reviews (" + count("failures") + " failed), " + count("tokens") +
               " tokens, " + std::to_string(a.rounds) + " rounds after one to warm up\n\n" + table(out));
  stream.close();
  return rounds.front().failures > 0 ? kRecordsFailed : kOk;
}

}  // namespace reviewrate::cli

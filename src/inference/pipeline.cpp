// One tbb::parallel_pipeline; order, back pressure and hand-over between threads are its work, not ours.
#include "reviewrate/pipeline.h"

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "explain.h"
#include "repeats.h"
#include "unsure.h"

namespace reviewrate {
namespace {

/// A review on its way: its pieces are spread over one or more consecutive batches.
struct Item {
  Review review;
  std::size_t tokens = 0;
  bool truncated = false;
  std::size_t windows = 0;                   ///< in all batches together
  std::optional<RepeatTable::Found> repeat;  ///< where equal texts find its answer; a repeated one is in no batch
  std::optional<ExplainUnit> explain;        ///< its prediction is to be explained: it has its tokens with it
  std::string unsure;                        ///< why its text is none that the model can judge
  std::vector<TokenId> ids;
  std::vector<Window> cut_windows;
  std::optional<Explanation> explanation;

  bool repeated() const { return repeat && repeat->repeated; }
};

/// A batch with the reviews whose last window it holds (and failed ones between them).
struct Job {
  std::size_t end_record = 0;  ///< one past the last review that has a window here or ends here
  Batch batch;
  std::size_t tokens = 0;  ///< in the batch, and in repeated reviews: what is in memory
  std::vector<Item> items;
  std::vector<float> logits;
  bool dropped = false;        ///< the run was stopped before its turn came
  std::exception_ptr failure;  ///< thrown where it was read or computed
};

/// A review that was read: its tokens, and the windows of them that are in no batch yet.
struct Tokenized {
  Item item;
  std::vector<TokenId> ids;
  std::vector<Window> windows;
  std::size_t next_window = 0;
};

bool stopped(const PipelineOptions& options) { return options.stopped != nullptr && options.stopped->load(); }

/// Reads, tokenizes, cuts and fills batches, one a call.
class BatchFiller {
 public:
  BatchFiller(Source& source, const Tokenizer& tokenizer, const PipelineOptions& options)
      : source_(source), tokenizer_(tokenizer), options_(options) {}

  /// Fills the next job; false at the end. Throws what the source throws, after the reviews that stand before it.
  bool fill(Job& job) {
    // A batch for each worker is read ahead, to know when the end comes near. Then each batch takes one worker's share
    // of what is left, so that the workers end together; a rest of one full batch would keep a single one busy.
    const std::size_t wanted = options_.workers * options_.batch_tokens;
    while (ahead_tokens_ < wanted && ahead_.size() < wanted && take_review()) {
    }
    if (stopped(options_)) return false;
    if (ahead_.empty()) {
      if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
      return false;
    }
    const std::size_t share = (ahead_tokens_ + options_.workers - 1) / options_.workers;
    const std::size_t tokens = std::clamp(share, options_.batch_tokens / kSmallestPart, options_.batch_tokens);
    // Bad records take no tokens: without a bound a file of nothing else would be held in memory whole.
    while (!ahead_.empty() && job.tokens < tokens && job.items.size() < options_.batch_tokens) {
      fill_from_first(job, tokens);
    }
    job.end_record = record_ + (!ahead_.empty() && ahead_.front().next_window > 0 ? 1 : 0);
    return true;
  }

 private:
  /// The shares do not become smaller than this part of a full batch, below which the model is slower.
  static constexpr std::size_t kSmallestPart = 8;

  /// Reads a review and cuts it; false when there is none, for now or ever. What the source throws is kept
  /// until the reviews before it are in batches.
  bool take_review() {
    if (ended_ || stopped(options_)) return false;
    try {
      return read_review();
    } catch (...) {
      failure_ = std::current_exception();
      ended_ = true;
      return false;
    }
  }

  bool read_review() {
    Tokenized read;
    // What was read is never kept back by a slow stream.
    const Source::Status status = source_.next(read.item.review, /*may_block=*/ahead_.empty());
    if (status != Source::Status::review) {
      ended_ = status == Source::Status::end;
      return false;
    }
    if (read.item.review.failure) {
      ended_ = options_.fail_fast && record_ + ahead_.size() >= options_.skip;
    } else {
      tokenizer_.encode(read.item.review.text, read.ids);
      read.windows = cut(read.ids.size(), options_.window);
      read.item.tokens = read.ids.size() + 2;
      read.item.truncated = read.windows.size() == 1 && read.windows.front().tokens() < read.item.tokens;
      read.item.windows = read.windows.size();
      const bool wanted = record_ + ahead_.size() >= options_.skip;
      if (wanted) read.item.explain = read.item.review.explain ? read.item.review.explain : options_.explain;
      if (options_.unsure) read.item.unsure = doubt_about_tokens(read.ids, tokenizer_.unknown_id());
      // Equal tokens may be of other sentences.
      if (options_.reuse_answers && wanted && !read.item.explain) read.item.repeat = repeats_.find(read.ids);
    }
    for (const Window& window : read.windows) ahead_tokens_ += window.tokens();
    ahead_.push_back(std::move(read));
    return true;
  }

  /// Moves windows of the first review into the job, until it has `tokens`; and the review too after its last window. A
  /// repeated one's count, though they go into no batch: many of them would be in memory else.
  void fill_from_first(Job& job, std::size_t tokens) {
    Tokenized& first = ahead_.front();
    for (; first.next_window < first.windows.size(); ++first.next_window) {
      if (job.tokens >= tokens) return;
      const Window& window = first.windows[first.next_window];
      if (!first.item.repeated()) job.batch.add(first.ids, window, tokenizer_);
      job.tokens += window.tokens();
      ahead_tokens_ -= window.tokens();
    }
    if (first.item.explain) {
      first.item.ids = std::move(first.ids);
      first.item.cut_windows = std::move(first.windows);
    }
    job.items.push_back(std::move(first.item));
    ahead_.pop_front();
    ++record_;
  }

  Source& source_;
  const Tokenizer& tokenizer_;
  const PipelineOptions& options_;
  std::deque<Tokenized> ahead_;   ///< what was read and is in no batch
  std::size_t ahead_tokens_ = 0;  ///< of its windows
  std::size_t record_ = 0;        ///< records given to batches
  bool ended_ = false;
  RepeatTable repeats_;
  std::exception_ptr failure_;  ///< what the source threw
};

/// Turns logits into outcomes: averages the windows of a review, then scores it.
class OutcomeWriter {
 public:
  OutcomeWriter(Sink& sink, std::size_t labels, const PipelineOptions& options)
      : sink_(sink), options_(options), sum_(labels, 0.0), logit_sum_(labels, 0.0) {}

  void write(Job& job) {
    ended_ = ended_ || job.dropped;  // what comes behind would leave a gap
    if (ended_) return;
    const std::span<const float> logits(job.logits);
    std::size_t row = 0;
    const std::size_t rows = job.batch.lengths.size();
    const auto add_windows = [&](std::size_t wanted) {
      for (; seen_ < wanted && row < rows; ++seen_, ++row) {
        if (logits.empty()) continue;  // skipped; its windows still have to be counted
        const std::span<const float> window = logits.subspan(row * sum_.size(), sum_.size());
        const std::vector<double> p = softmax(window);
        for (std::size_t i = 0; i < p.size(); ++i) {
          sum_[i] += p[i];
          logit_sum_[i] += static_cast<double>(window[i]);
        }
      }
    };
    for (Item& item : job.items) {
      if (!item.repeated()) add_windows(item.windows);
      if (record_++ >= options_.skip) sink_.write(outcome(item));
      seen_ = 0;
      std::fill(sum_.begin(), sum_.end(), 0.0);
      std::fill(logit_sum_.begin(), logit_sum_.end(), 0.0);
    }
    add_windows(rows + seen_);  // the review that goes on in the next batch
    sink_.flush();
  }

 private:
  Outcome outcome(Item& item) {
    if (item.review.failure) return {std::move(item.review), std::nullopt};
    if (item.repeat && answers_.empty()) answers_.resize(RepeatTable::kPlaces * sum_.size());
    double* const answer = item.repeat ? &answers_[item.repeat->place * sum_.size()] : nullptr;
    if (item.repeated()) {
      std::copy_n(answer, sum_.size(), sum_.begin());
    } else {
      for (double& p : sum_) p /= static_cast<double>(item.windows);
      for (double& logit : logit_sum_) logit /= static_cast<double>(item.windows);
      if (answer != nullptr) std::copy(sum_.begin(), sum_.end(), answer);
    }
    Prediction prediction = options_.scorer(sum_);
    prediction.repeated = item.repeated();
    prediction.unsure = std::move(item.unsure);
    if (options_.unsure && prediction.unsure.empty()) {
      prediction.unsure = doubt_about_probability(*prediction.positive, *options_.unsure);
    }
    prediction.effort = options_.effort;
    prediction.tokens = item.tokens;
    prediction.truncated = item.truncated;
    prediction.windows = item.windows;
    if (!item.repeated()) prediction.logits = logit_sum_;
    if (item.explanation) {
      Explanation& explanation = prediction.explanation.emplace(std::move(*item.explanation));
      explanation.remainder = log_odds(sum_, *options_.scorer.positive) - explanation.base;
      for (const ExplainedPart& part : explanation.parts) explanation.remainder -= part.contribution;
    }
    return {std::move(item.review), std::move(prediction)};
  }

  Sink& sink_;
  const PipelineOptions& options_;
  std::vector<double> sum_;        ///< of the probabilities of a review's windows
  std::vector<double> logit_sum_;  ///< of their logits
  std::vector<double> answers_;    ///< [places, labels]: the last text's of each place; none before the first
  std::size_t seen_ = 0;
  std::size_t record_ = 0;
  bool ended_ = false;
};

/// Explains the reviews of `job` that are to be explained; false if the run was stopped meanwhile.
bool explain(Job& job, const Explainer& explainer) {
  std::vector<Item*> items;
  std::vector<ExplainedReview> reviews;
  for (Item& item : job.items) {
    if (!item.explain) continue;
    items.push_back(&item);
    reviews.push_back({*item.explain, item.review.text, item.ids, item.cut_windows});
  }
  if (items.empty()) return true;
  auto explanations = explainer.explain(reviews);
  if (!explanations) return false;
  for (std::size_t i = 0; i < items.size(); ++i) items[i]->explanation = std::move((*explanations)[i]);
  return true;
}

/// As many of `workers` as the system has threads for; one is the thread that is there.
std::size_t startable(std::size_t workers) {
  std::latch enough(1);
  std::vector<std::thread> threads;
  threads.reserve(workers);
  try {
    while (threads.size() + 1 < workers) threads.emplace_back([&enough] { enough.wait(); });
  } catch (const std::system_error&) {  // no more
  }
  enough.count_down();
  for (std::thread& thread : threads) thread.join();
  return threads.size() + 1;
}

}  // namespace

void run_pipeline(Source& source, const Tokenizer& tokenizer, const Model& model, Sink& sink,
                  const PipelineOptions& asked) {
  PipelineOptions options = asked;
  options.workers = startable(asked.workers);
  BatchFiller filler(source, tokenizer, options);
  OutcomeWriter writer(sink, model.labels(), options);
  std::optional<Explainer> explainer;
  if (options.scorer.positive) {
    explainer.emplace(
        model, tokenizer,
        ExplainOptions{options.explain_budget, options.batch_tokens, *options.scorer.positive, options.stopped});
  }
  // No exception passes through TBB: it would leak what is between two filters (it frees a filter's input only after
  // the filter returned) and cancel batches that stand before the failed one. The first that comes up in order is kept,
  // and nothing is read or written after it.
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
  using JobPtr = std::shared_ptr<Job>;  // parallel_pipeline copies what passes between its filters
  const auto read = [&](tbb::flow_control& control) -> JobPtr {
    JobPtr job;
    if (!failed) {
      job = std::make_shared<Job>();
      try {
        if (!filler.fill(*job)) job = nullptr;
      } catch (...) {
        job->failure = std::current_exception();
      }
    }
    if (!job) control.stop();
    return job;
  };
  const auto forward = [&](JobPtr job) {
    const bool wanted = job->end_record > options.skip;
    job->dropped = failed || stopped(options);
    if (!wanted || job->dropped || job->batch.empty()) return job;
    try {
      job->logits = model.forward(job->batch);
      if (explainer) job->dropped = !explain(*job, *explainer);
    } catch (...) {
      job->failure = std::current_exception();
    }
    return job;
  };
  const auto write = [&](const JobPtr& job) {
    if (failed) return;
    try {
      if (job->failure) std::rethrow_exception(job->failure);
      writer.write(*job);
    } catch (...) {
      failure = std::current_exception();
      failed = true;
      source.wake();  // a stream's next review may be long in coming
    }
  };

  // Without this, TBB starts no more threads than there are cores.
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, options.workers);
  // Two batches a worker: one in the model, one read ahead or waiting for its turn to be written.
  tbb::task_arena arena(static_cast<int>(options.workers));
  arena.execute([&] {
    tbb::parallel_pipeline(2 * options.workers,
                           tbb::make_filter<void, JobPtr>(tbb::filter_mode::serial_in_order, read) &
                               tbb::make_filter<JobPtr, JobPtr>(tbb::filter_mode::parallel, forward) &
                               tbb::make_filter<JobPtr, void>(tbb::filter_mode::serial_in_order, write));
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace reviewrate

// A queue behind a mutex; what is answered is handed over a batch at a time.
#include "review_queue.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>

namespace reviewrate::server {
namespace {

/// So many tokens of explanations are in the pipeline at a time, or one of more. They share its batches, so that a few
/// keep every worker busy; a review that comes meanwhile waits for them.
constexpr std::size_t kMostExplained = std::size_t{16} * 1024;

/// Gives out one review, for a run of its own.
class OneReview final : public Source {
 public:
  explicit OneReview(const Review& review) : review_(review) {}

  Status next(Review& review, bool) override {
    if (given_) return Status::end;
    given_ = true;
    review = review_;
    return Status::review;
  }
  std::uint64_t bytes_total() const override { return 0; }

 private:
  const Review& review_;
  bool given_ = false;
};

/// Keeps one outcome.
class OneOutcome final : public Sink {
 public:
  void write(const Outcome& outcome) override { outcome_ = outcome; }
  void flush() override {}

  std::optional<Outcome> outcome_;
};

}  // namespace

void ReviewQueue::push(Review review, std::size_t tokens, Asker asker, Answer answer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++reviews_;
  Lane& lane = lane_of(review);
  lane.tokens += tokens;
  lane.waiting.push_back({std::move(review), tokens, std::move(asker), std::move(answer)});
  changed_.notify_one();
}

void ReviewQueue::close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool ReviewQueue::finished() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return closed_ && nothing_waits() && taken_.empty();
}

std::size_t ReviewQueue::awaited() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::size_t count = 0;
  for (const std::deque<Entry>* entries : {&plain_.waiting, &explained_.waiting, &taken_}) {
    for (const Entry& entry : *entries) count += entry.asker.expired() ? 0 : 1;
  }
  return count;
}

void ReviewQueue::uncount(const Entry& entry) {
  --reviews_;
  lane_of(entry.review).tokens -= entry.tokens;
}

ReviewQueue::Lane* ReviewQueue::next_lane() {
  const bool explained = !explained_.waiting.empty() && explained_taken_ < kMostExplained;
  if (explained && (owed_ == 0 || plain_.waiting.empty())) return &explained_;
  return plain_.waiting.empty() ? nullptr : &plain_;
}

Source::Status ReviewQueue::next(Review& review, bool may_block) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    if (may_block) {
      changed_.wait(lock, [this] { return woken_ || next_lane() != nullptr || (closed_ && nothing_waits()); });
    }
    if (std::exchange(woken_, false)) return Status::idle;
    Lane* const lane = next_lane();
    if (lane == nullptr) return closed_ && nothing_waits() ? Status::end : Status::idle;
    Entry entry = std::move(lane->waiting.front());
    lane->waiting.pop_front();
    if (entry.asker.expired()) {
      uncount(entry);
      deliver_([answer = std::move(entry.answer)] {});  // it may be the last that knows of a connection
      continue;
    }
    if (lane == &explained_) {
      explained_taken_ += entry.tokens;
      owed_ = entry.tokens;
    } else {
      owed_ -= std::min(owed_, entry.tokens);
    }
    review = entry.review;
    taken_.push_back(std::move(entry));
    return Status::review;
  }
}

void ReviewQueue::wake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void ReviewQueue::write(const Outcome& outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = taken_.front();
  uncount(entry);
  if (entry.review.explain) {
    explained_taken_ -= entry.tokens;
    changed_.notify_one();
  }
  answered_.emplace_back(std::move(entry.answer), outcome);
  taken_.pop_front();
}

void ReviewQueue::flush() {
  if (answered_.empty()) return;
  // Nothing of it stays here: what the answers hold must end on the thread that they are delivered to.
  deliver_([answered = std::exchange(answered_, {})]() mutable {
    for (auto& [answer, outcome] : answered) answer(std::move(outcome));
  });
}

const Review* ReviewQueue::first_unanswered() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return taken_.empty() ? nullptr : &taken_.front().review;
}

void ReviewQueue::answer_first(Outcome outcome) {
  write(outcome);
  flush();
}

void classify_queue(ReviewQueue& queue, const Tokenizer& tokenizer, const Model& model, const PipelineOptions& options,
                    const std::function<void(const std::string&)>& notify) {
  const auto stopped = [&] { return options.stopped != nullptr && options.stopped->load(); };
  while (!queue.finished() && !stopped()) {
    try {
      run_pipeline(queue, tokenizer, model, queue, options);
      continue;
    } catch (const std::exception& e) {
      notify(std::string("classifying failed, each review is tried again by itself: ") + e.what());
    }
    queue.flush();
    while (const Review* review = queue.first_unanswered()) {
      OneReview source(*review);
      OneOutcome sink;
      std::string reason = "classifying was stopped";
      try {
        run_pipeline(source, tokenizer, model, sink, options);
      } catch (const std::exception& e) {
        reason = e.what();
        notify("a review could not be classified: " + reason);
      }
      if (!sink.outcome_) {
        sink.outcome_.emplace(Outcome{*review, std::nullopt});
        sink.outcome_->review.failure = Failure{"internal", reason};
      }
      queue.answer_first(std::move(*sink.outcome_));
    }
  }
}

}  // namespace reviewrate::server

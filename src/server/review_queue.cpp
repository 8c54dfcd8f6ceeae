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

bool ReviewQueue::has_room(std::size_t tokens, bool explained) const {
  const std::size_t there = explained ? explained_.tokens : plain_.tokens;
  return there == 0 || there + tokens <= max_tokens_;
}

void ReviewQueue::push(Review review, std::size_t tokens, Answer answer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++reviews_;
  Lane& lane = lane_of(review);
  lane.tokens += tokens;
  lane.waiting.push_back({std::move(review), tokens, std::move(answer)});
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

ReviewQueue::Lane* ReviewQueue::next_lane() {
  const bool explained = !explained_.waiting.empty() && explained_taken_ < kMostExplained;
  if (explained && (owed_ == 0 || plain_.waiting.empty())) return &explained_;
  return plain_.waiting.empty() ? nullptr : &plain_;
}

Source::Status ReviewQueue::next(Review& review, bool may_block) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (may_block) {
    changed_.wait(lock, [this] { return woken_ || next_lane() != nullptr || (closed_ && nothing_waits()); });
  }
  if (std::exchange(woken_, false)) return Status::idle;
  Lane* const lane = next_lane();
  if (lane == nullptr) return closed_ && nothing_waits() ? Status::end : Status::idle;
  const std::size_t tokens = lane->waiting.front().tokens;
  if (lane == &explained_) {
    explained_taken_ += tokens;
    owed_ = tokens;
  } else {
    owed_ -= std::min(owed_, tokens);
  }
  review = lane->waiting.front().review;
  taken_.push_back(std::move(lane->waiting.front()));
  lane->waiting.pop_front();
  return Status::review;
}

void ReviewQueue::wake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void ReviewQueue::write(const Outcome& outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = taken_.front();
  --reviews_;
  lane_of(entry.review).tokens -= entry.tokens;
  if (entry.review.explain) {
    explained_taken_ -= entry.tokens;
    changed_.notify_one();
  }
  answered_.emplace_back(std::move(entry.answer), outcome);
  taken_.pop_front();
}

void ReviewQueue::flush() {
  if (answered_.empty()) return;
  auto answered = std::make_shared<std::vector<std::pair<Answer, Outcome>>>(std::move(answered_));
  answered_.clear();
  deliver_([answered] {
    for (auto& [answer, outcome] : *answered) answer(std::move(outcome));
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

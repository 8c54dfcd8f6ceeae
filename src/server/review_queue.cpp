// A queue behind a mutex; what is answered is handed over a batch at a time.
#include "review_queue.h"

#include <exception>
#include <memory>
#include <optional>

namespace reviewrate::server {
namespace {

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

std::size_t estimated_tokens(const Review& review) {
  constexpr std::size_t kBytesPerToken = 4;
  return review.text.size() / kBytesPerToken + 2;
}

bool ReviewQueue::has_room(std::size_t tokens) const { return tokens_ == 0 || tokens_ + tokens <= max_tokens_; }

void ReviewQueue::push(Review review, Answer answer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++reviews_;
  tokens_ += estimated_tokens(review);
  waiting_.push_back({std::move(review), std::move(answer)});
  changed_.notify_one();
}

void ReviewQueue::close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool ReviewQueue::finished() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return closed_ && waiting_.empty() && taken_.empty();
}

Source::Status ReviewQueue::next(Review& review, bool may_block) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (may_block) changed_.wait(lock, [this] { return closed_ || woken_ || !waiting_.empty(); });
  if (std::exchange(woken_, false)) return Status::idle;
  if (waiting_.empty()) return closed_ ? Status::end : Status::idle;
  review = waiting_.front().review;
  taken_.push_back(std::move(waiting_.front()));
  waiting_.pop_front();
  return Status::review;
}

void ReviewQueue::wake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void ReviewQueue::write(const Outcome& outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  --reviews_;
  tokens_ -= estimated_tokens(taken_.front().review);
  answered_.emplace_back(std::move(taken_.front().answer), outcome);
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

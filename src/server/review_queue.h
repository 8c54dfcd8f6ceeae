// The way of reviews from connections to the model and of outcomes back: the pipeline's Source and its Sink.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "reviewrate/pipeline.h"

namespace reviewrate::server {

/// What is done with the outcome of a review, at most once and on the thread of the connections, where it ends, too.
using Answer = std::function<void(Outcome)>;

/// Who wants the answer to a review, and has gone once it is expired.
using Asker = std::weak_ptr<const void>;

/// Holds every review from push() until its outcome is delivered, or its turn comes and its asker has gone. The thread
/// of the connections pushes; the pipeline's threads read and write.
///
/// An explanation takes the model as long as dozens of reviews. So reviews that are to be explained wait by themselves,
/// within bounds of their own: they take no more than half of the model's time from the others, and leave them the
/// whole queue.
class ReviewQueue final : public Source, public Sink {
 public:
  /// Runs a function on the thread of the connections.
  using Deliver = std::function<void(std::function<void()>)>;

  /// `max_tokens` is what may be in the queue of reviews that are to be explained, and as much again of others.
  ReviewQueue(std::size_t max_tokens, Deliver deliver) : max_tokens_(max_tokens), deliver_(std::move(deliver)) {}

  /// Whether the reviews of a request that are to be explained, or others, may be pushed: all of them, as long as fewer
  /// than `max_tokens` wait. So a large request gets in where small ones do, and the bound is passed by one at most.
  bool has_room(bool explained) const { return lane(explained).tokens < max_tokens_; }

  /// The same for a further record of a stream. Streams fill half of it at most: they always have more to bring, and
  /// other requests would hardly ever get in.
  bool has_room_for_streams(bool explained) const { return lane(explained).tokens < (max_tokens_ + 1) / 2; }

  /// Takes a review, for which the model has to read about `tokens`. `answer` will be called unless `asker` goes
  /// before.
  void push(Review review, std::size_t tokens, Asker asker, Answer answer);

  /// Nothing more will be pushed: the pipeline ends when all is done.
  void close();

  /// Whether close() was called and every review is done.
  bool finished() const;

  /// How many reviews have no answer and an asker who waits for it.
  std::size_t awaited() const;

  std::size_t reviews() const { return reviews_; }
  std::size_t tokens() const { return plain_.tokens + explained_.tokens; }
  std::size_t max_tokens() const { return max_tokens_; }

  Status next(Review& review, bool may_block) override;
  void wake() override;
  std::uint64_t bytes_total() const override { return 0; }
  void write(const Outcome& outcome) override;
  void flush() override;

  /// The first review that the pipeline has taken and not answered, still in its place; nothing if there is none. Where
  /// a run of the pipeline has failed, each of these is tried again by itself.
  const Review* first_unanswered() const;

  /// Answers that review.
  void answer_first(Outcome outcome);

 private:
  struct Entry {
    Review review;
    std::size_t tokens;
    Asker asker;
    Answer answer;
  };

  /// Reviews that are, or are not, to be explained.
  struct Lane {
    std::deque<Entry> waiting;
    std::atomic<std::size_t> tokens{0};  ///< waiting and taken
  };

  const Lane& lane(bool explained) const { return explained ? explained_ : plain_; }
  Lane& lane_of(const Review& review) { return review.explain ? explained_ : plain_; }

  /// Counts a review no more.
  void uncount(const Entry& entry);

  /// The lane whose turn it is; null where there is nothing to take.
  Lane* next_lane();
  bool nothing_waits() const { return plain_.waiting.empty() && explained_.waiting.empty(); }

  const std::size_t max_tokens_;
  const Deliver deliver_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Lane plain_;
  Lane explained_;
  std::size_t explained_taken_ = 0;  ///< tokens of reviews that are being explained
  std::size_t owed_ = 0;             ///< tokens of others that go before the next review that is to be explained
  std::deque<Entry> taken_;          ///< by the pipeline, in its order; reviews are copies, to try again with
  bool closed_ = false;
  bool woken_ = false;
  std::atomic<std::size_t> reviews_{0};               ///< waiting and taken
  std::vector<std::pair<Answer, Outcome>> answered_;  ///< since the last flush; of the thread that writes
};

/// Runs the queue's reviews through `model` until the queue is finished or `options.stopped`. Where tokenizer or model
/// throw, each of the reviews that were on their way is tried again by itself; what throws once more is answered with
/// a failure of the kind "internal", told to `notify`, and nobody else notices.
void classify_queue(ReviewQueue& queue, const Tokenizer& tokenizer, const Model& model, const PipelineOptions& options,
                    const std::function<void(const std::string&)>& notify);

}  // namespace reviewrate::server

// A tokenizer, a model and a source without files, for tests of what stands between them.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reviewrate/input.h"
#include "reviewrate/model.h"
#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// A token a byte; 1 begins, 2 ends.
class ByteTokenizer : public Tokenizer {
 public:
  void encode(std::string_view text, std::vector<TokenId>& ids) const override {
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c) + 3);
  }
  std::string_view token(TokenId) const override { return "?"; }
  std::size_t vocab_size() const override { return 259; }
  TokenId unknown_id() const override { return 0; }
  TokenId begin_id() const override { return 1; }
  TokenId end_id() const override { return 2; }
};

/// Logits {0, mean of the window's ids / 100}: they depend on the window alone. Sleeps at random, so that batches
/// overtake one another, and checks that batches are well formed.
class MeanModel : public Model {
 public:
  std::size_t labels() const override { return 2; }

  std::vector<float> forward(const Batch& batch) const override {
    const std::size_t call = calls_++;
    std::this_thread::sleep_for(std::chrono::microseconds(call * 7919 % 300));
    std::vector<float> logits;
    std::size_t at = 0;
    for (const std::int64_t length : batch.lengths) {
      std::int64_t sum = 0;
      if (batch.ids.at(at) != 1 || batch.ids.at(at + static_cast<std::size_t>(length) - 1) != 2) malformed_ = true;
      for (std::int64_t i = 0; i < length; ++i, ++at) {
        sum += batch.ids.at(at);
        if (batch.positions.at(at) != i) malformed_ = true;
      }
      logits.push_back(0);
      logits.push_back(static_cast<float>(sum) / static_cast<float>(length) / 100);
    }
    if (at != batch.tokens()) malformed_ = true;
    return logits;
  }

  std::size_t calls() const { return calls_; }
  bool malformed() const { return malformed_; }

 private:
  mutable std::atomic<std::size_t> calls_{0};
  mutable std::atomic<bool> malformed_{false};
};

/// Gives out reviews; an empty optional stands for a moment at which a stream has nothing to read.
class ListSource : public Source {
 public:
  explicit ListSource(std::vector<std::optional<Review>> reviews) : reviews_(std::move(reviews)) {}

  Status next(Review& review, bool may_block) override {
    while (at_ < reviews_.size()) {
      if (!reviews_[at_]) {
        if (!may_block) return Status::idle;
        ++at_;
        continue;
      }
      review = *reviews_[at_++];
      return Status::review;
    }
    return Status::end;
  }
  std::uint64_t bytes_total() const override { return 0; }

  std::size_t given() const { return at_; }

 private:
  std::vector<std::optional<Review>> reviews_;
  std::size_t at_ = 0;
};

inline Review text_review(std::string id, std::string text) {
  Review review;
  review.id.text = std::move(id);
  review.text = std::move(text);
  return review;
}

inline Review bad_review(std::string id) {
  Review review;
  review.id.text = std::move(id);
  review.failure = Failure{"json", "made up"};
  return review;
}

}  // namespace reviewrate

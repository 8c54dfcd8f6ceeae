// Reading ahead to the first record, where its columns have to be known before anything is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reviewrate/input.h"

namespace reviewrate::cli {

/// A source whose beginning can be read ahead.
class PeekedSource : public Source {
 public:
  explicit PeekedSource(std::unique_ptr<Source> source) : source_(std::move(source)) {}

  /// Reads on to the first record that has fields, and waits for it; bad records before it are kept, within bounds.
  void peek() {
    constexpr std::size_t kMost = 4096;
    while (source_->columns().empty() && seen_.size() < kMost) {
      Review review;
      if (source_->next(review, /*may_block=*/true) != Status::review) return;
      seen_.push_back(std::move(review));
    }
  }

  Status next(Review& review, bool may_block) override {
    if (seen_.empty()) return source_->next(review, may_block);
    review = std::move(seen_.front());
    seen_.pop_front();
    return Status::review;
  }

  void wake() override { source_->wake(); }
  std::uint64_t bytes_total() const override { return source_->bytes_total(); }
  std::vector<std::string> columns() const override { return source_->columns(); }
  InputFindings findings() const override { return source_->findings(); }

 private:
  std::unique_ptr<Source> source_;
  std::deque<Review> seen_;
};

}  // namespace reviewrate::cli

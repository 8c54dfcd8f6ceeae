// A reservoir (Vitter's algorithm R).
#include "sampled_source.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace reviewrate {
namespace {

class SampledSource final : public Source {
 public:
  SampledSource(std::unique_ptr<Source> source, std::size_t count, std::uint64_t seed)
      : source_(std::move(source)), count_(count), random_(seed) {}

  Status next(Review& review, bool may_block) override {
    while (!read_all_) {
      Review read;
      switch (source_->next(read, may_block)) {
        case Status::review:
          take(std::move(read));
          break;
        case Status::idle:
          return Status::idle;
        case Status::end:
          read_all_ = true;
          std::sort(kept_.begin(), kept_.end(), [](const Kept& a, const Kept& b) { return a.place < b.place; });
      }
    }
    if (given_ == kept_.size()) return Status::end;
    review = std::move(kept_[given_++].review);
    return Status::review;
  }

  void wake() override { source_->wake(); }
  std::uint64_t bytes_total() const override { return source_->bytes_total(); }
  std::vector<std::string> columns() const override { return source_->columns(); }
  InputFindings findings() const override { return source_->findings(); }

 private:
  struct Kept {
    std::size_t place;  // among all records
    Review review;
  };

  void take(Review review) {
    const std::size_t place = records_++;
    if (kept_.size() < count_) {
      kept_.push_back({place, std::move(review)});
    } else if (const std::uint64_t slot = below(records_); slot < count_) {
      kept_[slot] = {place, std::move(review)};
    }
  }

  // A number below `end`, each one equally likely; the standard's distributions differ from library to library.
  std::uint64_t below(std::uint64_t end) {
    const std::uint64_t most = std::mt19937_64::max() - std::mt19937_64::max() % end;
    std::uint64_t number = random_();
    while (number >= most) number = random_();
    return number % end;
  }

  std::unique_ptr<Source> source_;
  std::size_t count_;
  std::mt19937_64 random_;
  std::vector<Kept> kept_;
  std::size_t records_ = 0;
  std::size_t given_ = 0;
  bool read_all_ = false;
};

}  // namespace

std::unique_ptr<Source> sample(std::unique_ptr<Source> source, std::size_t count, std::uint64_t seed) {
  return std::make_unique<SampledSource>(std::move(source), count, seed);
}

}  // namespace reviewrate

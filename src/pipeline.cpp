// One tbb::parallel_pipeline; order, back pressure and hand-over between threads are its work, not ours.
#include "reviewrate/pipeline.h"

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace reviewrate {
namespace {

/// A review on its way: its pieces are spread over one or more consecutive batches.
struct Item {
  Review review;
  std::size_t tokens = 0;
  bool truncated = false;
  std::size_t windows = 0;  ///< in all batches together
};

/// A pack with the reviews whose last window it holds (and failed ones between them).
struct Batch {
  std::size_t first_record = 0;  ///< number of the first review that has a window here or ends here
  std::size_t end_record = 0;    ///< one past the last review that has a window here or ends here
  Pack pack;
  std::vector<Item> items;
  std::vector<float> logits;
};

/// Reads, tokenizes, cuts and packs, one batch a call.
class Reader {
 public:
  Reader(Source& source, const Tokenizer& tokenizer, const PipelineOptions& options)
      : source_(source), tokenizer_(tokenizer), options_(options) {}

  /// The next batch, or null at the end.
  std::unique_ptr<Batch> next() {
    auto batch = std::make_unique<Batch>();
    batch->first_record = record_;
    while (!take_windows(*batch)) {
      if (ended_ || !take_review(*batch)) break;
    }
    batch->end_record = record_ + (next_window_ < windows_.size() ? 1 : 0);
    if (batch->pack.empty() && batch->items.empty()) return nullptr;
    return batch;
  }

 private:
  /// Moves windows of the current review into the pack; true when the pack is full.
  bool take_windows(Batch& batch) {
    while (next_window_ < windows_.size()) {
      if (batch.pack.tokens() >= options_.pack_tokens) return true;
      batch.pack.add(ids_, windows_[next_window_++], tokenizer_);
      if (next_window_ == windows_.size()) finish(batch);
    }
    // Bad records take no tokens: without a bound a file of nothing else would be held in memory whole.
    return batch.pack.tokens() >= options_.pack_tokens || batch.items.size() >= options_.pack_tokens;
  }

  /// Reads a review and cuts it; false when the batch should go ahead as it is.
  bool take_review(Batch& batch) {
    if (options_.stopped != nullptr && options_.stopped->load()) {
      ended_ = true;
      return false;
    }
    // A batch that holds something is never kept back by a slow stream.
    const bool may_block = batch.pack.empty() && batch.items.empty();
    const Source::Status status = source_.next(item_.review, may_block);
    if (status != Source::Status::review) {
      ended_ = status == Source::Status::end;
      return false;
    }
    windows_.clear();
    next_window_ = 0;
    if (item_.review.failure) {
      ended_ = options_.fail_fast && record_ >= options_.skip;
      finish(batch);
      return true;
    }
    ids_.clear();
    tokenizer_.encode(item_.review.text, ids_);
    windows_ = cut(ids_.size(), options_.window);
    item_.tokens = ids_.size() + 2;
    item_.truncated = windows_.size() == 1 && windows_.front().tokens() < item_.tokens;
    item_.windows = windows_.size();
    return true;
  }

  void finish(Batch& batch) {
    batch.items.push_back(std::exchange(item_, {}));
    ++record_;
  }

  Source& source_;
  const Tokenizer& tokenizer_;
  const PipelineOptions& options_;
  Item item_;
  std::vector<TokenId> ids_;
  std::vector<Window> windows_;
  std::size_t next_window_ = 0;
  std::size_t record_ = 0;
  bool ended_ = false;
};

/// Turns logits into outcomes: averages the windows of a review, then scores it.
class Writer {
 public:
  Writer(Sink& sink, std::size_t labels, const PipelineOptions& options)
      : sink_(sink), options_(options), sum_(labels, 0.0) {}

  void write(Batch& batch) {
    const std::span<const float> logits(batch.logits);
    std::size_t row = 0;
    const std::size_t rows = batch.pack.lengths.size();
    const auto add_windows = [&](std::size_t wanted) {
      for (; seen_ < wanted && row < rows; ++seen_, ++row) {
        if (logits.empty()) continue;  // skipped; its windows still have to be counted
        const std::vector<double> p = softmax(logits.subspan(row * sum_.size(), sum_.size()));
        for (std::size_t i = 0; i < p.size(); ++i) sum_[i] += p[i];
      }
    };
    for (Item& item : batch.items) {
      add_windows(item.windows);
      if (record_++ >= options_.skip) sink_.write(outcome(item));
      seen_ = 0;
      std::fill(sum_.begin(), sum_.end(), 0.0);
    }
    add_windows(rows + seen_);  // the review that goes on in the next batch
    sink_.flush();
  }

 private:
  Outcome outcome(Item& item) {
    if (item.review.failure) return {std::move(item.review), std::nullopt};
    for (double& p : sum_) p /= static_cast<double>(item.windows);
    Prediction prediction = options_.scorer(sum_);
    prediction.tokens = item.tokens;
    prediction.truncated = item.truncated;
    prediction.windows = item.windows;
    return {std::move(item.review), prediction};
  }

  Sink& sink_;
  const PipelineOptions& options_;
  std::vector<double> sum_;
  std::size_t seen_ = 0;
  std::size_t record_ = 0;
};

}  // namespace

void run_pipeline(Source& source, const Tokenizer& tokenizer, const Model& model, Sink& sink,
                  const PipelineOptions& options) {
  Reader reader(source, tokenizer, options);
  Writer writer(sink, model.labels(), options);
  using BatchPtr = std::shared_ptr<Batch>;  // parallel_pipeline copies what passes between its filters
  const auto read = [&](tbb::flow_control& control) -> BatchPtr {
    BatchPtr batch = reader.next();
    if (!batch) control.stop();
    return batch;
  };
  const auto forward = [&](BatchPtr batch) {
    const bool wanted = batch->end_record > options.skip;
    if (wanted && !batch->pack.empty()) batch->logits = model.forward(batch->pack);
    return batch;
  };
  const auto write = [&](const BatchPtr& batch) { writer.write(*batch); };

  // Without this, TBB starts no more threads than there are cores.
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, options.workers);
  // Two batches a worker: one in the model, one read ahead or waiting for its turn to be written.
  tbb::task_arena arena(static_cast<int>(options.workers));
  arena.execute([&] {
    tbb::parallel_pipeline(2 * options.workers,
                           tbb::make_filter<void, BatchPtr>(tbb::filter_mode::serial_in_order, read) &
                               tbb::make_filter<BatchPtr, BatchPtr>(tbb::filter_mode::parallel, forward) &
                               tbb::make_filter<BatchPtr, void>(tbb::filter_mode::serial_in_order, write));
  });
}

}  // namespace reviewrate

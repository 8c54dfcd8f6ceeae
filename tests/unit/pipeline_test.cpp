// Order, loss, streaming and windows in the pipeline, with a model that needs no libtorch.
#include "reviewrate/pipeline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "catch.h"
#include "fakes.h"

using namespace reviewrate;

namespace {

/// Keeps outcomes, and how many there were at each flush.
struct ListSink : Sink {
  void write(const Outcome& outcome) override { outcomes.push_back(outcome); }
  void flush() override { flushes.push_back(outcomes.size()); }

  std::vector<Outcome> outcomes;
  std::vector<std::size_t> flushes;
};

PipelineOptions options(std::size_t workers) {
  PipelineOptions result;
  result.workers = workers;
  result.batch_tokens = 64;
  result.window = {LongText::windows, 12, 3};
  result.scorer.positive = 1;
  return result;
}

std::vector<std::optional<Review>> mixed_reviews(std::size_t count) {
  std::vector<std::optional<Review>> reviews;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 11 == 3) {
      reviews.emplace_back(bad_review(std::to_string(i)));
    } else {
      const std::size_t length = i % 17 == 0 ? 400 + i : i * 7 % 30;  // some span several batches
      reviews.emplace_back(text_review(std::to_string(i), std::string(length, static_cast<char>('a' + i % 26))));
    }
  }
  return reviews;
}

/// What run_pipeline should say, worked out one review at a time.
double expected_positive(const std::string& text, const WindowOptions& window) {
  const ByteTokenizer tokenizer;
  const MeanModel model;
  std::vector<TokenId> ids;
  tokenizer.encode(text, ids);
  double sum = 0;
  const auto windows = cut(ids.size(), window);
  for (const Window& w : windows) {
    Batch batch;
    batch.add(ids, w, tokenizer);
    sum += softmax(model.forward(batch))[1];
  }
  return sum / static_cast<double>(windows.size());
}

}  // namespace

TEST_CASE("pipeline: one outcome for each review, in order, the same for any number of workers") {
  const auto reviews = mixed_reviews(300);
  for (const std::size_t workers : {1U, 2U, 5U}) {
    ListSource source(reviews);
    ListSink sink;
    const MeanModel model;
    const PipelineOptions o = options(workers);
    run_pipeline(source, ByteTokenizer(), model, sink, o);
    CHECK_FALSE(model.malformed());
    REQUIRE(sink.outcomes.size() == reviews.size());
    for (std::size_t i = 0; i < reviews.size(); ++i) {
      const Outcome& outcome = sink.outcomes[i];
      CHECK(outcome.review.id == reviews[i]->id);
      REQUIRE(outcome.prediction.has_value() == !reviews[i]->failure);
      if (!outcome.prediction) continue;
      CHECK(*outcome.prediction->positive == Approx(expected_positive(reviews[i]->text, o.window)).epsilon(1e-12));
      CHECK(outcome.prediction->tokens == reviews[i]->text.size() + 2);
      CHECK(outcome.prediction->windows == cut(reviews[i]->text.size(), o.window).size());
      CHECK_FALSE(outcome.prediction->truncated);
    }
  }
}

TEST_CASE("pipeline: batches are full until the end comes near, then they shrink, so that workers end together") {
  struct SizesModel : MeanModel {
    std::vector<float> forward(const Batch& batch) const override {
      const std::lock_guard lock(mutex);
      sizes.push_back(batch.tokens());
      return MeanModel::forward(batch);
    }
    mutable std::mutex mutex;
    mutable std::vector<std::size_t> sizes;
  };
  const std::vector<std::optional<Review>> reviews(40, text_review("r", "ab"));  // of 4 tokens each
  for (const std::size_t workers : {1U, 2U}) {
    ListSource source(reviews);
    ListSink sink;
    const SizesModel model;
    run_pipeline(source, ByteTokenizer(), model, sink, options(workers));
    std::vector<std::size_t>& sizes = model.sizes;
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    // Left for two: 160, 96, 48, 24, 12, 4 (a share is at least an eighth of 64).
    CHECK(sizes ==
          (workers == 1 ? std::vector<std::size_t>{64, 64, 32} : std::vector<std::size_t>{64, 48, 24, 12, 8, 4}));
  }
}

TEST_CASE("pipeline: truncated is said where tokens are left out") {
  PipelineOptions o = options(2);
  o.window.policy = LongText::head;
  ListSource source({text_review("fits", std::string(10, 'x')), text_review("cut", std::string(11, 'x'))});
  ListSink sink;
  run_pipeline(source, ByteTokenizer(), MeanModel(), sink, o);
  REQUIRE(sink.outcomes.size() == 2);
  CHECK_FALSE(sink.outcomes[0].prediction->truncated);
  CHECK(sink.outcomes[1].prediction->truncated);
  CHECK(sink.outcomes[1].prediction->tokens == 13);
}

TEST_CASE("pipeline: a slow stream is answered before it goes on") {
  for (const std::size_t workers : {1U, 3U}) {
    std::vector<std::optional<Review>> reviews;
    for (int i = 0; i < 10; ++i) {
      reviews.emplace_back(i % 3 == 1 ? bad_review(std::to_string(i)) : text_review(std::to_string(i), "slow"));
      reviews.emplace_back(std::nullopt);
    }
    ListSource source(std::move(reviews));
    ListSink sink;
    run_pipeline(source, ByteTokenizer(), MeanModel(), sink, options(workers));
    REQUIRE(sink.outcomes.size() == 10);
    CHECK(sink.flushes.size() == 10);
  }
}

TEST_CASE("pipeline: nothing in, nothing out; only bad records need no model") {
  ListSink sink;
  ListSource empty({});
  run_pipeline(empty, ByteTokenizer(), MeanModel(), sink, options(2));
  CHECK(sink.outcomes.empty());
  ListSource bad({bad_review("1"), bad_review("2")});
  const MeanModel model;
  run_pipeline(bad, ByteTokenizer(), model, sink, options(2));
  CHECK(sink.outcomes.size() == 2);
  CHECK(model.calls() == 0);
}

TEST_CASE("pipeline: fail_fast ends with the first bad record, and all before it are there") {
  const auto reviews = mixed_reviews(100);  // the fourth is bad
  ListSource source(reviews);
  ListSink sink;
  PipelineOptions o = options(2);
  o.fail_fast = true;
  run_pipeline(source, ByteTokenizer(), MeanModel(), sink, o);
  REQUIRE(sink.outcomes.size() == 4);
  CHECK_FALSE(sink.outcomes[3].prediction);
}

TEST_CASE("pipeline: what was skipped is not run, and the rest is as if nothing had been skipped") {
  const auto reviews = mixed_reviews(120);
  ListSource whole_source(reviews);
  ListSink whole;
  const MeanModel whole_model;
  run_pipeline(whole_source, ByteTokenizer(), whole_model, whole, options(2));
  for (const std::size_t skip : {1U, 17U, 18U, 60U, 119U, 120U}) {
    ListSource source(reviews);
    ListSink rest;
    const MeanModel model;
    PipelineOptions o = options(2);
    o.skip = skip;
    run_pipeline(source, ByteTokenizer(), model, rest, o);
    REQUIRE(rest.outcomes.size() == reviews.size() - skip);
    for (std::size_t i = skip; i < reviews.size(); ++i) {
      CHECK(rest.outcomes[i - skip].review.id == whole.outcomes[i].review.id);
      const auto& a = rest.outcomes[i - skip].prediction;
      const auto& b = whole.outcomes[i].prediction;
      REQUIRE(a.has_value() == b.has_value());
      if (a) CHECK(a->positive == b->positive);
    }
    if (skip >= 60) CHECK(model.calls() < whole_model.calls());
  }
}

TEST_CASE("pipeline: once stopped it reads no more, and writes what is finished") {
  std::atomic<bool> stopped{false};
  struct StoppingSink : ListSink {
    explicit StoppingSink(std::atomic<bool>& flag) : flag_(flag) {}
    void flush() override {
      ListSink::flush();
      if (outcomes.size() >= 20) flag_.store(true);
    }
    std::atomic<bool>& flag_;
  } sink(stopped);
  ListSource source(mixed_reviews(5000));
  const MeanModel model;
  PipelineOptions o = options(2);
  o.stopped = &stopped;
  run_pipeline(source, ByteTokenizer(), model, sink, o);
  CHECK(sink.outcomes.size() >= 20);
  CHECK(sink.outcomes.size() <= source.given());
  CHECK(source.given() < 5000);
  for (std::size_t i = 0; i < sink.outcomes.size(); ++i) CHECK(sink.outcomes[i].review.id.text == std::to_string(i));
}

TEST_CASE("pipeline: once stopped it leaves the rest of a huge review") {
  std::atomic<bool> stopped{false};
  struct StoppingModel : MeanModel {
    explicit StoppingModel(std::atomic<bool>& flag) : flag_(flag) {}
    std::vector<float> forward(const Batch& batch) const override {
      flag_.store(true);
      return MeanModel::forward(batch);
    }
    std::atomic<bool>& flag_;
  };
  const StoppingModel model(stopped);
  ListSource source({text_review("first", "short"), text_review("huge", std::string(1000000, 'x'))});
  ListSink sink;
  PipelineOptions o = options(2);
  o.stopped = &stopped;
  run_pipeline(source, ByteTokenizer(), model, sink, o);
  CHECK(model.calls() <= 4);  // those that were in the model or on their way
  CHECK(sink.outcomes.size() <= 1);
}

TEST_CASE("pipeline: errors of model and sink come out") {
  struct BrokenModel : MeanModel {
    std::vector<float> forward(const Batch&) const override { throw std::runtime_error("model"); }
  };
  struct FullSink : ListSink {
    void flush() override { throw std::runtime_error("sink"); }
  };
  ListSource source(mixed_reviews(500));
  ListSink sink;
  CHECK_THROWS_WITH(run_pipeline(source, ByteTokenizer(), BrokenModel(), sink, options(2)), "model");
  ListSource again(mixed_reviews(500));
  FullSink full;
  CHECK_THROWS_WITH(run_pipeline(again, ByteTokenizer(), MeanModel(), full, options(2)), "sink");
}

TEST_CASE("pipeline: an error does not wait for the next review of a stream") {
  // Gives one review; for the next one it waits until it is woken.
  struct WaitingSource : ListSource {
    using ListSource::ListSource;
    Status next(Review& review, bool may_block) override {
      if (given() == 0) return ListSource::next(review, may_block);
      if (!may_block) return Status::idle;
      std::unique_lock<std::mutex> lock(mutex);
      in_time = changed.wait_for(lock, std::chrono::seconds(60), [this] { return woken; });
      return Status::idle;
    }
    void wake() override {
      const std::lock_guard<std::mutex> lock(mutex);
      woken = true;
      changed.notify_all();
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false;
    bool in_time = true;
  };
  struct BrokenModel : MeanModel {
    std::vector<float> forward(const Batch&) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the reader waits by now
      throw std::runtime_error("model");
    }
  };
  struct FullSink : ListSink {
    void flush() override {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      throw std::runtime_error("sink");
    }
  };
  for (const std::size_t workers : {1U, 2U, 4U}) {
    WaitingSource source({text_review("a", "text")});
    ListSink sink;
    CHECK_THROWS_WITH(run_pipeline(source, ByteTokenizer(), BrokenModel(), sink, options(workers)), "model");
    CHECK(source.in_time);
    WaitingSource again({text_review("a", "text")});
    FullSink full;
    CHECK_THROWS_WITH(run_pipeline(again, ByteTokenizer(), MeanModel(), full, options(workers)), "sink");
    CHECK(again.in_time);
  }
}

TEST_CASE("pipeline: what stands before an error is written") {
  struct CutSource : ListSource {
    using ListSource::ListSource;
    Status next(Review& review, bool may_block) override {
      const Status status = ListSource::next(review, may_block);
      if (status == Status::end) throw std::runtime_error("source");
      return status;
    }
  };
  CutSource source(mixed_reviews(300));
  ListSink sink;
  CHECK_THROWS_WITH(run_pipeline(source, ByteTokenizer(), MeanModel(), sink, options(2)), "source");
  CHECK(sink.outcomes.size() == 300);

  // The batch with the one long review fails; those before it are written, in whatever order they were computed.
  struct PickyModel : MeanModel {
    std::vector<float> forward(const Batch& batch) const override {
      for (const auto length : batch.lengths) {
        if (length > 400) throw std::runtime_error("model");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return MeanModel::forward(batch);
    }
  };
  std::vector<std::optional<Review>> reviews;
  for (int i = 0; i < 200; ++i)
    reviews.push_back(text_review(std::to_string(i), i == 150 ? std::string(450, 'x') : "short one"));
  ListSource picky(reviews);
  ListSink before;
  PipelineOptions whole = options(2);
  whole.window.max_tokens = 500;
  CHECK_THROWS_WITH(run_pipeline(picky, ByteTokenizer(), PickyModel(), before, whole), "model");
  CHECK(before.outcomes.size() > 100);
  CHECK(before.outcomes.size() <= 150);
  for (std::size_t i = 0; i < before.outcomes.size(); ++i)
    CHECK(before.outcomes[i].review.id.text == std::to_string(i));
}

TEST_CASE("pipeline: equal texts go through the model once, and get the same answer") {
  std::vector<std::optional<Review>> reviews;
  for (std::size_t i = 0; i < 400; ++i) {
    if (i % 13 == 0) {
      reviews.emplace_back(bad_review(std::to_string(i)));
    } else {  // 20 texts, among them an empty one and some of several windows, which other batches hold
      reviews.emplace_back(text_review(std::to_string(i), std::string(i * i % 20 * 5, static_cast<char>('a' + i % 3))));
    }
  }
  struct CountingModel : MeanModel {
    std::vector<float> forward(const Batch& batch) const override {
      windows += batch.lengths.size();
      return MeanModel::forward(batch);
    }
    mutable std::atomic<std::size_t> windows{0};
  };
  const auto run = [&](bool reuse, std::size_t skip, CountingModel& model) {
    PipelineOptions o = options(2);
    o.reuse_answers = reuse;
    o.skip = skip;
    ListSource source(reviews);
    ListSink sink;
    run_pipeline(source, ByteTokenizer(), model, sink, o);
    return std::move(sink.outcomes);
  };
  for (const std::size_t skip : {0U, 7U, 150U}) {
    CountingModel plain;
    CountingModel reusing;
    const auto expected = run(false, skip, plain);
    const auto got = run(true, skip, reusing);
    REQUIRE(got.size() == reviews.size() - skip);
    std::set<std::string> seen;
    for (std::size_t i = 0; i < got.size(); ++i) {
      REQUIRE(got[i].prediction.has_value() == expected[i].prediction.has_value());
      CHECK(got[i].review.id == expected[i].review.id);
      if (!got[i].prediction) continue;
      CHECK(got[i].prediction->repeated == !seen.insert(got[i].review.text).second);
      CHECK(got[i].prediction->probabilities == expected[i].prediction->probabilities);
      CHECK(got[i].prediction->windows == expected[i].prediction->windows);
      CHECK(got[i].prediction->tokens == expected[i].prediction->tokens);
      CHECK(got[i].prediction->truncated == expected[i].prediction->truncated);
    }
    CHECK(reusing.windows < plain.windows / 4);
  }
}

// The readers of `classify` take bytes as they come, so a stream has the same records, ids and errors as a pipe there.
#include "record_stream.h"

#include <algorithm>
#include <utility>

namespace reviewrate::server {
namespace {

// Enough to keep every worker's batches full from one stream alone, and little beside the whole queue.
constexpr std::size_t kMaxUnanswered = 1024;
constexpr std::size_t kMaxUnansweredTokens = 32 * 1024;

}  // namespace

std::string too_much_to_explain(std::size_t tokens, std::size_t most) {
  return "to explain it the model would have to read about " + std::to_string(tokens) +
         " tokens, and may at most (--max-queue-tokens) " + std::to_string(most);
}

RecordStream::RecordStream(Context& context, const InputOptions& options, std::optional<ExplainUnit> explain,
                           std::function<void()> changed)
    : context_(context),
      options_(options),
      explain_(explain),
      reader_(open_records(InputFormat::jsonl, Origin{"-", "-"}, options_)),
      changed_(std::move(changed)) {}

RecordStream::~RecordStream() { context_.metrics.held_bytes -= held_ + output_.size(); }

void RecordStream::feed(std::string_view bytes, bool last) {
  input_ = bytes;
  last_ = last;
  held_ += bytes.size();
  context_.metrics.held_bytes += bytes.size();
  read_records();
}

bool RecordStream::wants_input() const {
  return input_.empty() && !last_ && output_.size() - sent_ < context_.options.limits.stream_output;
}

void RecordStream::read_records() {
  // A stream may always have one record in the queue, so that its answer calls for the next.
  while (!ended_ && (unanswered_ == 0 || (unanswered_ < kMaxUnanswered && unanswered_tokens_ < kMaxUnansweredTokens &&
                                          context_.queue.has_room(0, explain_.has_value())))) {
    Review review;
    if (!reader_->next(input_, last_, review)) {
      ended_ = last_;
      return;
    }
    context_.metrics.held_bytes -= std::exchange(held_, input_.size());
    context_.metrics.held_bytes += held_;
    review.explain = explain_;
    std::size_t estimate = context_.api.estimated_tokens(review);
    if (const std::size_t most = context_.queue.max_tokens(); explain_ && estimate > most) {
      review.failure = Failure{"size", failure_message(review.id.text, too_much_to_explain(estimate, most))};
      estimate = 0;
    }
    ++unanswered_;
    unanswered_tokens_ += estimate;
    context_.queue.push(std::move(review), estimate, [self = shared_from_this(), estimate](const Outcome& outcome) {
      self->take(outcome, estimate);
    });
  }
}

void RecordStream::take(const Outcome& outcome, std::size_t estimate) {
  --unanswered_;
  unanswered_tokens_ -= estimate;
  ++reviews_;
  ++(outcome.prediction ? context_.metrics.reviews : context_.metrics.failures);
  if (outcome.prediction) {
    tokens_ += outcome.prediction->tokens;
    context_.metrics.tokens += outcome.prediction->tokens;
  }
  const std::size_t before = output_.size();
  context_.api.records().append(outcome, output_);
  context_.metrics.held_bytes += output_.size() - before;
  read_records();
  const std::function<void()> changed = changed_;  // abandon() may be called meanwhile
  changed();
}

std::string RecordStream::take_output(std::size_t most) {
  std::string taken = output_.substr(sent_, most);
  sent_ += taken.size();
  if (sent_ == output_.size()) {
    context_.metrics.held_bytes -= output_.size();
    output_.clear();
    sent_ = 0;
  }
  return taken;
}

void RecordStream::abandon() {
  changed_ = [] {};
  ended_ = true;
}

}  // namespace reviewrate::server

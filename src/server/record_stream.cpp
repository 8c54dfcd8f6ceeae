// The readers of `classify` take bytes as they come, so a stream has the same records, ids and errors as a pipe there.
#include "record_stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>
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

RecordStream::RecordStream(Context& context, const Parameters& parameters, std::weak_ptr<Owner> owner,
                           std::optional<std::string> file)
    : context_(context),
      explain_(parameters.explain),
      texts_(parameters.texts),
      owner_(std::move(owner)),
      file_bytes_(file ? file->size() : 0),
      held_(context.metrics.held_bytes) {
  options_.notify = [this](const std::string& notice) { notices_.push_back(notice); };
  if (!parameters.text_field.empty()) options_.text_field = parameters.text_field;
  if (file) {
    file_ = open_content(parameters.file, std::move(*file), options_);
  } else {
    reader_ = open_records(InputFormat::jsonl, Origin{"-", "-"}, options_);
  }
  count();
}

void RecordStream::feed(std::string_view bytes, bool last) {
  input_ = bytes;
  last_ = last;
  read_records();
}

bool RecordStream::wants_input() const {
  return input_.empty() && !last_ && unsent() < context_.options.limits.stream_output;
}

void RecordStream::read_records() {
  while (!ended_ && has_room()) {
    Review review;
    if (!read(review)) {
      ended_ = last_;
      break;
    }
    push(std::move(review));
  }
  if (texts_ && finished() && !std::exchange(noticed_, true)) {
    const nlohmann::json notices = {{"notices", notices_}};
    output_ += notices.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  }
  count();
}

void RecordStream::count() {
  held_.set(file_bytes_ + (reader_ ? reader_->waiting() + input_.size() : 0) + output_.size());
}

/// Whether one more record may be read.
bool RecordStream::has_room() const {
  // A file is there already, so that wants_input() bounds nothing of it.
  if (file_ && unsent() >= context_.options.limits.stream_output) return false;
  // There may always be one in the queue, so that its answer calls for the next.
  return unanswered_ == 0 || (unanswered_ < kMaxUnanswered && unanswered_tokens_ < kMaxUnansweredTokens &&
                              context_.queue.has_room_for_streams(explain_.has_value()));
}

bool RecordStream::read(Review& review) {
  if (reader_) return reader_->next(input_, last_, review);
  if (file_->next(review, /*may_block=*/false) == Source::Status::review) {
    if (texts_ && !review.failure) review.passed.push_back({"text", {review.text, false}});
    if (texts_) review.passed.push_back({"position", {std::to_string(review.position), true}});
    return true;
  }
  for (const auto& findings = file_->findings(); const auto* list : {&findings.problems, &findings.remarks}) {
    notices_.insert(notices_.end(), list->begin(), list->end());
  }
  file_ = nullptr;
  file_bytes_ = 0;
  return false;
}

void RecordStream::push(Review review) {
  review.explain = explain_;
  std::size_t estimate = context_.api.estimated_tokens(review);
  if (const std::size_t most = context_.queue.max_tokens(); explain_ && estimate > most) {
    review.failure = Failure{"size", failure_message(review.id.text, too_much_to_explain(estimate, most))};
    estimate = 0;
  }
  ++unanswered_;
  unanswered_tokens_ += estimate;
  context_.queue.push(std::move(review), estimate, weak_from_this(),
                      [weak = weak_from_this(), owner = owner_.lock(), estimate](const Outcome& outcome) {
                        const std::shared_ptr<RecordStream> self = weak.lock();
                        if (self) owner->on_answer([&] { self->take(outcome, estimate); });
                      });
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
  context_.api.records().append(outcome, output_);
  read_records();
}

std::string RecordStream::take_output(std::size_t most) {
  std::string taken = output_.substr(sent_, most);
  sent_ += taken.size();
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
  }
  if (file_) read_records();  // there is room again
  count();
  return taken;
}

}  // namespace reviewrate::server

// Outcomes kept small, and turned into observations.
#include "eval_collector.h"

#include <algorithm>
#include <span>

#include "reviewrate/utf8.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMistakes = 20;
constexpr std::size_t kFailures = 10;
constexpr std::size_t kExcerptBytes = 600;

std::string excerpt(const std::string& text) { return shortened(text, kExcerptBytes); }

}  // namespace

void EvalCollector::write(const Outcome& outcome) {
  Rated rated;
  rated.failed = !outcome.prediction;
  if (rated.failed) {
    if (failures_.size() < kFailures) failures_.push_back(*outcome.review.failure);
  } else {
    const Prediction& prediction = *outcome.prediction;
    rated.truth = truths_.take();
    rated.called = static_cast<std::uint32_t>(numbers_[prediction.label]);
    rated.score = prediction.score;
    rated.rating = static_cast<std::uint8_t>(prediction.rating.value_or(0));
    if (prediction.tokens > 0) {
      rated.length = prediction.tokens > max_tokens_ ? Length::beyond_limit : Length::within_limit;
    }
    if (is_binary()) {
      const double p = *prediction.positive;
      rated.score = rated.called == kPositive ? p : 1 - p;
      p_.push_back(p);
    } else if (!prediction.probabilities.empty()) {
      p_.resize(p_.size() + numbers_.size());
      double* const row = &p_[p_.size() - numbers_.size()];
      for (std::size_t i = 0; i < numbers_.size(); ++i) row[numbers_[i]] = prediction.probabilities[i];
    }
    ++classified_;
    keep(outcome, rated);
  }
  rated_.push_back(rated);
  position_ = outcome.review.position;
}

void EvalCollector::keep(const Outcome& outcome, const Rated& rated) {
  if (rated.truth.meaning == rated.called) return;  // right
  std::vector<Candidate>& kept = surest_[{rated.truth.label, rated.called}];
  Mistake mistake;
  mistake.called = rated.called;
  mistake.score = rated.score;
  if (is_binary()) mistake.p = p_.back();
  // All of them are sorted at the end, and of the surest few each is put in its place.
  const auto place = every_mistake_ ? kept.end()
                                    : std::upper_bound(kept.begin(), kept.end(), mistake.confidence(),
                                                       [](double confidence, const Candidate& other) {
                                                         return confidence > other.mistake.confidence();
                                                       });
  if (!every_mistake_ && place == kept.end() && kept.size() >= kMistakes) return;
  mistake.id = outcome.review.id;
  mistake.text = every_mistake_ ? outcome.review.text : excerpt(outcome.review.text);
  mistake.stars = rated.truth.stars.number;
  mistake.tokens = outcome.prediction->tokens;
  kept.insert(place, {rated_.size(), std::move(mistake)});
  if (!every_mistake_ && kept.size() > kMistakes) kept.pop_back();
}

void EvalCollector::report(const std::vector<Meaning>& meanings, EvalReport& report) const {
  report.failures = failures_;
  for (const Rated& rated : rated_) {
    const Meaning label = rated.failed ? kNegative : meanings[rated.truth.label];
    if (label == kUnlabelled) continue;
    ++report.labelled;
    report.failed += rated.failed ? 1 : 0;
    report.outcomes += rated.failed ? 'x' : rated.called == label ? '1' : '0';
  }
  report.mistakes = mistakes(meanings);
  report.mistakes.resize(std::min(report.mistakes.size(), kMistakes));
  for (Mistake& mistake : report.mistakes) mistake.text = excerpt(mistake.text);
}

std::vector<Mistake> EvalCollector::mistakes(const std::vector<Meaning>& meanings) const {
  std::vector<Candidate> mistakes;
  for (const auto& [which, candidates] : surest_) {
    const Meaning label = meanings[which.first];
    if (label == kUnlabelled || label == which.second) continue;
    for (Candidate candidate : candidates) {
      candidate.mistake.label = label;
      mistakes.push_back(std::move(candidate));
    }
  }
  std::sort(mistakes.begin(), mistakes.end(), [](const Candidate& a, const Candidate& b) {
    const double x = a.mistake.confidence(), y = b.mistake.confidence();
    return x != y ? x > y : a.place < b.place;
  });
  std::vector<Mistake> out;
  for (Candidate& candidate : mistakes) out.push_back(std::move(candidate.mistake));
  return out;
}

Observations EvalCollector::observations(const std::vector<Meaning>& meanings, const StarFindings& stars,
                                         Length length) const {
  Observations out(labels_.task, labels_.names.size());
  const std::size_t columns = classified_ == 0 ? 0 : p_.size() / classified_;
  std::size_t next = 0;  // of the classified
  for (const Rated& rated : rated_) {
    if (rated.failed) continue;
    const std::size_t row = columns * next++;
    if (length != Length::any && rated.length != length) continue;
    const Meaning label = meanings[rated.truth.label];
    if (label == kUnlabelled) continue;
    const std::optional<double> given = stars.compared(rated.truth.stars);
    if (columns > 0) {
      out.add(label, rated.called, std::span(p_).subspan(row, columns), rated.rating, given);
    } else {
      out.add_without_others(label, rated.called, rated.score, rated.rating, given);
    }
  }
  return out;
}

}  // namespace reviewrate::cli

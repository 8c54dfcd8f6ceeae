// Mistakes as jsonl and as text for people.
#include "eval_mistakes.h"

#include <algorithm>

#include "options.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/printable.h"
#include "reviewrate/terminal_text.h"
#include "reviewrate/text.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kShown = 5;
constexpr std::size_t kShownLines = 3;  // of each text
constexpr std::size_t kIndent = 4;

/// Gives out the texts of mistakes.
class MistakeSource : public Source {
 public:
  explicit MistakeSource(const std::vector<Mistake>& mistakes) : mistakes_(mistakes) {
    for (const Mistake& mistake : mistakes) bytes_ += mistake.text.size();
  }

  Status next(Review& review, bool) override {
    if (next_ == mistakes_.size()) return Status::end;
    review = Review();
    review.text = mistakes_[next_++].text;
    review.position = position_ += review.text.size();
    return Status::review;
  }
  std::uint64_t bytes_total() const override { return bytes_; }

 private:
  const std::vector<Mistake>& mistakes_;
  std::size_t next_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t position_ = 0;
};

/// Puts explanations to the mistakes, which come back in their order.
class ExplanationTaker : public Sink {
 public:
  ExplanationTaker(std::vector<Mistake>& mistakes, ProgressBar& bar) : mistakes_(mistakes), bar_(bar) {}

  void write(const Outcome& outcome) override {
    mistakes_[taken_++].explanation = outcome.prediction->explanation;
    position_ = outcome.review.position;
  }
  void flush() override { bar_.update(taken_, position_); }

  std::size_t taken() const { return taken_; }

 private:
  std::vector<Mistake>& mistakes_;
  ProgressBar& bar_;
  std::size_t taken_ = 0;
  std::uint64_t position_ = 0;
};

}  // namespace

void check_mistakes_file(const std::string& path) {
  const OutputName name = output_name(path);
  if (name.compression == Compression::none && name.format.value_or(OutputFormat::jsonl) == OutputFormat::jsonl) return;
  throw Error(ErrorKind::usage, "--mistakes " + path + ": is written as plain jsonl: name it so");
}

bool explain_mistakes(std::vector<Mistake>& mistakes, const Package& package, const PipelineOptions& options,
                      bool told) {
  MistakeSource source(mistakes);
  ProgressBar bar(source, told, InputOptions());
  ExplanationTaker taker(mistakes, bar);
  run_pipeline(source, *package.tokenizer, *package.model, taker, options);
  return taker.taken() == mistakes.size();
}

std::string mistakes_jsonl(const std::vector<Mistake>& mistakes, const MeasuredLabels& labels) {
  std::string out;
  for (const Mistake& m : mistakes) {
    out += "{\"id\": " + (m.id.json ? m.id.text : json_string(m.id.text)) +
           ", \"label\": " + json_string(labels.names[m.label]) +
           ", \"predicted\": " + json_string(labels.names[m.called]) +
           (m.p ? ", \"p_positive\": " + shortest(*m.p) : ", \"score\": " + shortest(m.score)) +
           ", \"stars\": " + (m.stars ? shortest(*m.stars) : "null") +
           ", \"tokens\": " + (m.tokens > 0 ? std::to_string(m.tokens) : "null") + ", \"text\": " + json_string(m.text);
    if (m.explanation) out += ", \"explanation\": " + explanation_json(*m.explanation, m.text);
    out += "}\n";
  }
  return out;
}

std::string mistakes_text(const EvalReport& r, std::size_t width) {
  if (r.mistakes.empty()) return "";
  const auto all = static_cast<std::size_t>(std::count(r.outcomes.begin(), r.outcomes.end(), '0'));
  std::string out = "\nThe surest of " + std::to_string(all) + " mistakes (all: --mistakes FILE)\n";
  for (std::size_t i = 0; i < std::min(kShown, r.mistakes.size()); ++i) {
    const Mistake& m = r.mistakes[i];
    out += printable(m.id.text) + "  label " + printable(r.labels.names[m.label]) +
           (m.stars ? ", stars " + shortest(*m.stars) : "") + "; model " + printable(r.labels.names[m.called]) + ' ' +
           fixed(m.score, 4) + '\n';
    std::vector<std::string> lines = wrapped(printable(m.text), std::max(width, 3 * kIndent) - kIndent);
    if (lines.size() > kShownLines) {
      lines.resize(kShownLines);
      lines.back() += "\xE2\x80\xA6";
    }
    for (const std::string& line : lines) out += std::string(kIndent, ' ') + line + '\n';
  }
  return out;
}

}  // namespace reviewrate::cli

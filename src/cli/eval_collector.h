// What eval keeps of each outcome until the labels of all of them are understood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval_report.h"
#include "labelled_source.h"
#include "reviewrate/metrics.h"
#include "reviewrate/pipeline.h"
#include "summary.h"

namespace reviewrate::cli {

/// The end of eval's pipeline. Labels and stars are kept as they were found, because of a stream their meaning is known
/// only at its end.
class EvalCollector : public Sink {
 public:
  /// `numbers`: of each label of the model its number among those that are measured, `labels`. `max_tokens` is what the
  /// model takes. With `every_mistake` all of them are kept with their whole texts; the labels' meaning has to be known
  /// then.
  EvalCollector(const MeasuredLabels& labels, std::vector<std::size_t> numbers, std::size_t max_tokens, Truths& truths,
                ProgressBar& bar, bool every_mistake = false)
      : labels_(labels),
        numbers_(std::move(numbers)),
        max_tokens_(max_tokens),
        truths_(truths),
        bar_(bar),
        every_mistake_(every_mistake) {}

  void write(const Outcome& outcome) override;
  void flush() override { bar_.update(rated_.size(), position_); }

  /// Reviews so far.
  std::size_t size() const { return rated_.size(); }

  /// Puts counts, outcomes, failures and mistakes into `report`, now that it is known what the labels mean, by their
  /// number.
  void report(const std::vector<Meaning>& meanings, EvalReport& report) const;

  /// The mistakes that were kept, the surest first.
  std::vector<Mistake> mistakes(const std::vector<Meaning>& meanings) const;

  enum class Length { any, within_limit, beyond_limit };

  /// The observations of the labelled reviews, of one length or any.
  Observations observations(const std::vector<Meaning>& meanings, const StarFindings& stars, Length length) const;

 private:
  struct Rated {
    Truth truth;
    double score = 0;  // of the label that it was given
    std::uint32_t called = 0;
    std::uint8_t rating = 0;      // 0: none
    Length length = Length::any;  // any: it is not known
    bool failed = false;
  };

  /// A mistake, if its label should turn out to be the other one.
  struct Candidate {
    std::size_t place;
    Mistake mistake;
  };

  void keep(const Outcome& outcome, const Rated& rated);
  bool is_binary() const { return labels_.task == Task::binary; }

  MeasuredLabels labels_;
  std::vector<std::size_t> numbers_;
  std::size_t max_tokens_;
  Truths& truths_;
  ProgressBar& bar_;
  bool every_mistake_;
  std::uint64_t position_ = 0;  // of the last review
  std::vector<Rated> rated_;
  std::size_t classified_ = 0;
  std::vector<double> p_;  // of the classified: binary that of the positive label; multiclass all, by their numbers
  std::vector<Failure> failures_;
  std::map<std::pair<std::size_t, std::size_t>, std::vector<Candidate>> surest_;  // by label and what it was called
};

}  // namespace reviewrate::cli

// Reviews with what is known of them: their labels, from a field or from the folder they lie in, and their stars.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "labels.h"
#include "reviewrate/input.h"
#include "reviewrate/sha256.h"
#include "stars.h"

namespace reviewrate::cli {

/// What is known of a review beside its text.
struct Truth {
  std::size_t label = 0;  ///< its number in the LabelColumn
  Stars stars;
  std::optional<Meaning> meaning = {};  ///< where it is known already
};

/// The truths of the reviews that are in the pipeline, in their order: one thread adds, another takes.
class Truths {
 public:
  void add(const Truth& truth);
  Truth take();

 private:
  std::mutex mutex_;
  std::deque<Truth> waiting_;
};

/// Where labels and stars are found, and how.
struct TruthFields {
  std::string label = "label";
  std::string stars;               ///< empty: only those in file names
  std::optional<StarScale> scale;  ///< of the stars, where it is known

  /// The fields to carry through.
  std::vector<std::string> pass() const;
};

/// Lets through the reviews that have a label, whose truth it adds to `truths`, and the failed ones.
class LabelledSource : public Source {
 public:
  /// With a `scheme` the meaning of labels is known: reviews without one are left out, and labels that it does not read
  /// are failures. Without, every label is let through, to be judged at the end.
  LabelledSource(Source& source, const TruthFields& fields, const LabelRules& rules, std::optional<NumberScheme> scheme,
                 Truths* truths);

  Status next(Review& review, bool may_block) override;
  void wake() override { source_.wake(); }
  std::uint64_t bytes_total() const override { return source_.bytes_total(); }
  InputFindings findings() const override { return source_.findings(); }

  /// Of the reviews so far. `meanings` are those of the labels, by their number.
  const LabelColumn& labels() const { return labels_; }
  std::size_t read() const { return read_; }      ///< all of them
  std::size_t failed() const { return failed_; }  ///< without a text or a label that can be read
  std::size_t unlabelled(const std::vector<Meaning>& meanings) const;
  StarFindings stars(const std::vector<Meaning>& meanings) const;

  /// Lines about the first few bad stars.
  std::vector<std::string> bad_stars(const std::vector<Meaning>& meanings) const;

  /// The field for stars was in some record, or not asked for.
  bool met_stars_field() const { return fields_.stars.empty() || met_stars_field_; }

  /// Records that classify wrote: how many have no text, and the id of the first that has text and the label that a
  /// model gave it.
  std::size_t bare_predictions() const { return bare_predictions_; }
  const std::optional<std::string>& labelled_prediction() const { return labelled_prediction_; }

  /// SHA-256 of ids, labels and texts; once only.
  std::string checksum(NumberScheme scheme);

 private:
  struct StarsOfLabel {
    StarCounts field;
    StarCounts names;
  };
  struct BadStars {
    Truth truth;
    std::string message;
  };
  struct Found {
    std::optional<std::string> label;  // empty: none
    bool is_folder = false;            // the label is a folder's name
    Stars stars;
    std::string stars_text;
  };

  Found find_truth(const Review& review);
  Found truth_of_path(const std::string& path) const;
  void note_prediction(const Review& review);
  void count_stars(const Review& review, const Truth& truth, const std::string& text);

  // The label's meaning by each of schemes_.
  std::vector<std::optional<Meaning>> meanings(const Found& found) const;

  void add_to_checksums(const Review& review, const std::vector<std::optional<Meaning>>& meanings);

  Source& source_;
  const TruthFields& fields_;
  const LabelRules& rules_;
  const std::vector<NumberScheme> schemes_;  // that are possible
  Truths* const truths_;                     // may be null
  LabelColumn labels_;
  std::vector<Sha256> checksums_;    // one for each of schemes_
  std::vector<StarsOfLabel> stars_;  // by label
  std::vector<BadStars> bad_stars_;
  std::size_t read_ = 0;
  std::size_t failed_ = 0;
  std::size_t blank_ = 0;
  std::size_t bare_predictions_ = 0;
  std::optional<std::string> labelled_prediction_;
  bool met_stars_field_ = false;
};

}  // namespace reviewrate::cli

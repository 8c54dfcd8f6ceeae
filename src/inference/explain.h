// Explanations: what a model makes of a review without some of its parts, and what each part contributes by that.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "reviewrate/batch.h"
#include "reviewrate/explanation.h"
#include "reviewrate/model.h"
#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// A review that is to be explained, as the model saw it.
struct ExplainedReview {
  ExplainUnit unit = ExplainUnit::sentences;
  std::string_view text;            ///< valid UTF-8
  std::span<const TokenId> ids;     ///< of the whole text, without special tokens
  std::span<const Window> windows;  ///< of the ids; they stay the same in every variant
};

/// How to explain.
struct ExplainOptions {
  std::size_t budget = 64;                     ///< the most variants of a review that the model sees; 2 or more
  std::size_t batch_tokens = 1024;             ///< variants share batches of about so many tokens
  std::size_t positive = 0;                    ///< index of the label whose log odds are explained
  const std::atomic<bool>* stopped = nullptr;  ///< once true there is no explanation any more
};

/// Explains by Shapley values: a review's parts are the players, and the value of some of them is the log odds of the
/// review in which the tokens of all others are left out, of the mean probability if there are several windows.
/// A sentence's words are players of two games, one without and one with all other sentences; a word contributes the
/// mean of both, adjusted so that they add up to the sentence's contribution.
class Explainer {
 public:
  Explainer(const Model& model, const Tokenizer& tokenizer, const ExplainOptions& options)
      : model_(model), tokenizer_(tokenizer), options_(options) {}

  /// The explanations of `reviews`, all but their remainders; empty if the run was stopped. The variants of all reviews
  /// share batches, which go through the model in parallel (on TBB's threads). Throws Error(model).
  std::optional<std::vector<Explanation>> explain(std::span<const ExplainedReview> reviews) const;

 private:
  struct Variant;
  struct Game;
  struct Sentence;

  /// The empty review's log odds.
  double base() const;
  /// The log odds of each; empty if the run was stopped.
  std::optional<std::vector<double>> values(std::span<const Variant> variants) const;
  /// The Shapley values of the players of each.
  std::optional<std::vector<std::vector<double>>> play(std::span<const Game> games) const;
  /// Looks into the sentences of largest contribution, as far as the budget goes; false if the run was stopped.
  bool explain_words(std::span<const ExplainedReview> reviews, std::vector<Explanation>& out) const;
  /// Adds the two games of a sentence's words; false if the budget or the text do not allow that. Neighbouring words of
  /// the `first` sentence are joined where the budget is too small for each.
  bool add_sentence(const ExplainedReview& review, Explanation& explanation, ExplainedPart& part, bool first,
                    std::vector<Game>& games, Sentence& sentence) const;

  const Model& model_;
  const Tokenizer& tokenizer_;
  ExplainOptions options_;
  mutable std::once_flag asked_for_base_;
  mutable double base_ = 0;
};

/// The log odds of label `positive` among the `probabilities`.
double log_odds(std::span<const double> probabilities, std::size_t positive);

}  // namespace reviewrate

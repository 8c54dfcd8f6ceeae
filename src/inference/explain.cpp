// Sentences are one game a review. The variants of all reviews are evaluated together.
#include "explain.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include "reviewrate/parts.h"
#include "reviewrate/rating.h"
#include "reviewrate/text.h"
#include "reviewrate/unicode.h"
#include "reviewrate/utf8.h"
#include "shapley.h"

namespace reviewrate {
namespace {

using Player = std::uint32_t;

/// A text's parts, and to which of them each of its tokens belongs.
struct Parts {
  std::vector<std::size_t> ends;  ///< in bytes
  std::vector<Player> of_token;
};

/// Gives each token its part by tokenizing each part by itself; nothing if the parts' tokens are not the whole's.
std::optional<std::vector<Player>> part_of_tokens(std::string_view text, const std::vector<std::size_t>& ends,
                                                  std::span<const TokenId> ids, const Tokenizer& tokenizer) {
  std::vector<TokenId> joined;
  std::vector<Player> parts;
  joined.reserve(ids.size());
  parts.reserve(ids.size());
  std::size_t begin = 0;
  for (Player part = 0; part < ends.size(); ++part) {
    tokenizer.encode(text.substr(begin, ends[part] - begin), joined);
    parts.resize(joined.size(), part);
    begin = ends[part];
  }
  if (!std::equal(joined.begin(), joined.end(), ids.begin(), ids.end())) return std::nullopt;
  return parts;
}

bool is_before_white_space(std::string_view text, std::size_t at) {
  return at == text.size() || is_white_space(decode_code_point(text.substr(at)).code_point);
}

/// Parts between which the tokenizer's words end, so that their tokens can be told apart. Not every tokenizer ends a
/// word at a tag; all do so at white space, or else there is but one part.
Parts split(std::string_view text, std::vector<std::size_t> ends, std::span<const TokenId> ids,
            const Tokenizer& tokenizer) {
  if (auto parts = part_of_tokens(text, ends, ids, tokenizer)) return {std::move(ends), std::move(*parts)};
  std::erase_if(ends, [&](std::size_t end) { return !is_before_white_space(text, end); });
  if (auto parts = part_of_tokens(text, ends, ids, tokenizer)) return {std::move(ends), std::move(*parts)};
  return {{text.size()}, std::vector<Player>(ids.size(), 0)};
}

/// Fills the places of the parts that end at `ends`, white space around them left out.
void place(std::string_view text, const std::vector<std::size_t>& ends, std::vector<ExplainedPart>& parts) {
  std::size_t at = 0;
  std::size_t characters = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const std::string_view part = text.substr(at, ends[i] - at);
    ExplainedPart& out = parts[i];
    const std::size_t length = trim_end(part).size();
    const std::size_t blanks = part.size() - trim_begin(part).size();
    out.begin_byte = at + blanks;
    out.end_byte = at + length;
    out.begin = characters + width_of(part.substr(0, blanks));
    out.end = out.begin + width_of(part.substr(blanks, length - blanks));
    characters += width_of(part);
    at = ends[i];
  }
}

/// Marks the players of the tokens that the model sees.
std::vector<bool> seen_players(const ExplainedReview& review, const Parts& parts) {
  std::vector<bool> seen(parts.ends.size());
  for (const Window& window : review.windows) {
    for (const TokenRange range : {window.first, window.second}) {
      for (std::size_t i = range.begin; i < range.end; ++i) seen[parts.of_token[i]] = true;
    }
  }
  return seen;
}

}  // namespace

double log_odds(std::span<const double> probabilities, std::size_t positive) {
  double other = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) other += i == positive ? 0 : probabilities[i];
  const double least = std::numeric_limits<double>::min();
  return std::log(std::max(probabilities[positive], least)) - std::log(std::max(other, least));
}

/// A review without the tokens of some players.
struct Explainer::Variant {
  const ExplainedReview* review;
  const std::vector<Player>* player_of_token;
  Coalition present;

  /// Tokens of a window that are left, without the special ones.
  std::size_t tokens(const Window& window) const {
    std::size_t count = 0;
    for (const TokenRange range : {window.first, window.second}) {
      for (std::size_t i = range.begin; i < range.end; ++i) count += present[(*player_of_token)[i]] ? 1U : 0U;
    }
    return count;
  }

  void add_to(Batch& batch, const Window& window, const Tokenizer& tokenizer) const {
    std::vector<TokenId> left;
    for (const TokenRange range : {window.first, window.second}) {
      for (std::size_t i = range.begin; i < range.end; ++i) {
        if (present[(*player_of_token)[i]]) left.push_back(review->ids[i]);
      }
    }
    batch.add(left, {{0, left.size()}, {}}, tokenizer);
  }
};

double Explainer::base() const {
  std::call_once(asked_for_base_, [this] {
    Batch batch;
    batch.add({}, Window(), tokenizer_);
    base_ = log_odds(softmax(model_.forward(batch)), options_.positive);
  });
  return base_;
}

std::optional<std::vector<double>> Explainer::values(std::span<const Variant> variants) const {
  struct Row {
    const Variant* variant;
    const Window* window;
  };
  std::vector<Row> rows;
  std::vector<std::size_t> batch_ends;
  std::size_t tokens = 0;
  for (const Variant& variant : variants) {
    for (const Window& window : variant.review->windows) {
      rows.push_back({&variant, &window});
      tokens += variant.tokens(window) + 2;
      if (tokens < options_.batch_tokens) continue;
      batch_ends.push_back(rows.size());
      tokens = 0;
    }
  }
  if (tokens > 0) batch_ends.push_back(rows.size());

  const std::size_t labels = model_.labels();
  std::vector<float> logits(rows.size() * labels);
  const auto stopped = [&] { return options_.stopped != nullptr && options_.stopped->load(); };
  // Who waits for these batches takes no other work of the run meanwhile.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(std::size_t{0}, batch_ends.size(), [&](std::size_t i) {
      if (stopped()) return;
      const std::size_t begin = i == 0 ? 0 : batch_ends[i - 1];
      Batch batch;
      for (std::size_t row = begin; row < batch_ends[i]; ++row) {
        rows[row].variant->add_to(batch, *rows[row].window, tokenizer_);
      }
      const std::vector<float> out = model_.forward(batch);
      std::copy(out.begin(), out.end(), logits.begin() + static_cast<std::ptrdiff_t>(begin * labels));
    });
  });
  if (stopped()) return std::nullopt;

  std::vector<double> result;
  std::size_t row = 0;
  for (const Variant& variant : variants) {
    std::vector<double> sum(labels);
    for (std::size_t i = 0; i < variant.review->windows.size(); ++i, ++row) {
      const std::vector<double> p = softmax(std::span<const float>(logits).subspan(row * labels, labels));
      for (std::size_t label = 0; label < labels; ++label) sum[label] += p[label];
    }
    result.push_back(log_odds(sum, options_.positive));
  }
  return result;
}

/// A game whose players are parts of a review.
struct Explainer::Game {
  const ExplainedReview* review;
  std::vector<Player> player_of_token;  ///< of tokens in no window: any
  std::vector<Coalition> design;        ///< nobody first, whose value is that of the empty review
};

std::optional<std::vector<std::vector<double>>> Explainer::play(std::span<const Game> games) const {
  std::vector<Variant> variants;
  for (const Game& game : games) {
    for (std::size_t i = 1; i < game.design.size(); ++i) {
      variants.push_back({game.review, &game.player_of_token, game.design[i]});
    }
  }
  const std::optional<std::vector<double>> all = values(variants);
  if (!all) return std::nullopt;
  std::vector<std::vector<double>> out;
  auto value = all->begin();
  for (const Game& game : games) {
    std::vector<double> own = {base()};
    for (std::size_t i = 1; i < game.design.size(); ++i) own.push_back(*value++);
    out.push_back(game.design.empty() ? std::vector<double>() : shapley_values(game.design, own));
  }
  return out;
}

std::optional<std::vector<Explanation>> Explainer::explain(std::span<const ExplainedReview> reviews) const {
  std::vector<Explanation> out(reviews.size());
  std::vector<Game> games;
  std::vector<std::vector<std::size_t>> parts_of_players(reviews.size());
  for (std::size_t r = 0; r < reviews.size(); ++r) {
    const ExplainedReview& review = reviews[r];
    Parts parts = split(review.text, sentence_ends(review.text), review.ids, tokenizer_);
    const std::vector<bool> seen = seen_players(review, parts);
    // Only what the model sees is a player.
    std::vector<Player> player_of_part(seen.size());
    for (std::size_t i = 0; i < seen.size(); ++i) {
      player_of_part[i] = static_cast<Player>(parts_of_players[r].size());
      if (seen[i]) parts_of_players[r].push_back(i);
    }
    for (Player& player : parts.of_token) player = player_of_part[player];
    out[r].base = base();
    out[r].parts.resize(parts.ends.size());
    place(review.text, parts.ends, out[r].parts);
    for (std::size_t i = 0; i < seen.size(); ++i) out[r].parts[i].seen = seen[i];
    const std::size_t players = parts_of_players[r].size();
    games.push_back({&review, std::move(parts.of_token),
                     players == 0 ? std::vector<Coalition>() : shapley_design(players, options_.budget + 1)});
    out[r].evaluations = players == 0 ? 0 : games.back().design.size() - 1;
  }
  const auto contributions = play(games);
  if (!contributions) return std::nullopt;
  for (std::size_t r = 0; r < reviews.size(); ++r) {
    for (std::size_t i = 0; i < parts_of_players[r].size(); ++i) {
      out[r].parts[parts_of_players[r][i]].contribution = (*contributions)[r][i];
    }
  }
  return out;
}

}  // namespace reviewrate

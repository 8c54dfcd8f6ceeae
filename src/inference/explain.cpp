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
    out.begin = characters + code_points_of(part.substr(0, blanks));
    out.end = out.begin + code_points_of(part.substr(blanks, length - blanks));
    characters += code_points_of(part);
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

/// A game whose players are parts of a review. Tokens of none of them have the number of players as theirs.
struct Explainer::Game {
  const ExplainedReview* review;
  std::vector<Player> player_of_token;  ///< of tokens in no window: any
  std::vector<Coalition> design;        ///< nobody first; empty: there are no players
  bool others = false;                  ///< tokens of no player take part

  /// The design without what is known: nobody, and nobody else, is the empty review.
  std::span<const Coalition> unknown() const {
    return std::span<const Coalition>(design).subspan(design.empty() || others ? 0 : 1);
  }
};

std::optional<std::vector<std::vector<double>>> Explainer::play(std::span<const Game> games) const {
  std::vector<Variant> variants;
  for (const Game& game : games) {
    for (Coalition present : game.unknown()) {
      present.push_back(game.others);
      variants.push_back({game.review, &game.player_of_token, std::move(present)});
    }
  }
  const std::optional<std::vector<double>> all = values(variants);
  if (!all) return std::nullopt;
  std::vector<std::vector<double>> out;
  auto value = all->begin();
  for (const Game& game : games) {
    std::vector<double> own;
    if (game.unknown().size() < game.design.size()) own.push_back(base());
    while (own.size() < game.design.size()) own.push_back(*value++);
    out.push_back(game.design.empty() ? std::vector<double>() : shapley_values(game.design, own));
  }
  return out;
}

namespace {

/// Joins neighbours so that at most `most` parts are left.
std::vector<std::size_t> joined(const std::vector<std::size_t>& ends, std::size_t most) {
  const std::size_t each = (ends.size() + most - 1) / most;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if ((i + 1) % each == 0 || i + 1 == ends.size()) out.push_back(ends[i]);
  }
  return out;
}

/// Makes the contributions of words add up to their sentence's; each gets of the difference what it has of the whole.
void adjust(std::vector<ExplainedPart>& words, double sum) {
  double size = 0;
  double difference = sum;
  for (const ExplainedPart& word : words) {
    size += std::abs(word.contribution);
    difference -= word.contribution;
  }
  const auto count = static_cast<double>(words.size());
  for (ExplainedPart& word : words) {
    word.contribution += difference * (size > 0 ? std::abs(word.contribution) / size : 1 / count);
  }
}

}  // namespace

/// The sentences of a review that are looked into, and their words.
struct Explainer::Sentence {
  ExplainedPart* part;
  std::size_t games;                 ///< one where there is no other sentence, else two
  std::vector<std::size_t> players;  ///< which of the part's words have them
};

bool Explainer::explain_words(std::span<const ExplainedReview> reviews, std::vector<Explanation>& out) const {
  std::vector<Game> games;
  std::vector<Sentence> sentences;
  for (std::size_t r = 0; r < reviews.size(); ++r) {
    if (reviews[r].unit != ExplainUnit::words) continue;
    std::vector<ExplainedPart*> by_size;
    for (ExplainedPart& part : out[r].parts) {
      if (part.seen) by_size.push_back(&part);
    }
    std::stable_sort(by_size.begin(), by_size.end(), [](const ExplainedPart* a, const ExplainedPart* b) {
      return std::abs(a->contribution) > std::abs(b->contribution);
    });
    for (ExplainedPart* part : by_size) {
      if (!add_sentence(reviews[r], out[r], *part, part == by_size.front(), games, sentences.emplace_back())) {
        sentences.pop_back();
        break;
      }
    }
  }
  const auto contributions = play(games);
  if (!contributions) return false;
  auto game = contributions->begin();
  for (const Sentence& sentence : sentences) {
    std::vector<ExplainedPart>& words = sentence.part->words;
    for (std::size_t g = 0; g < sentence.games; ++g, ++game) {
      for (std::size_t i = 0; i < game->size(); ++i) {
        words[sentence.players[i]].contribution += (*game)[i] / static_cast<double>(sentence.games);
      }
    }
    adjust(words, sentence.part->contribution);
  }
  return true;
}

bool Explainer::add_sentence(const ExplainedReview& review, Explanation& explanation, ExplainedPart& part, bool first,
                             std::vector<Game>& games, Sentence& sentence) const {
  // Without the others: all words and each alone; with them: none, all, and all but each.
  constexpr std::size_t kBesideWords = 3;
  const std::size_t left = options_.budget - std::min(options_.budget, explanation.evaluations);
  if (left < kBesideWords + 4) return false;
  const std::size_t most = (left - kBesideWords) / 2;

  // White space stands in front of what follows it, as between sentences; a tokenizer may see it at a text's end.
  const std::size_t begin = &part == &explanation.parts.front() ? 0 : (&part - 1)->end_byte;
  const std::size_t end = &part == &explanation.parts.back() ? review.text.size() : part.end_byte;
  std::vector<std::size_t> ends;
  if (begin > 0) ends.push_back(begin);
  const std::size_t front = ends.size();
  const std::vector<std::size_t> words = word_ends(review.text.substr(begin, end - begin));
  if (words.size() < 2 || (words.size() > most && !first)) return false;
  for (const std::size_t word : joined(words, most)) ends.push_back(begin + word);
  const std::size_t behind = ends.size();
  if (end < review.text.size()) ends.push_back(review.text.size());
  const Parts parts = split(review.text, ends, review.ids, tokenizer_);
  if (parts.ends != ends) return false;  // the tokenizer's words are others

  std::vector<ExplainedPart> all(ends.size());
  place(review.text, ends, all);
  const std::vector<bool> seen = seen_players(review, parts);
  std::vector<Player> player_of_part(ends.size());
  for (std::size_t i = front; i < behind; ++i) {
    all[i].seen = seen[i];
    if (!seen[i]) continue;
    player_of_part[i] = static_cast<Player>(sentence.players.size());
    sentence.players.push_back(i - front);
  }
  const std::size_t players = sentence.players.size();
  if (players < 2) return false;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (i < front || i >= behind || !seen[i]) player_of_part[i] = static_cast<Player>(players);
  }
  std::vector<Player> player_of_token;
  for (const Player of : parts.of_token) player_of_token.push_back(player_of_part[of]);

  const std::size_t games_before = games.size();
  if (std::count(player_of_token.begin(), player_of_token.end(), static_cast<Player>(players)) == 0) {
    games.push_back({&review, std::move(player_of_token), shapley_design(players, left + 1)});
  } else {
    std::vector<Coalition> alone = {Coalition(players, false), Coalition(players, true)};
    std::vector<Coalition> without = alone;
    for (std::size_t i = 0; i < players; ++i) {
      Coalition one(players, false);
      one[i] = true;
      alone.push_back(one);
      one.flip();
      without.push_back(std::move(one));
    }
    games.push_back({&review, player_of_token, std::move(alone), false});
    games.push_back({&review, std::move(player_of_token), std::move(without), true});
  }
  sentence.games = games.size() - games_before;
  for (std::size_t g = games_before; g < games.size(); ++g) explanation.evaluations += games[g].unknown().size();
  part.words.assign(all.begin() + static_cast<std::ptrdiff_t>(front),
                    all.begin() + static_cast<std::ptrdiff_t>(behind));
  sentence.part = &part;
  return true;
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
    const std::size_t budget = review.unit == ExplainUnit::words ? options_.budget / 2 : options_.budget;
    games.push_back({&review, std::move(parts.of_token),
                     players == 0 ? std::vector<Coalition>() : shapley_design(players, budget + 1)});
    out[r].evaluations = games.back().unknown().size();
  }
  const auto contributions = play(games);
  if (!contributions) return std::nullopt;
  for (std::size_t r = 0; r < reviews.size(); ++r) {
    for (std::size_t i = 0; i < parts_of_players[r].size(); ++i) {
      out[r].parts[parts_of_players[r][i]].contribution = (*contributions)[r][i];
    }
  }
  if (!explain_words(reviews, out)) return std::nullopt;
  return out;
}

}  // namespace reviewrate

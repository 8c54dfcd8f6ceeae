// From a text to the most probable sequence of pieces: literal special tokens, normalizing, words, and Viterbi's
// search in each word, as in models/unigram/model.rs and added_vocabulary.rs of `tokenizers`.
#include "reviewrate/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "reviewrate/error.h"
#include "reviewrate/unicode.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

/// What stands for a space, in pieces and at the start of every word: U+2581.
constexpr std::string_view kMark = "\u2581";

/// How much less probable an unknown character is than the least probable piece (kUnkPenalty in SentencePiece).
constexpr double kUnknownPenalty = 10;

/// Bounds the time that a text can take. SentencePiece makes pieces of at most 16 characters unless told otherwise.
constexpr std::size_t kMaxPieceBytes = 1024;

[[noreturn]] void fail(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::model, name + ": cannot be used: " + why);
}

TokenId required(const UnigramVocab& vocab, const std::string& text, const std::string& name) {
  const auto found = std::find_if(vocab.pieces.begin(), vocab.pieces.end(),
                                  [&](const ScoredPiece& piece) { return piece.text == text; });
  if (found == vocab.pieces.end()) fail(name, "it has no piece " + text);
  return static_cast<TokenId>(found - vocab.pieces.begin());
}

}  // namespace

UnigramTokenizer::UnigramTokenizer(UnigramVocab vocab, Charsmap charsmap, UnigramOptions options,
                                   const std::string& name)
    : vocab_(std::move(vocab)), charsmap_(std::move(charsmap)), options_(std::move(options)) {
  const std::size_t size = vocab_.pieces.size();
  const auto known = [size](TokenId id) { return id >= 0 && static_cast<std::size_t>(id) < size; };
  if (!known(vocab_.unknown)) fail(name, "it has no piece for what is unknown");
  double least = std::numeric_limits<double>::infinity();
  for (std::uint32_t id = 0; id < size; ++id) {
    const ScoredPiece& piece = vocab_.pieces[id];
    if (!std::isfinite(piece.score)) fail(name, "the score of piece " + std::to_string(id) + " is not a finite number");
    if (!piece.in_text) continue;
    if (piece.text.empty() || piece.text.size() > kMaxPieceBytes) {
      fail(name, "piece " + std::to_string(id) + " has " + std::to_string(piece.text.size()) + " bytes, not 1 to " +
                     std::to_string(kMaxPieceBytes));
    }
    if (std::string copy = piece.text; repair(copy) != 0) fail(name, "piece " + std::to_string(id) + " is not UTF-8");
    least = std::min(least, double{piece.score});
    sorted_.push_back(id);
  }
  if (sorted_.empty()) fail(name, "it has no pieces");
  unknown_score_ = least - kUnknownPenalty;
  begin_id_ = required(vocab_, options_.begin, name);
  end_id_ = required(vocab_, options_.end, name);
  for (const SpecialToken& special : options_.special_tokens) {
    if (special.text.empty() || !known(special.id)) fail(name, "it has no piece for the special token " + special.text);
  }

  const auto text = [this](std::uint32_t id) -> const std::string& { return vocab_.pieces[id].text; };
  std::sort(sorted_.begin(), sorted_.end(), [&](auto a, auto b) { return text(a) < text(b); });
  const auto twin =
      std::adjacent_find(sorted_.begin(), sorted_.end(), [&](auto a, auto b) { return text(a) == text(b); });
  if (twin != sorted_.end()) fail(name, "two pieces are " + text(*twin));
  for (std::size_t byte = 0; byte < first_byte_.size(); ++byte) {
    first_byte_[byte] = narrowed({0, sorted_.size()}, 0, static_cast<char>(byte));
  }
}

void UnigramTokenizer::encode(std::string_view text, std::vector<TokenId>& ids) const {
  std::string valid(text);
  repair(valid);
  split(valid, false, ids, [&](std::string_view segment) {
    const std::string normal = normalize(segment, options_.normalizer, charsmap_);
    split(normal, true, ids, [&](std::string_view part) { encode_normalized(part, ids); });
  });
}

/// Appends the ids of the special tokens in `text` and calls `segment` for what stands between them.
template <typename Segment>
void UnigramTokenizer::split(std::string_view text, bool normalized, std::vector<TokenId>& ids,
                             const Segment& segment) const {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const SpecialToken* special = special_token_at(text.substr(at), normalized);
    if (special == nullptr) {
      ++at;
      continue;
    }
    std::string_view before = text.substr(begin, at - begin);
    if (special->strip_left) before = trim_end(before);
    if (!before.empty()) segment(before);
    ids.push_back(special->id);
    at += special->text.size();
    begin = at;
  }
  if (begin < text.size()) segment(text.substr(begin));
}

/// The longest that `text` begins with, or nullptr.
const SpecialToken* UnigramTokenizer::special_token_at(std::string_view text, bool normalized) const {
  const SpecialToken* longest = nullptr;
  for (const SpecialToken& special : options_.special_tokens) {
    if (special.normalized == normalized && text.starts_with(special.text) &&
        (longest == nullptr || special.text.size() > longest->text.size())) {
      longest = &special;
    }
  }
  return longest;
}

void UnigramTokenizer::encode_normalized(std::string_view text, std::vector<TokenId>& ids) const {
  if (!options_.split_white_space) return encode_marked(text, ids);
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const DecodedChar decoded = decode_code_point(text.substr(at));
    if (is_white_space(decoded.code_point)) {
      encode_marked(text.substr(begin, at - begin), ids);
      begin = at + decoded.length;
    }
    at += decoded.length;
  }
  encode_marked(text.substr(begin), ids);
}

/// Puts marks for spaces and at the start, and cuts before each mark.
void UnigramTokenizer::encode_marked(std::string_view text, std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  std::string word(kMark);
  if (text.starts_with(kMark)) {
    text.remove_prefix(kMark.size());
  } else if (text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty()) {
    const bool space = text.front() == ' ';
    if (space || text.starts_with(kMark)) {
      encode_word(word, ids);
      word = kMark;
      text.remove_prefix(space ? 1 : kMark.size());
    } else {
      word += text.front();
      text.remove_prefix(1);
    }
  }
  encode_word(word, ids);
}

/// Of the pieces in `range`, which share their first `depth` bytes, those that go on with `byte`.
UnigramTokenizer::Range UnigramTokenizer::narrowed(Range range, std::size_t depth, char byte) const {
  // A piece that ends there comes before all others of its range.
  const auto next = [&](std::uint32_t id) {
    const std::string& text = vocab_.pieces[id].text;
    return depth < text.size() ? static_cast<unsigned char>(text[depth]) : -1;
  };
  const int wanted = static_cast<unsigned char>(byte);
  const auto at = [this](std::size_t index) { return sorted_.begin() + static_cast<std::ptrdiff_t>(index); };
  const auto begin = std::partition_point(at(range.begin), at(range.end), [&](auto id) { return next(id) < wanted; });
  const auto end = std::partition_point(begin, at(range.end), [&](auto id) { return next(id) == wanted; });
  return {static_cast<std::size_t>(begin - sorted_.begin()), static_cast<std::size_t>(end - sorted_.begin())};
}

/// Appends the ids of the best way to cut `word`; neighbouring unknown characters are one token.
void UnigramTokenizer::encode_word(std::string_view word, std::vector<TokenId>& ids) const {
  constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();
  /// The best way to a place in the word: its score, and its last piece.
  struct Way {
    double score = 0;
    std::size_t begin = kNowhere;
    TokenId id = 0;
  };
  std::vector<Way> ways(word.size() + 1);
  const auto offer = [&](std::size_t begin, std::size_t end, TokenId id, double score) {
    Way& way = ways[end];
    if (way.begin == kNowhere || score > way.score) way = {score, begin, id};
  };
  for (std::size_t begin = 0; begin < word.size();) {
    const double score = ways[begin].score;
    const std::size_t character = decode_code_point(word.substr(begin)).length;
    bool is_known = false;
    Range range = first_byte_[static_cast<unsigned char>(word[begin])];
    for (std::size_t length = 1; range.begin != range.end; ++length) {
      const std::uint32_t id = sorted_[range.begin];
      if (vocab_.pieces[id].text.size() == length) {
        offer(begin, begin + length, static_cast<TokenId>(id), score + double{vocab_.pieces[id].score});
        is_known = is_known || length == character;
      }
      if (begin + length == word.size()) break;
      range = narrowed(range, length, word[begin + length]);
    }
    if (!is_known) offer(begin, begin + character, vocab_.unknown, score + unknown_score_);
    begin += character;
  }

  const std::size_t ids_before = ids.size();
  for (std::size_t end = word.size(); end > 0; end = ways[end].begin) {
    const TokenId id = ways[end].id;
    if (id == vocab_.unknown && ids.size() > ids_before && ids.back() == id) continue;
    ids.push_back(id);
  }
  std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(ids_before), ids.end());
}

}  // namespace reviewrate

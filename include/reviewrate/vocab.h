// A WordPiece vocabulary: tokens by id, and the longest token at the start of a word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// The tokens of a vocab.txt, one a line; a token's id is the number of its line, from 0.
class Vocab {
 public:
  /// What find() gives for a token that is not there.
  static constexpr TokenId kAbsent = -1;

  /// What precedes the tokens that continue a word.
  static constexpr std::string_view kContinuation = "##";

  /// Part of a word that is a token.
  struct Match {
    std::size_t length = 0;  ///< bytes of the word; 0 where none matches
    TokenId id = kAbsent;
  };

  /// Takes the contents of a vocab.txt; `name` stands for it in errors. White space at the end of a line is not part of
  /// the token, and of equal tokens the last counts. Throws Error (model) if `text` is not UTF-8.
  Vocab(std::string text, std::string name);

  /// How many ids there are.
  std::size_t size() const { return tokens_.size(); }

  /// What the vocabulary is called in errors.
  const std::string& name() const { return name_; }

  /// The token with an id, which must be within 0..size()-1.
  std::string_view token(TokenId id) const {
    const Token& token = tokens_[static_cast<std::size_t>(id)];
    return std::string_view(text_).substr(token.begin, token.length);
  }

  /// The id of a token, or kAbsent.
  TokenId find(std::string_view token) const;

  /// The longest start of `word` that is a token; with `continues`, a token that kContinuation precedes.
  Match longest_prefix(std::string_view word, bool continues) const;

 private:
  struct Token {
    std::uint32_t begin;
    std::uint32_t length;
  };

  /// An open-addressing hash table entry; the rest of the hash saves most comparisons of texts.
  struct Slot {
    std::uint32_t hash = 0;
    TokenId id = kAbsent;
  };

  void add_tokens();
  void index_tokens();
  TokenId find(std::string_view prefix, std::string_view rest, std::uint64_t hash) const;

  std::string text_;
  std::string name_;
  std::vector<Token> tokens_;
  std::vector<Slot> slots_;
  int slot_shift_ = 0;
  std::size_t longest_token_ = 0;
};

}  // namespace reviewrate

// The tokenizer of BERT and DistilBERT models.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "reviewrate/tokenizer.h"
#include "reviewrate/unicode.h"
#include "reviewrate/vocab.h"

namespace reviewrate {

/// What a vocabulary's makers settled for it.
struct WordPieceOptions {
  bool lowercase = true;  ///< uncased: case and accents are folded away before look-up
};

/// Gives the ids of Hugging Face's BertTokenizerFast. Special tokens that stand literally in the text, such as "[SEP]",
/// count as such, as they do there.
class WordPieceTokenizer : public Tokenizer {
 public:
  /// Throws Error (model) if the vocabulary has no [UNK], [CLS] or [SEP].
  explicit WordPieceTokenizer(Vocab vocab, WordPieceOptions options = {});

  void encode(std::string_view text, std::vector<TokenId>& ids) const override;
  std::string_view token(TokenId id) const override { return vocab_.token(id); }
  std::size_t vocab_size() const override { return vocab_.size(); }
  TokenId unknown_id() const override { return unknown_id_; }
  TokenId begin_id() const override { return begin_id_; }
  TokenId end_id() const override { return end_id_; }

 private:
  class Word;

  /// What becomes of an ASCII character, worked out beforehand for speed.
  struct AsciiChar {
    CharClass char_class = CharClass::dropped;
    char folded = 0;
    TokenId isolated_id = 0;  ///< the id, where the class is isolated
  };

  struct SpecialToken {
    std::string_view text;
    TokenId id;
  };

  Folding normalize(char32_t code_point) const;
  const SpecialToken* special_token_at(std::string_view text) const;
  void add(FoldedChar folded, Word& word, std::vector<TokenId>& ids) const;
  void finish(Word& word, std::vector<TokenId>& ids) const;

  Vocab vocab_;
  WordPieceOptions options_;
  TokenId unknown_id_;
  TokenId begin_id_;
  TokenId end_id_;
  std::vector<SpecialToken> special_tokens_;
  std::array<AsciiChar, 128> ascii_;
};

}  // namespace reviewrate

// The tokenizer of ALBERT, XLM-RoBERTa and other models whose vocabulary SentencePiece made (unigram).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/tokenizer.h"
#include "reviewrate/unigram_normalizer.h"

namespace reviewrate {

/// A text that counts as one token wherever it stands, such as "[SEP]" or "<mask>".
struct SpecialToken {
  std::string text;
  TokenId id = 0;
  bool strip_left = false;  ///< the white space before it belongs to it
  bool normalized = false;  ///< looked for in the text's normal form rather than in the text as it stands
};

/// What a vocabulary's makers settled for it.
struct UnigramOptions {
  std::vector<NormalizerStep> normalizer;
  bool split_white_space = false;  ///< every kind of white space ends a word and is in none; else spaces alone do
  std::vector<SpecialToken> special_tokens;
  std::string begin;  ///< the piece that opens every window
  std::string end;    ///< the piece that closes it
};

/// A piece and the logarithm of its probability.
struct ScoredPiece {
  std::string text;
  float score = 0;
  bool in_text = true;  ///< may be cut out of a text; else it is only a name for its id
};

/// A vocabulary by id.
struct UnigramVocab {
  std::vector<ScoredPiece> pieces;
  TokenId unknown = 0;
};

/// Gives the ids of `tokenizers`' Unigram model with a Metaspace pre-tokenizer, which is what the fast tokenizers of
/// `transformers` make of a SentencePiece model. These are not quite SentencePiece's own: that one adds up scores in
/// float, and so breaks ties (as in "!!!!!") by chance, and normalizes across grapheme clusters.
class UnigramTokenizer : public Tokenizer {
 public:
  /// `name` is for messages. Throws Error(model).
  UnigramTokenizer(UnigramVocab vocab, Charsmap charsmap, UnigramOptions options, const std::string& name);

  void encode(std::string_view text, std::vector<TokenId>& ids) const override;
  std::string_view token(TokenId id) const override { return vocab_.pieces[static_cast<std::size_t>(id)].text; }
  std::size_t vocab_size() const override { return vocab_.pieces.size(); }
  TokenId unknown_id() const override { return vocab_.unknown; }
  TokenId begin_id() const override { return begin_id_; }
  TokenId end_id() const override { return end_id_; }

 private:
  /// Half-open range of sorted_.
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  template <typename Segment>
  void split(std::string_view text, bool normalized, std::vector<TokenId>& ids, const Segment& segment) const;
  const SpecialToken* special_token_at(std::string_view text, bool normalized) const;
  void encode_normalized(std::string_view text, std::vector<TokenId>& ids) const;
  void encode_marked(std::string_view text, std::vector<TokenId>& ids) const;
  void encode_word(std::string_view word, std::vector<TokenId>& ids) const;
  Range narrowed(Range range, std::size_t depth, char byte) const;

  UnigramVocab vocab_;
  Charsmap charsmap_;
  UnigramOptions options_;
  std::vector<std::uint32_t> sorted_;    ///< the pieces that may be in text, in the order of their bytes
  std::array<Range, 256> first_byte_{};  ///< where in sorted_ the pieces begin with each byte
  double unknown_score_ = 0;
  TokenId begin_id_ = 0;
  TokenId end_id_ = 0;
};

}  // namespace reviewrate

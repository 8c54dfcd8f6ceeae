// What BERT's normalizer and pre-tokenizer do to each code point, as the Hugging Face `tokenizers` package has it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace reviewrate {

/// The part that a code point plays in splitting text into words.
enum class CharClass : std::uint8_t {
  word,      ///< part of a word
  isolated,  ///< a word of its own: punctuation and CJK ideographs
  space,     ///< ends a word and is in none
  dropped,   ///< as if it were not there, so that its neighbours are joined: most control and format characters
};

/// A code point after folding, and its part.
struct FoldedChar {
  char32_t code_point;
  CharClass char_class;  ///< never dropped
};

/// What a code point becomes, in order; nothing if it is dropped.
class Folding {
 public:
  const FoldedChar* begin() const { return chars_.data(); }
  const FoldedChar* end() const { return chars_.data() + size_; }

  /// Adds a code point; a folding has at most three.
  void push_back(FoldedChar folded) { chars_[size_++] = folded; }

 private:
  std::array<FoldedChar, 3> chars_{};
  std::size_t size_ = 0;
};

/// The part that a Unicode scalar value plays as it stands, which is all that a cased model asks.
CharClass char_class(char32_t code_point);

/// What an uncased model makes of a Unicode scalar value: decomposed (NFD), nonspacing marks removed, lower case. Each
/// code point folds by itself: marks that stay are not put into canonical order, which only words of several rare marks
/// could tell.
Folding fold(char32_t code_point);

/// Whether a Unicode scalar value has the property White_Space.
bool is_white_space(char32_t code_point);

/// `text`, which must be valid UTF-8, without the White_Space at its beginning or its end.
std::string_view trim_begin(std::string_view text);
std::string_view trim_end(std::string_view text);

}  // namespace reviewrate

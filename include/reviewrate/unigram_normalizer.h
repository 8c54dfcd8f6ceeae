// What is done to a text before it is cut into SentencePiece pieces, as the Hugging Face `tokenizers` package does it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reviewrate {

/// One step from a text to its normal form; each is a normalizer, or two, of the `tokenizers` package.
enum class NormalizerStep {
  quotes,            ///< `` and '' become "
  unaccent,          ///< NFKD, then StripAccents
  lowercase,         ///< Lowercase
  charsmap,          ///< Precompiled: the table of rules that came with the SentencePiece model
  strip_right,       ///< Strip: no white space at the end
  merge_spaces,      ///< two and more spaces become one
  mark_long_spaces,  ///< two and more spaces become one U+2581
};

/// The name that manifests use, such as "strip-right".
std::optional<NormalizerStep> parse_normalizer_step(const std::string& name);

/// SentencePiece's precompiled table of normalization rules, looked up as `tokenizers` does it: by grapheme clusters.
class Charsmap {
 public:
  Charsmap() = default;

  /// `table` as in a SentencePiece model's normalizer_spec; `name` is for messages. Throws Error(model).
  Charsmap(const std::string& table, const std::string& name);

  /// `text`, which must be valid UTF-8, by the rules.
  std::string apply(std::string_view text) const;

 private:
  std::optional<std::string_view> find(std::string_view chunk) const;

  std::vector<std::uint32_t> trie_;  ///< a double array, as Darts lays it out
  std::string replacements_;         ///< each ended by a NUL
};

/// Applies the steps in their order to `text`, which must be valid UTF-8.
std::string normalize(std::string_view text, const std::vector<NormalizerStep>& steps, const Charsmap& charsmap);

}  // namespace reviewrate

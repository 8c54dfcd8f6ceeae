// Looks code points up in the generated tables of unicode_tables.inc.
//
// Two stages: kBlockOf gives the block of kBlockSize code points, and kBlocks its entries. An entry holds the CharClass
// of the code point in its low 2 bits and above them an index into kFoldings, or one of the two values below it. A
// folding is a run of numbers, each with a code point (21 bits), its CharClass (2 bits) and a bit that marks the last
// of the run. A code point that folds to nothing has one number of class dropped.
#include "reviewrate/unicode.h"

#include "reviewrate/utf8.h"

namespace reviewrate {

namespace {

#include "unicode_tables.inc"

constexpr std::uint32_t kFoldsToItself = 0;
constexpr std::uint32_t kFoldsAsHangul = 1;
constexpr std::uint32_t kLastOfFolding = 1U << 23;

std::uint32_t entry_of(char32_t code_point) {
  return kBlocks[kBlockOf[code_point / kBlockSize]][code_point % kBlockSize];
}

CharClass class_in(std::uint32_t bits) { return static_cast<CharClass>(bits & 3U); }

/// The jamo of a Hangul syllable (The Unicode Standard, section 3.12).
Folding fold_hangul(char32_t syllable) {
  constexpr char32_t kFinals = 28;
  constexpr char32_t kVowelsAndFinals = 21 * kFinals;
  const char32_t index = syllable - 0xAC00;
  Folding folding;
  folding.push_back({0x1100 + index / kVowelsAndFinals, CharClass::word});
  folding.push_back({0x1161 + index % kVowelsAndFinals / kFinals, CharClass::word});
  if (index % kFinals != 0) folding.push_back({0x11A7 + index % kFinals, CharClass::word});
  return folding;
}

}  // namespace

CharClass char_class(char32_t code_point) { return class_in(entry_of(code_point)); }

Folding fold(char32_t code_point) {
  const std::uint32_t entry = entry_of(code_point);
  const std::uint32_t index = entry >> 2;
  if (index == kFoldsAsHangul) return fold_hangul(code_point);

  Folding folding;
  if (index == kFoldsToItself) {
    if (class_in(entry) != CharClass::dropped) folding.push_back({code_point, class_in(entry)});
    return folding;
  }
  for (const std::uint32_t* folded = &kFoldings[index];; ++folded) {
    const CharClass folded_class = class_in(*folded >> 21);
    if (folded_class != CharClass::dropped) folding.push_back({*folded & 0x1FFFFFU, folded_class});
    if ((*folded & kLastOfFolding) != 0) return folding;
  }
}

bool is_white_space(char32_t code_point) {
  // The normalizer takes these three for control characters.
  const bool is_dropped_space = code_point == U'\v' || code_point == U'\f' || code_point == U'\x85';
  return is_dropped_space || char_class(code_point) == CharClass::space;
}

std::string_view trim_begin(std::string_view text) {
  while (!text.empty()) {
    const DecodedChar first = decode_code_point(text);
    if (!is_white_space(first.code_point)) break;
    text.remove_prefix(first.length);
  }
  return text;
}

std::string_view trim_end(std::string_view text) {
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0U) == 0x80U) --last;
    if (!is_white_space(decode_code_point(text.substr(last)).code_point)) break;
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace reviewrate

// The code points are those of the general categories Cc, Zl and Zp, and the invisible ones of Cf (UnicodeData.txt).
#include "reviewrate/printable.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

/// Stand apart from what is before and behind them, and so become a blank.
constexpr std::array<Range, 3> kSeparating = {{{0x00, 0x1F}, {0x7F, 0x9F}, {0x2028, 0x2029}}};

/// Take no room. Ascending.
constexpr std::array<Range, 17> kInvisible = {{{0xAD, 0xAD},          // soft hyphen
                                               {0x34F, 0x34F},        // combining grapheme joiner
                                               {0x61C, 0x61C},        // Arabic letter mark
                                               {0x115F, 0x1160},      // Hangul fillers
                                               {0x17B4, 0x17B5},      // Khmer inherent vowels
                                               {0x180B, 0x180F},      // Mongolian selectors and vowel separator
                                               {0x200B, 0x200F},      // zero-width space and joiners, LRM, RLM
                                               {0x202A, 0x202E},      // bidirectional embeddings and overrides
                                               {0x2060, 0x206F},      // word joiner, invisible operators, isolates
                                               {0x3164, 0x3164},      // Hangul filler
                                               {0xFEFF, 0xFEFF},      // byte order mark
                                               {0xFFA0, 0xFFA0},      // half-width Hangul filler
                                               {0xFFF9, 0xFFFB},      // interlinear annotation
                                               {0x13430, 0x1343F},    // Egyptian hieroglyph format controls
                                               {0x1BCA0, 0x1BCA3},    // shorthand format controls
                                               {0x1D173, 0x1D17A},    // musical format controls
                                               {0xE0000, 0xE0FFF}}};  // tags

template <std::size_t kSize>
bool is_in(const std::array<Range, kSize>& ranges, char32_t code_point) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return range.first <= code_point && code_point <= range.last; });
}

std::string clean(std::string_view text, bool keep_newlines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const DecodedChar c = decode_code_point(text);
    if (is_in(kSeparating, c.code_point)) {
      out += keep_newlines && c.code_point == U'\n' ? '\n' : ' ';
    } else if (!c.valid) {
      append_code_point(out, kReplacementCharacter);
    } else if (!is_in(kInvisible, c.code_point)) {
      out += text.substr(0, c.length);
    }
    text.remove_prefix(c.length);
  }
  return out;
}

}  // namespace

bool is_unprintable(char32_t code_point) { return is_in(kSeparating, code_point) || is_in(kInvisible, code_point); }

std::string printable(std::string_view text) { return clean(text, /*keep_newlines=*/false); }

std::string printable_lines(std::string_view text) { return clean(text, /*keep_newlines=*/true); }

std::string printable_json(std::string json) {
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) < 0x7FU; };
  if (std::all_of(json.begin(), json.end(), is_plain)) return json;
  std::string out;
  out.reserve(json.size());
  const auto append_unit = [&out](std::uint32_t unit) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[(unit >> static_cast<unsigned>(shift)) & 15U];
  };
  for (std::string_view rest = json; !rest.empty();) {
    const DecodedChar c = decode_code_point(rest);
    if (!c.valid || c.code_point < 0x7F || !is_unprintable(c.code_point)) {
      out += rest.substr(0, c.length);
    } else if (c.code_point < 0x10000) {
      append_unit(c.code_point);
    } else {  // a surrogate pair
      append_unit(0xD800 + ((c.code_point - 0x10000) >> 10U));
      append_unit(0xDC00 + ((c.code_point - 0x10000) & 0x3FFU));
    }
    rest.remove_prefix(c.length);
  }
  return out;
}

}  // namespace reviewrate

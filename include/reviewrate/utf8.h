// UTF-8 in and out, with Python's rule for what is not UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace reviewrate {

/// What stands for bytes that are not UTF-8.
inline constexpr char32_t kReplacementCharacter = U'\uFFFD';

/// The most bytes that a code point takes.
inline constexpr std::size_t kMaxCodePointBytes = 4;

/// One code point taken from the front of a text.
struct DecodedChar {
  char32_t code_point;  ///< kReplacementCharacter where the bytes are invalid
  std::size_t length;   ///< bytes taken, at least 1
  bool valid;           ///< false where the bytes are not UTF-8
};

/// Decodes the first code point of `text`, which must not be empty. Of invalid bytes it takes what Python's
/// `bytes.decode(errors="replace")` turns into one U+FFFD: the longest start of a valid sequence, or else one byte
/// (The Unicode Standard, section 3.9, "maximal subparts").
DecodedChar decode_code_point(std::string_view text);

/// Writes `code_point`, a Unicode scalar value, to `bytes`, which has room for kMaxCodePointBytes, and returns how many
/// bytes it took.
std::size_t encode_code_point(char32_t code_point, char* bytes);

/// Appends `code_point`, a Unicode scalar value, to `text`.
void append_code_point(std::string& text, char32_t code_point);

/// The beginning of `text`, which is valid, cut between code points: at most `bytes` of it.
std::string_view beginning_of(std::string_view text, std::size_t bytes);

/// The same with an ellipsis behind it where something is cut off.
std::string shortened(std::string_view text, std::size_t bytes);

/// Makes `text` valid UTF-8, as `bytes.decode(errors="replace")` does, and returns how many of its bytes were invalid.
std::size_t repair(std::string& text);

}  // namespace reviewrate

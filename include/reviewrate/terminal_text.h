// Text on a terminal: how wide it is, and lines that fit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reviewrate {

/// How many columns a valid text without control characters takes on a terminal: an ideograph two, a combining mark
/// none.
std::size_t width_of(std::string_view text);

/// The bytes of the longest beginning of `text` that takes at most `width` columns.
std::size_t bytes_within(std::string_view text, std::size_t width);

/// The words of `text`, which stand between blanks, in lines of at most `width` columns, above 1; a word that is wider
/// has lines of its own.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// `lines` with none wider than `width` columns: one that is, is broken at blanks, or where a word is wider than a
/// line, and goes on below, indented.
std::string fitted(std::string_view lines, std::size_t width);

}  // namespace reviewrate

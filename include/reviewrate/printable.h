// Text of any origin as it may be shown to people, on a terminal or a page.
#pragma once

#include <string>
#include <string_view>

namespace reviewrate {

/// Whether a terminal or a page obeys `code_point` instead of showing it: controls (C0, DEL, C1), line and paragraph
/// separators, bidirectional controls, zero-width and other invisible format characters.
bool is_unprintable(char32_t code_point);

/// `text` on one line and with nothing in it that a terminal would obey: controls and line separators become blanks,
/// bidirectional and zero-width characters go, bytes that are not UTF-8 become U+FFFD.
std::string printable(std::string_view text);

/// As printable(), line by line: newlines stay.
std::string printable_lines(std::string_view text);

/// JSON with the same value, where such characters stand as \uXXXX; JSON's own line breaks stay.
std::string printable_json(std::string json);

}  // namespace reviewrate

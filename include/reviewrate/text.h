// Numbers as text and small questions about text, the same everywhere in the program and whatever the locale.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reviewrate {

/// The shortest decimal number that reads back as `value`, as std::to_chars gives it: 1 for 1.0, 1e+100, inf, nan.
std::string shortest(double value);

/// `value` with exactly `digits` decimals, rounded half to even on its exact value.
std::string fixed(double value, int digits);

/// The same with its sign: "+1.20" or, with `minus` before it, "-0.35"; without one where only zeros are left, "0.00".
std::string signed_fixed(double value, int digits, std::string_view minus = "-");

/// "1 review", "0 reviews", "2 reviews": a count with its `noun`, whose plural has an s.
std::string counted(std::size_t count, std::string_view noun);

/// Whether there is nothing but ASCII white space in `text`.
bool is_blank(std::string_view text);

/// `text` without the blanks, tabs and line ends around it.
std::string_view trimmed(std::string_view text);

/// How many code points a valid text has.
std::size_t code_points_of(std::string_view text);

/// `text` as it may stand in HTML and XML, in attributes too: what XML cannot hold is replaced by U+FFFD.
std::string escape_markup(std::string_view text);

/// What the JSON library says is wrong, without its own "[json.exception.parse_error.101] " in front.
std::string json_complaint(std::string_view what);

/// Empties `text` and gives its memory back, which clear() and assigning an empty string do not.
inline void release(std::string& text) { std::string().swap(text); }

/// `text` with A-Z as a-z.
std::string ascii_lower(std::string text);

}  // namespace reviewrate

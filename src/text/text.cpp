// Numbers by std::to_chars, which knows no locale.
#include "reviewrate/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace reviewrate {
namespace {

// The longest is the largest double with all its 309 digits before the point, and more decimals than anyone asks for.
using Digits = std::array<char, 512>;

}  // namespace

std::string shortest(double value) {
  Digits digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

std::string fixed(double value, int digits) {
  Digits text;
  return {text.data(),
          std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits).ptr};
}

std::string signed_fixed(double value, int digits, std::string_view minus) {
  const std::string size = fixed(std::abs(value), digits);
  if (size.find_first_not_of("0.") == std::string::npos) return size;
  return std::string(value < 0 ? minus : "+") + size;
}

std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) + 1 - first);
}

std::size_t code_points_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string escape_markup(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n';
    const std::string_view three = text.substr(i, 3);
    if (control || three == "\xEF\xBF\xBE" || three == "\xEF\xBF\xBF") {
      out += "\xEF\xBF\xBD";  // U+FFFD
      if (!control) i += 2;
    } else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
      out += "&#" + std::to_string(c) + ";";
    } else {
      out += c;
    }
  }
  return out;
}

std::string json_complaint(std::string_view what) {
  const std::size_t end = what.starts_with("[json.exception.") ? what.find("] ") : what.npos;
  return std::string(end == what.npos ? what : what.substr(end + 2));
}

std::string ascii_lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace reviewrate

// Numbers by std::to_chars, which knows no locale.
#include "reviewrate/text.h"

#include <array>
#include <charconv>

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

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

std::string ascii_lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace reviewrate

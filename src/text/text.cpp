// Numbers by std::to_chars, which knows no locale.
#include "reviewrate/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cwchar>

#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

// The longest is the largest double with all its 309 digits before the point, and more decimals than anyone asks for.
using Digits = std::array<char, 512>;

/// Columns that a code point takes on a terminal, as the C library knows it of Unicode, whatever the user's locale.
std::size_t columns_of(char32_t code_point) {
  if (code_point < 0x80) return 1;
  static const locale_t kUnicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const locale_t before = ::uselocale(kUnicode);
  const int columns = ::wcwidth(static_cast<wchar_t>(code_point));
  ::uselocale(before);
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

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

std::size_t code_points_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (; !text.empty(); text.remove_prefix(decode_code_point(text).length)) {
    width += columns_of(decode_code_point(text).code_point);
  }
  return width;
}

std::size_t bytes_within(std::string_view text, std::size_t width) {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const DecodedChar c = decode_code_point(text.substr(bytes));
    const std::size_t columns = columns_of(c.code_point);
    if (columns > width) break;
    width -= columns;
    bytes += c.length;
  }
  return bytes;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::size_t used = width;  // of the last line
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return lines;
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    std::size_t length = width_of(word);
    while (length > width) {
      const std::size_t bytes = bytes_within(word, width);
      lines.emplace_back(word.substr(0, bytes));
      word.remove_prefix(bytes);
      length = width_of(word);
      used = width;
    }
    if (lines.empty() || used + 1 + length > width) {
      lines.emplace_back(word);
      used = length;
    } else {
      lines.back().append(" ").append(word);
      used += 1 + length;
    }
  }
}

std::string fitted(std::string_view lines, std::size_t width) {
  constexpr std::size_t kIndent = 2;  // of what goes on, beside that of its line
  width = std::max(width, 2 * kIndent);
  std::string out;
  while (!lines.empty()) {
    std::string_view line = lines.substr(0, lines.find('\n'));
    const bool ended = line.size() < lines.size();
    lines.remove_prefix(line.size() + (ended ? 1 : 0));
    const std::size_t blanks = std::min(line.find_first_not_of(' '), line.size());
    const std::size_t indent = std::min(blanks + kIndent, width / 2);
    std::size_t room = width;
    while (width_of(line) > room) {
      std::size_t end = bytes_within(line, room);
      // A blank may be the first of what does not fit.
      if (const std::size_t blank = line.rfind(' ', end); blank != line.npos) {
        const std::size_t last = line.find_last_not_of(' ', blank);
        if (last != line.npos) end = last + 1;
      }
      out.append(line.substr(0, end)).append("\n").append(indent, ' ');
      line.remove_prefix(end);
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      room = width - indent;
    }
    out.append(line).append(ended ? "\n" : "");
  }
  return out;
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

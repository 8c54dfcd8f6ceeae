// Widths are those of the C library, which follows Unicode.
#include "reviewrate/terminal_text.h"

#include <algorithm>
#include <clocale>
#include <cwchar>

#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

/// Columns that a code point takes on a terminal, as the C library knows it of Unicode, whatever the user's locale.
std::size_t columns_of(char32_t code_point) {
  if (code_point < 0x80) return 1;
  static const locale_t kUnicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const locale_t before = ::uselocale(kUnicode);
  const int columns = ::wcwidth(static_cast<wchar_t>(code_point));
  ::uselocale(before);
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

/// Where what goes on below a line begins: below the text of an indented line that is a name, two blanks and a text;
/// else `usual` columns behind the line's own beginning.
std::size_t indent_below(std::string_view line, std::size_t usual) {
  const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
  if (begin == 0) return usual;
  const std::size_t gap = line.find("  ", begin);
  const std::size_t text = gap == line.npos ? gap : line.find_first_not_of(' ', gap);
  return text == line.npos ? begin + usual : text;
}

}  // namespace

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
    const std::size_t indent = std::min(indent_below(line, kIndent), width / 2);
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

}  // namespace reviewrate

// The first line may be a header, or any record JSON; what is neither is plain lines.
#include "format_guess.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "content.h"
#include "line_splitter.h"
#include "readers.h"
#include "reviewrate/text.h"
#include "text_fields.h"

namespace reviewrate {
namespace {

constexpr std::array<char, 4> kDelimiters = {'\t', ',', ';', '|'};

struct RowEnd {
  std::size_t at;
  bool open;  // a quoted cell reaches the end of the text, or may
};

// Where the first row of the text ends: with its line, or, where a quoted cell has line breaks, with a later one.
// Quotes that do not stand around a whole cell are ordinary characters.
RowEnd find_row_end(std::string_view text) {
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string ends = std::string(kDelimiters.begin(), kDelimiters.end()) + '\n';
  for (std::size_t at = 0;; ++at) {
    if (text.substr(at).starts_with('"')) {
      do {
        at = text.find('"', at + 1);
        if (at == text.npos) return {line_end, true};
        ++at;
      } while (text.substr(at).starts_with('"'));
      if (at == text.size()) return {at, true};
      if (text[at] != '\r' && ends.find(text[at]) == ends.npos) return {line_end, false};
    }
    at = text.find_first_of(ends, at);
    if (at == text.npos) return {text.size(), false};
    if (text[at] == '\n') return {at, false};
  }
}

// The cells of a line; quotes around one are taken off.
std::vector<std::string> cells_of(std::string_view line, char delimiter) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == delimiter && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// Whether cells of which one has a usual name are a sentence all the same: "Content, if a little bored." Programs write
// no blank between two names of a header, and what a survey asks ("What did you like?", "Overall rating (1-5)") is a
// name there. Who types a header with blanks types words ("id, text, Star Rating"); a sentence goes on in lower case.
bool is_sentence(const std::vector<std::string>& cells, char delimiter) {
  const std::string_view last = trimmed(cells.back());
  const bool exclaims =
      std::any_of(cells.begin(), cells.end(), [](const auto& cell) { return trimmed(cell).ends_with('!'); });
  if (exclaims || (last.ends_with('.') && cells.size() == 2)) return true;
  const bool spaced = (delimiter == ',' || delimiter == ';') &&
                      std::any_of(cells.begin() + 1, cells.end(), [](const auto& cell) { return cell[0] == ' '; });
  if (!spaced) return false;
  const std::string_view first = trimmed(cells.front());
  const bool begins = is_usual_text_field(first) && !is_lower(first.front());
  const auto goes_on = [&](const std::string& cell) {
    constexpr std::ptrdiff_t kMostBlanks = 3;
    const std::string_view name = trimmed(cell);
    const std::ptrdiff_t blanks = std::count(name.begin(), name.end(), ' ');
    const bool lower = !name.empty() && is_lower(name.front());
    return blanks > kMostBlanks || (lower && (blanks > 0 || begins));
  };
  return last.ends_with('.') || last.ends_with('?') || std::any_of(cells.begin(), cells.end(), goes_on);
}

enum class FirstLine { text, header, like_header };

// Whether the cells name columns: --text-field's, or some that a column of reviews usually has. Of several usual ones
// none is the text, and the table's reader says so.
FirstLine judge_cells(const std::vector<std::string>& cells, char delimiter, const InputOptions& options) {
  std::vector<std::string> names;
  for (const std::string& cell : cells) names.emplace_back(trimmed(cell));
  const bool asked = options.text_field != InputOptions().text_field;
  if (asked) return find_text_fields(names, options).empty() ? FirstLine::text : FirstLine::header;
  if (count_usual_text_fields(names) == 0) return FirstLine::text;
  return is_sentence(cells, delimiter) ? FirstLine::like_header : FirstLine::header;
}

// Whether the text is a JSON array of nothing but strings, or, if there is `more`, begins so.
bool is_text_array(std::string_view text, bool more) {
  text = trimmed(without_mark(text));
  if (!text.starts_with('[')) return false;
  do {
    text = trimmed(text.substr(1));
    if (text.empty()) return more;
    if (text.front() != '"') return false;
    std::size_t end = 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) return more;
    text = trimmed(text.substr(end + 1));
    if (text.empty()) return more;
  } while (text.front() == ',');
  return text == "]";
}

// Whether some line could begin a JSON object or array; most plain text has none that could.
bool may_be_json(std::string_view text) {
  while (!text.empty()) {
    const std::size_t first = text.find_first_not_of(" \t\r\n\x1E\xEF\xBB\xBF");
    if (first == text.npos) return false;
    if (text[first] == '{' || text[first] == '[') return true;
    const std::size_t end = text.find('\n', first);
    if (end == text.npos) return false;
    text.remove_prefix(end);
  }
  return false;
}

// The beginning of content whose format no name tells.
struct Beginning {
  Beginning(std::string_view seen, bool more_to_come, const InputOptions& input_options)
      : bytes(seen), text(without_mark(seen)), more(more_to_come), options(input_options) {
    first = text.find_first_not_of(kSpaces);
    if (first == text.npos) return;
    const std::size_t line_begin = text.rfind('\n', first) + 1;  // 0 where there is none
    const std::size_t line_end = std::min(text.find('\n', first), text.size());
    line = trimmed(text.substr(line_begin, line_end - line_begin));
    behind = text.substr(line_end);
    whole_line = !behind.empty() || !more;
    const RowEnd row_end = find_row_end(text.substr(first));
    row = trimmed(text.substr(first, row_end.at));
    behind_row = text.substr(first + row_end.at);
    whole_row = whole_line && !(row_end.open && more);
  }

  char first_char() const { return text[first]; }
  bool begins_as_json() const { return first_char() == '{' || first_char() == '['; }

  std::string_view bytes;
  std::string_view text;  // without a mark
  bool more;              // there may be more of it
  const InputOptions& options;
  std::size_t first = 0;    // of its bytes that are no blanks; npos: there is none
  std::string_view line;    // in which that stands, without blanks around it
  std::string_view behind;  // that line, from its end on
  bool whole_line = false;
  std::string_view row;  // the line, and those into which its quoted cells go on
  std::string_view behind_row;
  bool whole_row = false;
};

// What the first line or row is where a delimiter stands in it, and that delimiter.
std::pair<FirstLine, char> judge_first_line(const Beginning& content) {
  std::pair judged(FirstLine::text, '\0');
  for (const std::string_view line : {content.line, content.row}) {
    for (const char delimiter : kDelimiters) {
      if (line.find(delimiter) == line.npos) continue;
      const FirstLine found = judge_cells(cells_of(line, delimiter), delimiter, content.options);
      if (found == FirstLine::header) return {found, delimiter};
      if (found == FirstLine::like_header) judged = {found, delimiter};
    }
  }
  return judged;
}

// Whether the cells may be names of columns of which none is a usual one for a text: short, and no two the same.
// Reviews go on in lower case where such names do not: "Good product,cheap", "Yes, I do".
bool are_short_names(const std::vector<std::string>& cells, char delimiter) {
  constexpr std::ptrdiff_t kMostBlanks = 3;
  const bool spaced =
      delimiter != '|' && std::any_of(cells.begin() + 1, cells.end(), [](const auto& cell) { return cell[0] == ' '; });
  if (cells.size() < (spaced ? 3 : 2)) return false;
  const bool first_has_blank = trimmed(cells.front()).find(' ') != std::string_view::npos;
  std::vector<std::string> names;
  for (const std::string& cell : cells) {
    const std::string_view name = trimmed(cell);
    if (name.empty()) continue;
    const auto front = static_cast<unsigned char>(name.front());
    const bool letter = std::isalpha(front) != 0 || front == '_' || front >= 0x80;
    const std::ptrdiff_t blanks =
        std::count_if(name.begin(), name.end(), [](char c) { return kSpaces.find(c) != kSpaces.npos; });
    const bool lower = is_lower(name.front()) && (blanks > 0 || first_has_blank || (spaced && &cell != &cells.front()));
    bool goes_on = false;
    for (std::size_t at = 1; spaced && at < name.size(); ++at) {
      goes_on = goes_on || (name[at - 1] == ' ' && is_lower(name[at]));
    }
    if (!letter || blanks > kMostBlanks || name.ends_with('.') || name.ends_with('!') || lower || goes_on) return false;
    names.push_back(ascii_lower(std::string(name)));
    if (std::find(names.begin(), names.end() - 1, names.back()) != names.end() - 1) return false;
  }
  return !names.empty();
}

// Whether there are rows, and each has at least so many delimiters. The last may be cut off if there is `more`.
bool rows_have(std::string_view rows, char delimiter, std::ptrdiff_t delimiters, bool more) {
  bool any = false;
  while (!rows.empty()) {
    const std::size_t end = find_row_end(rows).at;
    if (end == rows.size() && more) break;
    const std::string_view row = rows.substr(0, end);
    rows.remove_prefix(std::min(end + 1, rows.size()));
    if (trimmed(row).empty()) continue;
    if (std::count(row.begin(), row.end(), delimiter) < delimiters) return false;
    any = true;
  }
  return any;
}

// The rules by which content tells its format. Each gives one, or automatic where more must be seen, or nothing.
using Guess = std::optional<InputFormat>;

Guess by_blanks(const Beginning& content) {
  if (content.first != content.text.npos) return std::nullopt;
  return content.more ? InputFormat::automatic : InputFormat::lines;
}

// As Excel writes it in front of a table.
Guess by_named_delimiter(const Beginning& content) {
  const bool named =
      content.whole_line && content.line.size() == 5 && ascii_lower(std::string(content.line)).starts_with("sep=");
  return named && content.options.header ? Guess(InputFormat::csv) : std::nullopt;
}

// A header goes before JSON, because the cells below it may hold anything.
Guess by_header(const Beginning& content) {
  if (!content.options.header || !content.whole_line || content.begins_as_json()) return std::nullopt;
  const auto [line, delimiter] = judge_first_line(content);
  if (line != FirstLine::header) return content.whole_row ? std::nullopt : Guess(InputFormat::automatic);
  return delimiter == '\t' ? InputFormat::tsv : InputFormat::csv;
}

// A name alone is a header only if there is more than it. Its table's rows may hold commas, with quotes around them or
// without, which is a tsv.
Guess by_lone_name(const Beginning& content) {
  if (!content.options.header || !content.whole_line || content.begins_as_json()) return std::nullopt;
  if (judge_cells(cells_of(content.line, '\t'), '\t', content.options) != FirstLine::header) return std::nullopt;
  if (!trimmed(content.behind).empty()) return InputFormat::tsv;
  return content.more ? Guess(InputFormat::automatic) : std::nullopt;
}

Guess by_json(const Beginning& content) {
  if (!may_be_json(content.bytes)) return std::nullopt;
  const bool whole = !content.more && content.bytes.size() < kLookAhead;
  const JsonEvidence evidence = json_evidence(content.bytes, whole, content.options);
  if (evidence.objects > 0 || evidence.damaged > 0 || (evidence.begun && !content.more)) return InputFormat::jsonl;
  const bool may_become = evidence.open && content.more && (evidence.begun || evidence.others == 0);
  return may_become ? Guess(InputFormat::automatic) : std::nullopt;
}

Guess by_whole_line(const Beginning& content) {
  return content.whole_line ? std::nullopt : Guess(InputFormat::automatic);
}

// What is left of JSON when its syntax is broken, or its end is missing.
Guess by_remains_of_json(const Beginning& content) {
  const std::string_view text = content.text;
  const std::string_view line = content.line;
  const bool only_brackets = text.find_first_not_of(" \t\r\n[{") == text.npos && trimmed(text).size() > 1;
  const std::string_view second = trimmed(text.substr(content.first + 1));
  const bool array_of_values =
      content.first_char() == '[' && !second.empty() && std::string_view("[{\"").find(second[0]) != second.npos;
  const bool object_without_quotes = line.starts_with('{') && line.ends_with('}') && line.find(':') != line.npos;
  const bool broken = has_json_member(content.bytes, content.options.text_field) || only_brackets || array_of_values ||
                      object_without_quotes ||
                      (content.begins_as_json() && content.bytes.find("\":") != content.bytes.npos);
  return broken ? Guess(InputFormat::jsonl) : std::nullopt;
}

// In their order: the first that says something decides.
constexpr std::array kRules = {by_blanks, by_named_delimiter, by_header,         by_lone_name,
                               by_json,   by_whole_line,      by_remains_of_json};

}  // namespace

bool is_mostly_json(std::string_view beginning, bool more, const InputOptions& options) {
  if (is_text_array(beginning, more)) return true;
  const JsonEvidence evidence = json_evidence(beginning, false, options);
  return ((evidence.begun || evidence.objects > 0) && evidence.others == 0) ||
         (evidence.texts > 0 && evidence.texts >= evidence.others);
}

InputFormat guess_format(std::string_view beginning, bool more, const InputOptions& options) {
  const Beginning content(beginning, more, options);
  for (const auto& rule : kRules) {
    if (const Guess guess = rule(content)) return *guess;
  }
  return InputFormat::lines;
}

bool is_like_header(std::string_view beginning, const InputOptions& options) {
  const Beginning content(beginning, false, options);
  return options.header && judge_first_line(content).first == FirstLine::like_header;
}

bool is_like_table(std::string_view beginning, bool more, const InputOptions& options) {
  const Beginning content(beginning, more, options);
  return content.whole_row && std::any_of(kDelimiters.begin(), kDelimiters.end(), [&](char delimiter) {
           const std::vector<std::string> cells = cells_of(content.row, delimiter);
           const auto delimiters = static_cast<std::ptrdiff_t>(cells.size()) - 1;
           return are_short_names(cells, delimiter) && rows_have(content.behind_row, delimiter, delimiters, more);
         });
}

}  // namespace reviewrate

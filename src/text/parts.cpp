// One pass over the text; what lies behind a place is looked at once, what lies before it never farther than a word.
#include "reviewrate/parts.h"

#include <algorithm>
#include <array>
#include <string>

#include "reviewrate/text.h"
#include "reviewrate/unicode.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

/// A name or a number follows them.
constexpr std::array<std::string_view, 26> kBeforeNames = {
    "approx", "capt", "col", "dept", "dr",  "eg",   "esp", "fig", "gen", "hon", "ie", "incl", "lt",
    "mr",     "mrs",  "ms",  "mt",   "mme", "prof", "rev", "sgt", "st",  "vol", "vs", "cf",   "viz"};

/// They may end a sentence, unless a small letter follows.
constexpr std::array<std::string_view, 8> kAnywhere = {"bros", "co", "corp", "etc", "inc", "jr", "ltd", "sr"};

template <std::size_t kSize>
bool is_one_of(const std::array<std::string_view, kSize>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::u32string_view kStops = U".!?\u2026\u203C\u2047\u2048\u2049\u061F\u06D4\u0964";
constexpr std::u32string_view kWideStops = U"\u3002\uFF01\uFF1F";  // no blank follows them
constexpr std::u32string_view kClosing = U"\"')]*_\u2019\u201D\u00BB\u300D\u300F\uFF09";

bool is_in(std::u32string_view set, char32_t code_point) { return set.find(code_point) != std::u32string_view::npos; }

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Whether it is part of what a sentence says: letters, digits, ideographs, emoji, but no punctuation.
bool says_something(char32_t c) {
  const bool ideograph = (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) || c >= 0x20000;
  return ideograph || char_class(c) == CharClass::word;
}

/// What every tokenizer takes for the end of a word; form feeds and their like are dropped by some.
bool is_blank(char32_t code_point) { return char_class(code_point) == CharClass::space; }

/// How many bytes at the front of `text` are blanks.
std::size_t leading_blanks(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const DecodedChar c = decode_code_point(text.substr(length));
    if (!is_blank(c.code_point)) break;
    length += c.length;
  }
  return length;
}

/// The length of the <br>, <br/> or <br /> that `text` begins with; 0: it does not.
std::size_t line_break_tag(std::string_view text) {
  if (text.size() < 4 || text[0] != '<' || (text[1] | 0x20) != 'b' || (text[2] | 0x20) != 'r') return 0;
  std::size_t at = 3;
  if (text[at] == ' ') ++at;
  if (at < text.size() && text[at] == '/') ++at;
  return at < text.size() && text[at] == '>' ? at + 1 : 0;
}

/// Whether `text`, which begins with a line's end, goes on with an empty line.
bool is_empty_line(std::string_view text) {
  const std::size_t next = text.find_first_not_of(" \t\r", 1);
  return next != std::string_view::npos && text[next] == '\n';
}

/// Whether the one stop between `before` and `after` ends no sentence.
bool abbreviates(std::string_view before, std::string_view after) {
  constexpr std::size_t kLongest = 8;
  std::size_t begin = before.size();
  while (begin > 0 && before.size() - begin <= kLongest &&
         (is_ascii_letter(before[begin - 1]) || before[begin - 1] == '.')) {
    --begin;
  }
  const std::string word = ascii_lower(std::string(before.substr(begin)));
  if (word.empty() || word.size() > kLongest) return false;
  if (begin > 0 && static_cast<unsigned char>(before[begin - 1]) >= 0x80) return false;  // the end of a longer word
  if (word.size() == 1) return word != "i";
  if (is_one_of(kBeforeNames, word) || word == "e.g" || word == "i.e") return true;
  const bool may_end = is_one_of(kAnywhere, word) || word.find('.') != std::string::npos;
  const std::size_t next = leading_blanks(after);
  return may_end && next < after.size() && after[next] >= 'a' && after[next] <= 'z';
}

/// Collects the ends.
class Ends {
 public:
  explicit Ends(std::string_view text) : text_(text) {}

  void saw(char32_t code_point) { says_ = says_ || says_something(code_point); }

  /// A sentence ends here, if there is one; else the one before goes on to here.
  void end(std::size_t at) {
    if (says_) {
      ends_.push_back(at);
    } else if (!ends_.empty()) {
      ends_.back() = at;
    }
    says_ = false;
  }

  std::vector<std::size_t> take() {
    if (says_ || ends_.empty()) {
      if (!trim_begin(text_).empty()) ends_.push_back(text_.size());
    } else {
      ends_.back() = text_.size();
    }
    return std::move(ends_);
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> ends_;
  bool says_ = false;
};

}  // namespace

std::vector<std::size_t> sentence_ends(std::string_view text) {
  Ends ends(text);
  std::size_t at = 0;
  const auto next = [&] { return decode_code_point(text.substr(at)); };
  while (at < text.size()) {
    const std::size_t begin = at;
    const DecodedChar c = next();
    if (const std::size_t tag = line_break_tag(text.substr(at)); tag > 0) {
      ends.end(at += tag);
    } else if (is_in(kWideStops, c.code_point)) {
      at += c.length;
      while (at < text.size() && (is_in(kWideStops, next().code_point) || is_in(kClosing, next().code_point))) {
        at += next().length;
      }
      ends.end(at);
    } else if (is_in(kStops, c.code_point)) {
      bool only_dots = true;
      for (; at < text.size() && is_in(kStops, next().code_point); at += next().length) {
        only_dots = only_dots && (text[at] == '.' || next().code_point == U'\u2026');
      }
      const bool one_dot = text.substr(begin, at - begin) == ".";
      while (at < text.size() && is_in(kClosing, next().code_point)) at += next().length;
      const std::string_view rest = text.substr(at);
      const std::size_t blanks = leading_blanks(rest);
      if (!rest.empty() && blanks == 0) continue;  // inside a word, or a tag follows, which ends the sentence itself
      const bool small = blanks < rest.size() && rest[blanks] >= 'a' && rest[blanks] <= 'z';
      if (one_dot ? !abbreviates(text.substr(0, begin), rest) : !(only_dots && small)) ends.end(at);
    } else {
      if (c.code_point == U'\n' && is_empty_line(text.substr(at))) ends.end(at);
      ends.saw(c.code_point);
      at += c.length;
    }
  }
  return ends.take();
}

std::vector<std::size_t> word_ends(std::string_view text) {
  std::vector<std::size_t> ends;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t tag = line_break_tag(text.substr(at)); tag > 0) {
      at += tag;
      in_word = line_break_tag(text.substr(at)) > 0;
      if (!in_word) ends.push_back(at);
      continue;
    }
    const DecodedChar c = decode_code_point(text.substr(at));
    const bool blank = is_blank(c.code_point);
    if (blank && in_word) ends.push_back(at);
    in_word = !blank;
    at += c.length;
  }
  if (in_word) ends.push_back(text.size());
  if (!ends.empty()) ends.back() = text.size();
  return ends;
}

}  // namespace reviewrate

// What the reader of JSON may be in the middle of, what may come next, and where in the input it is.
#pragma once

#include <algorithm>
#include <cstddef>

namespace reviewrate {

/// What the reader is in the middle of.
enum class JsonState {
  between,         ///< records
  value,           ///< must come
  value_or_close,  ///< after [
  key,             ///< must come
  key_or_close,    ///< after {
  colon,           ///< must come
  comma,           ///< or a closing bracket must come
  token,           ///< in a number or word
  string,
  escape,         ///< behind the back slash
  hex,            ///< in the four digits of \u
  after,          ///< a record, on its last line
  after_comma,    ///< behind it
  line_rest,      ///< passed over: in a bad line
  brackets,       ///< passed over: in a bad record whose brackets still count
  quoted,         ///< in a string there
  quoted_escape,  ///< in an escape there
  lines,          ///< passed over: up to one that starts a record
};

/// Whether it is in a record that is not bad so far.
inline bool in_record(JsonState state) { return state != JsonState::between && state < JsonState::line_rest; }

/// Whether `c` may stand in a number or word.
inline bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
}

/// Whether `c` may come next in a state between two tokens; `in_object`: the innermost open bracket is {.
inline bool fits(JsonState state, bool in_object, char c) {
  switch (state) {
    case JsonState::value_or_close:
      if (c == ']') return true;
      [[fallthrough]];
    case JsonState::value:
      return c == '{' || c == '[' || c == '"' || is_token_char(c);
    case JsonState::key_or_close:
      if (c == '}') return true;
      [[fallthrough]];
    case JsonState::key:
      return c == '"';
    case JsonState::colon:
      return c == ':';
    default:
      return c == ',' || c == (in_object ? '}' : ']');
  }
}

/// What must come next, in words.
inline const char* expected(JsonState state, bool in_object) {
  switch (state) {
    case JsonState::value_or_close:
    case JsonState::value:
      return "a value";
    case JsonState::key_or_close:
    case JsonState::key:
      return "a name in double quotes";
    case JsonState::colon:
      return "a colon";
    default:
      return in_object ? "a comma or }" : "a comma or ]";
  }
}

/// The next byte of the block that is being read, and its place in the input.
struct JsonCursor {
  const char* begin = nullptr;  ///< of the block
  const char* at = nullptr;     ///< the next byte
  const char* end = nullptr;    ///< of the block
  std::size_t offset = 0;       ///< of the block in the input
  std::size_t line = 1;
  std::size_t line_offset = 0;
  bool fresh_line = true;  ///< nothing but blanks so far
  std::size_t indent = 0;  ///< how many those were, in the line of the last byte that was none

  std::size_t position() const { return offset + static_cast<std::size_t>(at - begin); }
  std::size_t column() const { return position() - line_offset + 1; }

  /// Goes on to the next byte that is not blank; false if there is none yet.
  bool skip_blanks() {
    for (; at != end; ++at) {
      if (*at == '\n') {
        ++line;
        line_offset = position() + 1;
        fresh_line = true;
      } else if (*at != ' ' && *at != '\t' && *at != '\r') {
        if (fresh_line) indent = position() - line_offset;
        return true;
      }
    }
    return false;
  }

  /// The same within the line: goes on to its end at most.
  bool skip_blanks_of_line() {
    while (at != end && (*at == ' ' || *at == '\t' || *at == '\r')) ++at;
    return at != end;
  }

  /// Goes on to the end of the line, or of the block.
  void skip_line() { at = std::find(at, end, '\n'); }
};

}  // namespace reviewrate

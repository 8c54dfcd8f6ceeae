// JSON as people have it: a line each, over several lines, one value behind the other, or in an array. It is parsed by
// code of our own, because no library's parser says where the next record begins behind a broken one: at a line's first
// { that is indented no deeper than the broken record; within a line, behind its closed brackets.
#include <algorithm>
#include <utility>

#include "json_grammar.h"
#include "json_members.h"
#include "json_text.h"
#include "line_splitter.h"

namespace reviewrate {
namespace {

class JsonReader final : public FieldsReader {
 public:
  JsonReader(Origin origin, const InputOptions& options)
      : FieldsReader(std::move(origin), options),
        members_(options),
        bound_(6 * options.max_review_bytes + kOtherFields) {}

  bool next(std::string_view& input, bool last, Review& review) override {
    cursor_.begin = cursor_.at = input.data();
    cursor_.end = cursor_.begin + input.size();
    bool made = false;
    while (!made && cursor_.at != cursor_.end) made = step(review);
    if (!made && last) made = finish(review);
    cursor_.offset += static_cast<std::size_t>(cursor_.at - cursor_.begin);
    input.remove_prefix(static_cast<std::size_t>(cursor_.at - cursor_.begin));
    return made;
  }

  std::size_t waiting() const override {
    return in_record(state_) ? std::min(cursor_.offset - record_offset_, bound_) : 0;
  }

  JsonEvidence evidence() const {
    JsonEvidence evidence = evidence_;
    evidence.open = in_record(state_) || (in_array_ && !lost_);
    evidence.begun = in_record(state_) && has_key_;
    return evidence;
  }

 private:
  using State = JsonState;

  // Takes at least one byte, or changes the state. True: `review` was filled.
  bool step(Review& review) {
    switch (state_) {
      case State::between:
        return between(review);
      case State::string:
        return string(review);
      case State::escape:
        return escape(review);
      case State::hex:
        return hex(review);
      case State::token:
        return token(review);
      case State::after:
      case State::after_comma:
        return after(review);
      case State::line_rest:
        return line_rest();
      case State::brackets:
        return brackets();
      case State::quoted:
      case State::quoted_escape:
        return quoted();
      case State::lines:
        return lines();
      default:
        return structure(review);
    }
  }

  bool between(Review& review) {
    if (mark_ == 0 && !cursor_.skip_blanks()) return false;
    if (*cursor_.at == kBom[mark_] && (mark_ > 0 || cursor_.fresh_line)) {
      mark_ = (mark_ + 1) % kBom.size();
      ++cursor_.at;
      if (mark_ == 0) cursor_.line_offset = cursor_.position();
      return false;
    }
    if (mark_ > 0) {  // it was none
      mark_ = 0;
      begin_record();
      return syntax_error(review, "a value must stand here");
    }
    cursor_.fresh_line = false;
    // \x1E separates records in RFC 7464; commas are taken as they come.
    if (*cursor_.at == ',' || *cursor_.at == '\x1E') {
      ++cursor_.at;
    } else if (*cursor_.at == '[' && !in_array_) {
      in_array_ = true;
      array_line_ = cursor_.line;
      ++cursor_.at;
    } else if (*cursor_.at == ']' && (in_array_ || lost_)) {
      in_array_ = false;
      ++cursor_.at;
    } else {
      begin_record();
      return structure(review);
    }
    return false;
  }

  void begin_record() {
    members_.clear();
    brackets_.clear();
    repaired_ = 0;
    in_line_ = cursor_.line == record_line_ ? in_line_ + 1 : 1;
    record_line_ = cursor_.line;
    record_offset_ = cursor_.position();
    record_indent_ = cursor_.indent;
    flat_ = many_lines_ = text_in_array_ = has_key_ = false;
    is_object_ = cursor_.at != cursor_.end && *cursor_.at == '{';
    state_ = State::value;
  }

  // Whether the next byte, a {, starts another record and not a part of this one: it is the first of a line that is
  // indented no deeper than this record. Where nothing is indented, only what may follow can tell.
  bool starts_record() const {
    const bool may_be_value = state_ == State::value || state_ == State::value_or_close || state_ == State::brackets;
    return cursor_.fresh_line && cursor_.indent <= record_indent_ && !(flat_ && may_be_value);
  }

  // Everything but strings and words.
  bool structure(Review& review) {
    if (!cursor_.skip_blanks()) return false;
    const char c = *cursor_.at;
    // A line that starts another record, or goes on as no record would, behind one that should have been whole.
    const bool cut = c == '{' ? starts_record()
                              : cursor_.fresh_line && !many_lines_ && cursor_.indent <= record_indent_ &&
                                    !fits(state_, in_object(), c);
    if (cut && cursor_.position() > record_offset_) {
      left_line_ = c == '{' && state_ == State::value && in_object() ? record_line_ : 0;
      state_ = State::between;
      return fail_record(review, "json",
                         "not valid JSON: it is not closed before line " + std::to_string(cursor_.line));
    }
    cursor_.fresh_line = false;
    if (c == '\'' && state_ == State::key_or_close) has_key_ = true;  // as Python shows its objects
    if (!fits(state_, in_object(), c))
      return syntax_error(review, std::string(expected(state_, in_object())) + " must stand here");
    // Whoever writes { alone on its line and does not indent what follows may write every { so.
    if (state_ == State::key_or_close && brackets_.size() == 1 && cursor_.line > record_line_) {
      flat_ = cursor_.indent <= record_indent_;
    }
    many_lines_ = many_lines_ || cursor_.line > record_line_;
    if (c == '{' || c == '[') return too_long() ? fail_size(review) : open(c);
    if (c == '}' || c == ']') return close(review);
    if (c == '"') return begin_string(state_ == State::key || state_ == State::key_or_close);
    if (c == ',' || c == ':') {
      ++cursor_.at;
      state_ = c == ',' && brackets_.back() == '{' ? State::key : State::value;
      return false;
    }
    token_.clear();
    token_column_ = cursor_.column();
    state_ = State::token;
    return false;
  }

  bool in_object() const { return !brackets_.empty() && brackets_.back() == '{'; }

  bool open(char bracket) {
    members_.open(bracket);
    brackets_ += bracket;
    ++cursor_.at;
    state_ = bracket == '{' ? State::key_or_close : State::value_or_close;
    return false;
  }

  bool close(Review& review) {
    members_.close(*cursor_.at);
    brackets_.pop_back();
    ++cursor_.at;
    return end_value(review);
  }

  bool end_value(Review& review) {
    if (too_long()) return fail_size(review);
    state_ = brackets_.empty() ? State::after : State::comma;
    return false;
  }

  bool begin_string(bool is_key) {
    is_key_ = is_key;
    has_key_ = has_key_ || is_key;
    string_.begin(is_key ? members_.wants_key() : members_.wants_value());
    ++cursor_.at;
    state_ = State::string;
    return false;
  }

  bool string(Review& review) {
    const std::string_view plain(cursor_.at, plain_length({cursor_.at, cursor_.end}));
    string_.append(plain);
    cursor_.at += plain.size();
    if (too_long()) return fail_size(review);
    if (cursor_.at == cursor_.end) return false;
    if (*cursor_.at == '"') {
      ++cursor_.at;
      return end_string(review);
    }
    if (*cursor_.at == '\n') return syntax_error(review, "a line ends within a string");
    if (*cursor_.at != '\\')
      return syntax_error(review, "a control character stands in a string, where it must be escaped");
    ++cursor_.at;
    state_ = State::escape;
    return false;
  }

  bool end_string(Review& review) {
    repaired_ += string_.end();
    if (is_key_) {
      if (string_.kept()) members_.key(string_.text());
      state_ = State::colon;
      return false;
    }
    if (string_.kept()) members_.string(string_.text());
    if (brackets_.empty() && in_array_) text_in_array_ = true;
    return end_value(review);
  }

  bool escape(Review& review) {
    if (*cursor_.at == 'u') {
      hex_digits_ = 0;
      state_ = State::hex;
    } else {
      if (!string_.append_escape(*cursor_.at)) return syntax_error(review, "there is no such escape");
      state_ = State::string;
    }
    ++cursor_.at;
    return false;
  }

  bool hex(Review& review) {
    if (!string_.append_hex(*cursor_.at)) return syntax_error(review, "a hexadecimal digit must stand here");
    ++cursor_.at;
    if (++hex_digits_ == 4) state_ = State::string;
    return false;
  }

  bool token(Review& review) {
    const char* const begin = cursor_.at;
    while (cursor_.at != cursor_.end && is_token_char(*cursor_.at)) ++cursor_.at;
    token_.append(begin, cursor_.at);
    if (too_long()) return fail_size(review);
    return cursor_.at == cursor_.end ? false : end_token(review);
  }

  bool end_token(Review& review) {
    // As Python writes what JSON has no word for.
    if (token_ == "NaN" || token_ == "Infinity" || token_ == "-Infinity") {
      if (members_.wants_value()) ++tally_.nonfinite;
      token_ = "null";
    }
    if (token_ != "null" && token_ != "true" && token_ != "false" && !is_number(token_)) {
      return syntax_error(review, "there is no such value", token_column_);
    }
    members_.scalar(token_);
    return end_value(review);
  }

  // What follows a record on its line decides whether it was one: {"text":"He said "}" to me"} is no record and more.
  bool after(Review& review) {
    if (!(left_line_ > 0 ? cursor_.skip_blanks() : cursor_.skip_blanks_of_line())) return false;
    const char c = *cursor_.at;
    if (left_line_ > 0 && cursor_.fresh_line && c != ',') return end_doubtful(c, review);
    const bool array = in_array_ || lost_;
    if (state_ == State::after && c == ',' && (array || is_object_)) {
      ++cursor_.at;
      state_ = State::after_comma;
      return false;
    }
    bool ends = c == '\n' || c == '\x1E' || (c == ']' && array);
    if (state_ == State::after) {
      ends = ends || (c == '{' && is_object_);
    } else if (array) {
      ends = ends || c == '{' || c == '[' || is_token_char(c) || (c == '"' && !is_object_);
    }
    return ends ? end_record(review) : syntax_error(review, "other text follows the value");
  }

  // The record before this one was left behind a colon. If this is the value there, another member or that record's end
  // follows in the next line; a record of its own is followed by another one or by nothing.
  bool end_doubtful(char next, Review& review) {
    if (next != '"' && next != '}') return end_record(review);
    state_ = State::between;
    const std::string line = std::to_string(std::exchange(left_line_, 0));
    return fail_record(review, "json",
                       "not valid JSON: it seems to be a part of the record that begins in line " + line);
  }

  bool end_record(Review& review) {
    state_ = State::between;
    left_line_ = 0;
    if (!is_object_) {
      if (text_in_array_) ++evidence_.objects;
      return fail_record(review, "json", R"(valid JSON, but not an object such as {"text": "..."})");
    }
    if (!members_.names().empty()) ++evidence_.objects;
    decide_text_field();
    if (has_text(members_.fields())) ++evidence_.texts;
    review.repaired = repaired_;
    if (assemble(members_.fields(), record_line_, review)) return true;
    review = Review();
    return false;
  }

  // By the first record that has one.
  void decide_text_field() {
    decided_ = decided_ || has_text(members_.fields());
    if (decided_) return;
    std::vector<std::string> found = members_.find_text();
    if (found.empty()) return;
    tell_text_field(found, options_);
    text_guessed_ = found.size() == 1;
    text_fields_ = std::move(found);
    decided_ = true;
  }

  bool too_long() const { return cursor_.position() - record_offset_ > bound_; }

  bool fail_size(Review& review) {
    pass_over();
    return fail_record(review, "size", "the record is too long to hold a text that is not " + too_large(options_));
  }

  bool syntax_error(Review& review, const std::string& reason) {
    return syntax_error(review, reason, cursor_.column());
  }

  // The record is bad, and its brackets may still tell where it ends.
  bool syntax_error(Review& review, const std::string& reason, std::size_t at_column) {
    if (too_long()) return fail_size(review);
    const std::string line = cursor_.line == record_line_ ? "" : "line " + std::to_string(cursor_.line) + ", ";
    pass_over();
    return fail_record(review, "json",
                       "not valid JSON: " + line + "column " + std::to_string(at_column) + ": " + reason);
  }

  // Chooses how to go on behind what is bad, and keeps nothing of it.
  void pass_over() {
    const bool in_string = state_ == State::string || state_ == State::escape || state_ == State::hex;
    left_line_ = 0;
    open_brackets_ = brackets_.size();
    for (std::string* text : {&string_.text(), &token_, &brackets_}) release(*text);
    members_ = JsonMembers(options_);
    state_ = open_brackets_ == 0 ? State::line_rest : in_string ? State::quoted : State::brackets;
    if (state_ == State::line_rest) lost_ = lost_ || in_array_;
  }

  bool fail_record(Review& review, const std::string& kind, const std::string& reason) {
    if (kind == "json") ++evidence_.others;
    if (kind == "json" && has_key_) ++evidence_.damaged;
    set_id(review, record_line_);
    fail(review, record_line_, kind, reason);
    return true;
  }

  bool line_rest() {
    cursor_.skip_line();
    if (cursor_.at != cursor_.end) state_ = State::between;
    return false;
  }

  bool brackets() {
    if (!cursor_.skip_blanks()) return false;
    if (*cursor_.at == '{' && starts_record()) {
      state_ = State::between;
      return false;
    }
    cursor_.fresh_line = false;
    const char c = *cursor_.at++;
    if (c == '"') state_ = State::quoted;
    if (c == '{' || c == '[') ++open_brackets_;
    if ((c == '}' || c == ']') && --open_brackets_ == 0) state_ = State::between;
    return false;
  }

  bool quoted() {
    if (state_ == State::quoted_escape) {
      if (*cursor_.at != '\n') ++cursor_.at;
      state_ = State::quoted;
      return false;
    }
    const std::size_t length = plain_length({cursor_.at, cursor_.end});
    cursor_.at += length;
    if (cursor_.at == cursor_.end) return false;
    if (*cursor_.at == '\n') {  // no string of JSON goes on in another line, so there is no telling what is one here
      state_ = State::lines;
      lost_ = true;
      any_indent_ = cursor_.line == record_line_;
      return false;
    }
    if (*cursor_.at == '"') state_ = State::brackets;
    if (*cursor_.at == '\\') state_ = State::quoted_escape;
    ++cursor_.at;
    return false;
  }

  bool lines() {
    if (!cursor_.skip_blanks()) return false;
    if (cursor_.fresh_line && *cursor_.at == '{' && (any_indent_ || cursor_.indent <= record_indent_)) {
      state_ = State::between;
      return false;
    }
    cursor_.fresh_line = false;
    cursor_.skip_line();
    return false;
  }

  // At the end of the input.
  bool finish(Review& review) {
    if (state_ == State::token && end_token(review)) return true;
    if ((state_ == State::after || state_ == State::after_comma) && end_record(review)) return true;
    if (mark_ > 0) begin_record();
    if (in_record(state_)) {
      mark_ = 0;
      state_ = State::between;
      lost_ = true;
      if (too_long()) return fail_size(review);
      return fail_record(review, "json", "not valid JSON: the input ends within it");
    }
    if (in_array_ && !lost_) {
      in_array_ = false;
      begin_record();
      state_ = State::between;
      return fail_record(review, "json",
                         "the array that begins in line " + std::to_string(array_line_) +
                             " is not closed: records may be missing behind this one");
    }
    return false;
  }

  void set_id(Review& review, std::size_t line) const override {
    FieldsReader::set_id(review, line);
    if (in_line_ > 1) review.id.text += "#" + std::to_string(in_line_);
  }

  std::string field_names() const override { return members_.names(); }

  JsonMembers members_;
  const std::size_t bound_;  // of a record as written
  State state_ = State::between;

  JsonCursor cursor_;
  std::size_t mark_ = 0;  // how much of a byte order mark was read

  bool in_array_ = false;  // of records
  std::size_t array_line_ = 0;
  bool lost_ = false;  // something was passed over in which the array may have ended

  // The current record.
  std::size_t record_line_ = 0;
  std::size_t in_line_ = 0;  // how many records begin in that line, this one included; it is part of their ids
  std::size_t record_offset_ = 0;
  std::size_t record_indent_ = 0;
  bool is_object_ = false;
  bool many_lines_ = false;
  bool flat_ = false;          // they are not indented
  std::size_t left_line_ = 0;  // where the last one begins, if that was left behind a colon; this may be a part of it
  std::string brackets_;       // those that are open
  std::size_t repaired_ = 0;
  std::size_t open_brackets_ = 0;  // once it is bad
  bool any_indent_ = false;        // whatever line begins with { starts the next record

  // The current string or token.
  JsonString string_;
  bool is_key_ = false;
  std::size_t hex_digits_ = 0;
  std::string token_;
  std::size_t token_column_ = 0;

  bool decided_ = false;  // which fields are the text
  JsonEvidence evidence_;
  bool text_in_array_ = false;
  bool has_key_ = false;  // or the beginning of one
};

}  // namespace

std::unique_ptr<RecordReader> open_json(Origin origin, const InputOptions& options) {
  return std::make_unique<JsonReader>(std::move(origin), options);
}

JsonEvidence json_evidence(std::string_view bytes, bool last, const InputOptions& options) {
  InputOptions silent = options;
  silent.notify = [](const std::string&) {};
  JsonReader reader({}, silent);
  Review review;
  while (reader.next(bytes, last, review)) review = Review();
  return reader.evidence();
}

}  // namespace reviewrate

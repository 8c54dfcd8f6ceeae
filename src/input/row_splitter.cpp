// One pass over each row by a state machine that stops where the pushed bytes stop and goes on there.
#include "row_splitter.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "line_splitter.h"

namespace reviewrate {
namespace {

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// Where the first line of `bytes` ends, from `from` on; npos if it does not.
std::size_t find_line_end(std::string_view bytes, std::size_t from) {
  const auto found = std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), is_line_end);
  return found == bytes.end() ? std::string_view::npos : static_cast<std::size_t>(found - bytes.begin());
}

}  // namespace

std::size_t line_ends(std::string_view bytes) {
  std::size_t count = 0;
  for (std::size_t at = bytes.find('\n'); at != std::string_view::npos; at = bytes.find('\n', at + 1)) ++count;
  for (std::size_t at = bytes.find('\r'); at != std::string_view::npos; at = bytes.find('\r', at + 1)) {
    count += at + 1 == bytes.size() || bytes[at + 1] != '\n' ? 1 : 0;
  }
  return count;
}

// Where in an unquoted cell the next byte is that ends it or escapes another, else the end of `row`.
std::size_t RowSplitter::find_special(std::string_view row, std::size_t at) const {
  const std::array<char, 4> special = {'\n', '\r', dialect_.delimiter, dialect_.escape.value_or('\n')};
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t eight_bytes = 0;
  for (; at + sizeof eight_bytes <= row.size(); at += sizeof eight_bytes) {
    std::memcpy(&eight_bytes, row.data() + at, sizeof eight_bytes);
    std::uint64_t found = 0;
    for (const char c : special) {
      // The lowest byte that is 0 in `difference` has its high bit set in the end; and none has if none is 0.
      const std::uint64_t difference = eight_bytes ^ (kOnes * static_cast<unsigned char>(c));
      found |= (difference - kOnes) & ~difference & (kOnes << 7);
    }
    if (found != 0) break;
  }
  while (at < row.size() && std::find(special.begin(), special.end(), row[at]) == special.end()) ++at;
  return at;
}

void RowSplitter::push(std::string_view bytes) {
  buffer_.erase(0, row_);
  row_ = 0;
  buffer_ += bytes;
}

RowSplitter::Status RowSplitter::next(bool last) {
  if (!in_row_ && !begin_row(last)) return Status::more;
  const std::string_view row = std::string_view(buffer_).substr(row_, bound_);
  while (at_ < row.size()) {
    if (const std::optional<Status> status = step(row)) return *status;
  }
  if (row.size() == bound_) return fail(Trouble::Kind::size);
  return last ? finish() : Status::more;
}

std::optional<std::string_view> RowSplitter::peek_line(bool last) {
  if (!begin_row(last)) return std::nullopt;
  in_row_ = false;
  const std::string_view row = std::string_view(buffer_).substr(row_, bound_);
  const std::size_t end = find_line_end(row, peeked_);
  peeked_ = end == std::string_view::npos ? row.size() : end;
  if (end == std::string_view::npos && !last && row.size() < bound_) return std::nullopt;
  return row.substr(0, end);
}

void RowSplitter::drop_line() {
  skipping_ = true;
  peeked_ = 0;
}

// Goes to the first byte of a row; false if it is not there yet.
bool RowSplitter::begin_row(bool last) {
  if (skipping_ && !skip_line()) return false;
  for (;;) {
    const std::string_view rest = std::string_view(buffer_).substr(row_);
    if (rest.empty()) return false;
    if (is_line_end(rest.front())) {
      end_line(rest.front());
      ++row_;
    } else if (rest.starts_with(kBom)) {
      row_ += kBom.size();
      after_cr_ = false;
    } else if (!last && kBom.starts_with(rest)) {
      return false;
    } else {
      break;
    }
  }
  after_cr_ = false;
  at_ = 0;
  state_ = State::start;
  slices_.clear();
  cell_count_ = 0;
  in_row_ = true;
  return true;
}

bool RowSplitter::skip_line() {
  const std::size_t end = find_line_end(buffer_, row_);
  if (end == std::string::npos) {
    row_ = buffer_.size();
    return false;
  }
  row_ = end + 1;
  end_line(buffer_[end]);
  skipping_ = false;
  return true;
}

// Counts a line whose end stands before row_.
void RowSplitter::end_line(char line_end) {
  if (!(after_cr_ && line_end == '\n')) ++line_;
  after_cr_ = line_end == '\r';
}

// Looks at one byte, or at a run of them that are nothing special where they stand.
std::optional<RowSplitter::Status> RowSplitter::step(std::string_view row) {
  const char c = row[at_];
  switch (state_) {
    case State::start:
      begin_ = at_;
      unescape_ = false;
      if (dialect_.quoting && c == '"') {
        state_ = State::quoted;
        ++at_;
        break;
      }
      state_ = State::unquoted;
      [[fallthrough]];
    case State::unquoted:
      at_ = find_special(row, at_);
      if (at_ == row.size()) break;
      if (row[at_] != dialect_.escape) return close_cell(begin_, at_);
      state_ = State::escaped;
      unescape_ = true;
      ++at_;
      break;
    case State::escaped:
      state_ = c == '\r' ? State::escaped_cr : State::unquoted;
      ++at_;
      break;
    case State::escaped_cr:
      state_ = State::unquoted;
      if (c == '\n') ++at_;
      break;
    case State::quoted:
      if (dialect_.escape) {
        while (at_ < row.size() && row[at_] != '"' && row[at_] != *dialect_.escape) ++at_;
      } else {
        at_ = std::min(row.size(), row.find('"', at_));
      }
      if (at_ == row.size()) break;
      if (row[at_] == '"') {
        state_ = State::behind_quote;
        close_ = at_;
      } else {
        state_ = State::quoted_escape;
        unescape_ = true;
      }
      ++at_;
      break;
    case State::quoted_escape:
      state_ = State::quoted;
      ++at_;
      break;
    case State::behind_quote:
      if (c == '"') {
        state_ = State::quoted;
        unescape_ = true;
        ++at_;
        break;
      }
      if (c == dialect_.delimiter || is_line_end(c)) return close_cell(begin_ + 1, close_);
      // Blanks are padding, but not behind a cell that spans lines: such a one has to close without a doubt.
      if (find_line_end(row.substr(0, close_), begin_) != std::string_view::npos) {
        return fail(Trouble::Kind::text_behind_quote);
      }
      state_ = State::behind_blanks;
      [[fallthrough]];
    case State::behind_blanks:
      if (c == dialect_.delimiter || is_line_end(c)) return close_cell(begin_ + 1, close_);
      if (c != ' ' && c != '\t') return fail(Trouble::Kind::text_behind_quote);
      ++at_;
      break;
  }
  return std::nullopt;
}

// At a delimiter or line end.
std::optional<RowSplitter::Status> RowSplitter::close_cell(std::size_t begin, std::size_t end) {
  add_cell(begin, end);
  state_ = State::start;
  if (!is_line_end(buffer_[row_ + at_])) {
    ++at_;
    return std::nullopt;
  }
  end_row();
  return Status::row;
}

// The end of the input in the middle of a row.
RowSplitter::Status RowSplitter::finish() {
  switch (state_) {
    case State::quoted:
    case State::quoted_escape:
      return fail(Trouble::Kind::open_quote);
    case State::behind_quote:
    case State::behind_blanks:
      add_cell(begin_ + 1, close_);
      break;
    case State::start:  // behind a delimiter
      begin_ = at_;
      unescape_ = false;
      [[fallthrough]];
    default:
      add_cell(begin_, at_);
  }
  end_row();
  return Status::row;
}

void RowSplitter::add_cell(std::size_t begin, std::size_t end) {
  if (++cell_count_ <= max_cells_) slices_.push_back({begin, end, begin != begin_, unescape_});
}

// At a line end or the end of the input, which is left to begin_row().
void RowSplitter::end_row() {
  bytes_ = std::string_view(buffer_).substr(row_, at_);
  cells_.clear();
  for (const Slice& slice : slices_) {
    cells_.push_back(cell_text(slice));
  }
  row_line_ = line_;
  last_line_ = line_ += line_ends(bytes_);
  row_ += at_;
  in_row_ = false;
}

std::string RowSplitter::cell_text(const Slice& slice) const {
  std::string_view rest = bytes_.substr(slice.begin, slice.end - slice.begin);
  if (!slice.unescape) return std::string(rest);
  std::string text;
  text.reserve(rest.size());
  while (!rest.empty()) {
    std::size_t plain = slice.quoted ? std::min(rest.find('"'), rest.size()) : rest.size();
    if (dialect_.escape) plain = std::min(plain, rest.substr(0, plain).find(*dialect_.escape));
    text += rest.substr(0, plain);
    rest.remove_prefix(plain);
    if (rest.size() > 1) rest.remove_prefix(1);  // at the end of the input, nothing may follow an escape
    text += rest.substr(0, 1);
    rest.remove_prefix(std::min<std::size_t>(1, rest.size()));
  }
  return text;
}

RowSplitter::Status RowSplitter::fail(Trouble::Kind kind) {
  const std::string_view row = std::string_view(buffer_).substr(row_, at_);
  const bool quoted = kind != Trouble::Kind::size || state_ == State::quoted || state_ == State::quoted_escape;
  const std::size_t end = quoted ? find_line_end(row, begin_) : std::string_view::npos;
  const std::size_t last_line = line_ + line_ends(row);
  trouble_ = {kind, quoted, line_ + line_ends(row.substr(0, begin_)), last_line, end != std::string_view::npos};
  row_line_ = line_;
  last_line_ = last_line;
  if (trouble_.goes_on) {
    row_ += end;
    line_ = trouble_.open_line;
  } else {
    row_ += at_;
    line_ = last_line;
    after_cr_ = row.ends_with('\r');
    skipping_ = true;
  }
  in_row_ = false;
  return Status::bad;
}

}  // namespace reviewrate

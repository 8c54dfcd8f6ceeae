// Rows of cells out of the bytes of a table: RFC 4180 with a delimiter of choice. A quote that does not close as it
// should costs its own row and no other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reviewrate {

/// How the cells of a table are written.
struct Dialect {
  char delimiter = ',';
  bool quoting = true;         ///< a cell that begins with a quote ends with the next one that is not doubled
  std::optional<char> escape;  ///< makes the character behind it an ordinary one
};

/// How many lines end in `bytes`: with \n, \r\n or a \r alone.
std::size_t line_ends(std::string_view bytes);

/// Cuts a table into rows. Blank lines are no rows, and a byte order mark in front of a row is no part of it.
///
/// Time is linear in the bytes: those behind a bad quote are looked at again, but a quoted cell only goes on over lines
/// whose quotes are doubled, and when such a line is read as a row, its own quotes close in it.
class RowSplitter {
 public:
  enum class Status {
    more,  ///< all that was pushed is used; if it was the last, there are no more rows
    row,
    bad,  ///< a row with trouble()
  };

  struct Trouble {
    enum class Kind {
      text_behind_quote,  ///< a closing quote has neither a delimiter nor the line's end behind it
      open_quote,         ///< a quote does not close up to the end of the input
      size,               ///< the row is larger than the bound
    };
    Kind kind;
    bool quoted;             ///< a quoted cell is what went wrong: the next three are about it
    std::size_t open_line;   ///< where its quote opens
    std::size_t close_line;  ///< where it closes, or was given up
    bool goes_on;            ///< it took further lines, which are read again, as rows of their own
  };

  /// `bound`: the most bytes of a row, its line end included.
  RowSplitter(const Dialect& dialect, std::size_t bound) : dialect_(dialect), bound_(bound) {}

  /// Only between rows.
  void set_dialect(const Dialect& dialect) { dialect_ = dialect; }

  /// Of further cells in a row only their number is kept.
  void set_max_cells(std::size_t count) { max_cells_ = count; }

  /// Appends bytes to those that next() cuts up.
  void push(std::string_view bytes);

  /// Cuts off the next row. `last`: nothing more will be pushed.
  Status next(bool last);

  /// The line with which the next row begins, without its end; as much of it as a row may have. Empty optional: next()
  /// would say `more`.
  std::optional<std::string_view> peek_line(bool last);

  /// Passes over the line that peek_line() showed.
  void drop_line();

  /// Bytes that were pushed and not yet cut up.
  std::size_t waiting() const { return buffer_.size() - row_; }

  // Of the row that next() cut off.
  std::vector<std::string>& cells() { return cells_; }
  std::size_t cell_count() const { return cell_count_; }
  std::size_t line() const { return row_line_; }        ///< where it begins, from 1
  std::size_t last_line() const { return last_line_; }  ///< where it ends
  std::string_view bytes() const { return bytes_; }     ///< as written, without its end; good until the next push()
  const Trouble& trouble() const { return trouble_; }

 private:
  enum class State { start, unquoted, escaped, escaped_cr, quoted, quoted_escape, behind_quote, behind_blanks };

  struct Slice {
    std::size_t begin;
    std::size_t end;
    bool quoted;
    bool unescape;  // it has doubled quotes or escapes
  };

  bool begin_row(bool last);
  std::size_t find_special(std::string_view row, std::size_t at) const;
  bool skip_line();
  std::optional<Status> step(std::string_view row);
  std::optional<Status> close_cell(std::size_t begin, std::size_t end);
  Status finish();
  Status fail(Trouble::Kind kind);
  void end_row();
  void end_line(char line_end);
  std::string cell_text(const Slice& slice) const;
  void add_cell(std::size_t begin, std::size_t end);

  Dialect dialect_;
  const std::size_t bound_;
  std::size_t max_cells_ = static_cast<std::size_t>(-1);

  std::string buffer_;
  std::size_t row_ = 0;     // where in buffer_ the row begins; what follows counts from there
  std::size_t at_ = 0;      // what was looked at
  std::size_t begin_ = 0;   // of the cell, its quote included
  std::size_t peeked_ = 0;  // where the first lines have no end before
  std::size_t close_ = 0;   // its closing quote
  bool unescape_ = false;   // it has doubled quotes or escapes
  State state_ = State::start;
  std::vector<Slice> slices_;
  std::size_t line_ = 1;  // of row_
  bool in_row_ = false;
  bool skipping_ = false;  // up to the line's end
  bool after_cr_ = false;  // a \n now would belong to the line end before it

  std::vector<std::string> cells_;
  std::size_t cell_count_ = 0;
  std::size_t row_line_ = 0;
  std::size_t last_line_ = 0;
  std::string_view bytes_;
  Trouble trouble_{};
};

}  // namespace reviewrate

// Fuzz target: CSV, TSV with quotes and TSV without. The first byte chooses the options, the second the piece size.
#include "records.h"
#include "reviewrate/utf8.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

struct Row {
  std::size_t line;
  std::vector<std::string> cells;
  bool bad_quote;
};

/// A table without a header, read byte by byte with all of it at hand: what the reader's rows have to be.
class SlowTable {
 public:
  SlowTable(std::string_view bytes, char delimiter, const InputOptions& options)
      : bytes_(bytes), delimiter_(delimiter), quoting_(options.quoting), escaping_(!options.escape.empty()) {}

  /// False: there are no more rows.
  bool next(Row& row) {
    skip_blank_lines();
    if (ended()) return false;
    row = {line_, {}, false};
    std::size_t line = line_;
    for (bool more = true; more && !row.bad_quote;) {
      row.cells.emplace_back();
      more = take_cell(row.cells.back(), line, row.bad_quote);
    }
    line_ = line;
    return true;
  }

 private:
  bool ended() const { return at_ == bytes_.size(); }
  bool at_line_end() const { return ended() || bytes_[at_] == '\n' || bytes_[at_] == '\r'; }
  bool at_cell_end() const { return at_line_end() || bytes_[at_] == delimiter_; }
  bool at_escape() const { return escaping_ && bytes_[at_] == '\\'; }

  void skip_blank_lines() {
    for (;;) {
      if (bytes_.substr(at_, 3) == "\xEF\xBB\xBF") {
        at_ += 3;
      } else if (!ended() && at_line_end()) {
        take_line_end();
      } else {
        return;
      }
    }
  }

  void take_line_end() {
    at_ += bytes_.substr(at_, 2) == "\r\n" ? 2 : 1;
    ++line_;
  }

  void take(std::string& cell, std::size_t& line) {
    const std::size_t length = bytes_.substr(at_, 2) == "\r\n" ? 2 : 1;
    if (at_line_end()) ++line;
    cell += bytes_.substr(at_, length);
    at_ += length;
  }

  /// False: it was the row's last.
  bool take_cell(std::string& cell, std::size_t& line, bool& bad_quote) {
    if (quoting_ && !ended() && bytes_[at_] == '"') {
      const std::size_t open = at_++;
      const std::size_t open_line = line;
      while (!ended() && (bytes_[at_] != '"' || bytes_.substr(at_, 2) == "\"\"")) {
        if ((at_escape() || bytes_[at_] == '"') && at_ + 1 < bytes_.size()) ++at_;
        take(cell, line);
      }
      bad_quote = ended();
      if (!bad_quote) {
        ++at_;
        const bool blanks = line == open_line;
        while (!at_cell_end() && blanks && (bytes_[at_] == ' ' || bytes_[at_] == '\t')) ++at_;
        bad_quote = !at_cell_end();
      }
      if (bad_quote) {
        line = open_line;
        at_ = open;
        while (!at_line_end()) ++at_;
        return false;
      }
    }
    while (!at_cell_end()) {
      if (at_escape() && at_ + 1 < bytes_.size()) ++at_;
      take(cell, line);
    }
    if (at_line_end()) return false;
    ++at_;
    return true;
  }

  std::string_view bytes_;
  const char delimiter_;
  const bool quoting_;
  const bool escaping_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

bool is_blank(const Row& row) {
  return row.cells.size() == 1 && row.cells[0].find_first_not_of(" \t") == std::string::npos;
}

void check_against_slow_table(const std::vector<Review>& reviews, std::string_view bytes, char delimiter,
                              const InputOptions& options) {
  SlowTable table(bytes, delimiter, options);
  std::size_t columns = 0;
  auto review = reviews.begin();
  for (Row row; table.next(row);) {
    if (columns == 0 && !row.bad_quote) columns = row.cells.size();
    if (!row.bad_quote && is_blank(row) && columns > 1) continue;
    check(review != reviews.end() && review->id.text == "in:" + std::to_string(row.line), "each row is a record");
    std::string kind = row.bad_quote ? "quote" : "";
    if (kind.empty() && row.cells.size() != columns) kind = "columns";
    repair(row.cells[0]);
    if (kind.empty() && row.cells[0].size() > options.max_review_bytes) kind = "size";
    check((review->failure ? review->failure->kind : "") == kind, "a row fails for what is wrong with it");
    check(review->failure || review->text == row.cells[0], "a text is what stands in the cell");
    ++review;
  }
  check(review == reviews.end(), "each record is a row");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const unsigned choice = take_byte(bytes);
  const unsigned piece_size = take_byte(bytes);
  InputOptions options;
  options.max_review_bytes = 100;
  options.header = (choice & 1) == 0;
  options.quoting = (choice & 2) == 0;
  if (!options.header) options.text_field = "1";
  if ((choice & 4) != 0) options.id_field = kNoField;
  if ((choice & 8) != 0) options.pass = {"*", "b"};
  if ((choice & 16) != 0) options.where = {Condition(options.header ? "b=x" : "2=x")};
  if ((choice & 64) != 0) options.delimiter = "auto";
  if ((choice & 128) != 0) options.escape = "\\";
  const bool tabs = (choice & 32) != 0;
  const InputFormat format = tabs ? InputFormat::tsv : InputFormat::csv;
  const std::vector<Review> reviews = check_records(format, options, bytes, piece_size);
  const bool plain = bytes.find('\x01') == std::string_view::npos && bytes.find('=') == std::string_view::npos;
  if (plain && !options.header && options.where.empty() && options.delimiter.empty() && options.id_field == kNoField) {
    check_against_slow_table(reviews, bytes, tabs ? '\t' : ',', options);
  }
  return 0;
}

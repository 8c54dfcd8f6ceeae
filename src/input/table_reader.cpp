// CSV and TSV: quoted ones by libcsv, unquoted ones by splitting lines.
#include <csv.h>

#include <new>
#include <optional>
#include <utility>

#include "line_splitter.h"
#include "readers.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

// Rows of cells below a header.
class TableReader : public FieldsReader {
 public:
  bool next(std::string_view& input, bool last, Review& review) override {
    while (next_row(input, last)) {
      const bool made = make_review(review);
      cells_.clear();
      surplus_ = false;
      trouble_.reset();
      if (made) return true;
      review = Review();
    }
    return false;
  }

 protected:
  TableReader(Origin origin, const InputOptions& options)
      : FieldsReader(std::move(origin), options), bound_(2 * options.max_review_bytes + kOtherFields) {}

  // Puts the next row into cells_, or into trouble_ what is wrong with it. As RecordReader::next.
  virtual bool next_row(std::string_view& input, bool last) = 0;

  void add_cell(std::string_view cell) {
    if (columns_.empty() || cells_.size() < columns_.size()) {
      cells_.emplace_back(cell);
    } else {
      surplus_ = true;
    }
  }

  const std::size_t bound_;         // of a row as written, where each quote may stand for two
  std::size_t row_line_ = 0;        // where the row begins
  std::optional<Failure> trouble_;  // its message is only the reason

 private:
  bool make_review(Review& review) {
    if (trouble_) return bad_row(review, trouble_->kind, trouble_->message);
    for (std::string& cell : cells_) review.repaired += repair(cell);
    if (columns_.empty()) {
      name_columns();
      if (options_.header) return false;
    }
    fields_.clear_values();
    for (std::size_t column = 0; column < cells_.size(); ++column) {
      fields_.set(columns_[column], {std::move(cells_[column]), false});
    }
    const std::string counts = "than the " + std::to_string(columns_.size()) + " columns of the first row";
    if (surplus_) return bad_row(review, "columns", "the row has more cells " + counts);
    if (fields_.find(options_.text_field) == nullptr)
      return bad_row(review, "columns", "the row has fewer cells " + counts);
    return assemble(fields_, row_line_, review);
  }

  bool bad_row(Review& review, const std::string& kind, const std::string& reason) const {
    set_id(review, row_line_);
    fail(review, row_line_, kind, reason);
    return true;
  }

  void name_columns() {
    std::string names;
    for (std::size_t column = 0; column < cells_.size(); ++column) {
      std::string name = options_.header ? cells_[column] : std::to_string(column + 1);
      if (names.size() < kOtherFields / 256) names += (column == 0 ? "" : ", ") + name;
      columns_.push_back(fields_.add(std::move(name)));
    }
    if (!fields_.named(options_.text_field)) {
      throw InputFailure("field", "there is no column \"" + options_.text_field + "\"; the columns are: " + names);
    }
  }

  bool has_id(const Value& id) const override { return !id.text.empty(); }

  std::vector<std::string> cells_;
  bool surplus_ = false;              // the row has more cells than there are columns
  std::vector<std::size_t> columns_;  // each one's place in fields_
  Fields fields_;
};

// RFC 4180 with a delimiter of choice; records of one or more lines. libcsv says nothing of lines, so it is fed line by
// line.
class CsvReader final : public TableReader {
 public:
  CsvReader(Origin origin, const InputOptions& options, char delimiter)
      : TableReader(std::move(origin), options), delimiter_(delimiter) {
    start_parser();
  }
  ~CsvReader() override { csv_free(&parser_); }
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

 private:
  bool next_row(std::string_view& input, bool last) override {
    if (!skip_bom(input, last)) return false;
    while (!input.empty()) {
      const std::size_t end = input.find_first_of("\r\n");
      const std::string_view piece = input.substr(0, end == std::string_view::npos ? end : end + 1);
      input.remove_prefix(piece.size());
      // \n, \r\n and a \r alone end a line.
      if (ends_line(last_byte_) && !(last_byte_ == '\r' && piece == "\n")) ++line_;
      last_byte_ = piece.back();
      if (take(piece)) return true;
    }
    return last && in_row_ && finish();
  }

  static bool ends_line(char c) { return c == '\n' || c == '\r'; }

  // Whether a row is whole with this piece, which is a line or a part of one.
  bool take(std::string_view piece) {
    if (skipping_) {
      skipping_ = !ends_line(piece.back());
      return false;
    }
    if (!in_row_) {
      if (piece == "\n" || piece == "\r") return false;
      in_row_ = true;
      row_line_ = line_;
      row_bytes_ = 0;
    }
    row_bytes_ += piece.size();
    if (row_bytes_ > bound_) {
      trouble_ = Failure{"size", "the row that begins here is " + too_large(options_) +
                                     "; a quote in it may be unterminated; reading goes on in line " +
                                     std::to_string(line_ + 1)};
      skipping_ = !ends_line(piece.back());
      in_row_ = false;
      csv_free(&parser_);
      start_parser();
      return true;
    }
    feed(piece);
    return !in_row_;
  }

  bool finish() {
    csv_set_opts(&parser_, CSV_STRICT | CSV_STRICT_FINI);  // else an open quote at the end would be closed in silence
    if (csv_fini(&parser_, on_cell, on_row, this) != 0) {
      trouble_ = Failure{
          "quote", "a quote in the row that begins here is unterminated, so that the row goes on to the end, line " +
                       std::to_string(line_)};
    }
    in_row_ = false;
    return true;
  }

  void feed(std::string_view bytes) {
    if (csv_parse(&parser_, bytes.data(), bytes.size(), on_cell, on_row, this) != bytes.size()) throw std::bad_alloc();
  }

  // False: not enough bytes yet to tell.
  bool skip_bom(std::string_view& input, bool last) {
    if (bom_done_) return true;
    while (bom_ < kBom.size() && !input.empty() && input.front() == kBom[bom_]) {
      ++bom_;
      input.remove_prefix(1);
    }
    if (bom_ < kBom.size() && input.empty() && !last) return false;
    bom_done_ = true;
    if (bom_ > 0 && bom_ < kBom.size()) take(kBom.substr(0, bom_));
    return true;
  }

  void start_parser() {
    if (csv_init(&parser_, 0) != 0) throw std::bad_alloc();
    csv_set_delim(&parser_, static_cast<unsigned char>(delimiter_));
    csv_set_space_func(&parser_, [](unsigned char) { return 0; });  // blanks around a cell are part of it (RFC 4180)
    csv_set_blk_size(&parser_, 16 * 1024);
  }

  static void on_cell(void* cell, std::size_t size, void* self) {
    static_cast<CsvReader*>(self)->add_cell({static_cast<const char*>(cell), size});
  }
  static void on_row(int, void* self) { static_cast<CsvReader*>(self)->in_row_ = false; }

  const char delimiter_;
  csv_parser parser_;
  std::size_t line_ = 1;
  char last_byte_ = 0;
  bool in_row_ = false;    // the parser is in the middle of one
  bool skipping_ = false;  // up to a line end, after too large a row
  std::size_t row_bytes_ = 0;
  std::size_t bom_ = 0;  // how many bytes of it were seen
  bool bom_done_ = false;
};

// Tab-separated cells in which a quote is a character like any other.
class RawTsvReader final : public TableReader {
 public:
  RawTsvReader(Origin origin, const InputOptions& options) : TableReader(std::move(origin), options), lines_(bound_) {}

 private:
  bool next_row(std::string_view& input, bool last) override {
    while (lines_.next(input, last)) {
      row_line_ = lines_.number();
      std::string_view rest = lines_.line();
      if (lines_.too_long()) {
        trouble_ = Failure{"size", "the row is " + too_large(options_)};
      } else if (rest.empty()) {
        continue;
      } else {
        for (std::size_t tab = rest.find('\t'); tab != std::string_view::npos; tab = rest.find('\t')) {
          add_cell(rest.substr(0, tab));
          rest.remove_prefix(tab + 1);
        }
        add_cell(rest);
      }
      return true;
    }
    return false;
  }

  LineSplitter lines_;
};

}  // namespace

std::unique_ptr<RecordReader> open_table(Origin origin, const InputOptions& options, char delimiter, bool quoting) {
  if (quoting) return std::make_unique<CsvReader>(std::move(origin), options, delimiter);
  return std::make_unique<RawTsvReader>(std::move(origin), options);
}

}  // namespace reviewrate

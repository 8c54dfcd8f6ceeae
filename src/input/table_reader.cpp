// CSV and TSV: what the first lines say of the table, and reviews out of its rows.
#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "readers.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"
#include "row_splitter.h"

namespace reviewrate {
namespace {

struct UsualDelimiter {
  char delimiter;
  const char* name;  // as --delimiter takes it
};

constexpr std::array<UsualDelimiter, 4> kUsualDelimiters = {
    {{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}, {'|', "bar"}}};

using Names = std::vector<std::string>;

std::string delimiter_name(char delimiter) {
  for (const UsualDelimiter& usual : kUsualDelimiters) {
    if (usual.delimiter == delimiter) return usual.name;
  }
  return {delimiter};
}

Names all_trimmed(const Names& names) {
  Names out;
  for (const std::string& name : names) out.emplace_back(trimmed(name));
  return out;
}

// The only column of that very name, else the only one that has it between blanks.
std::optional<std::size_t> find_column(const Names& names, const std::string& wanted) {
  std::optional<std::size_t> found;
  for (const bool exact : {true, false}) {
    for (std::size_t column = 0; column < names.size(); ++column) {
      if (exact ? names[column] != wanted : trimmed(names[column]) != trimmed(wanted)) continue;
      if (found) return std::nullopt;
      found = column;
    }
    if (found) break;
  }
  return found;
}

std::string quoted(const std::string& name) { return '"' + name + '"'; }

// "lines 2 to 4".
std::string lines(std::size_t first, std::size_t last) {
  return "lines " + std::to_string(first) + " to " + std::to_string(last);
}

// What Excel and others write in front of a table: "sep=;".
std::optional<char> delimiter_named_by(std::string_view line) {
  if (line.size() == 7 && line.front() == '"' && line.back() == '"') line = line.substr(1, 5);
  if (line.size() != 5 || line[3] != '=') return std::nullopt;
  for (std::size_t at = 0; at < 3; ++at) {
    if ((line[at] | 0x20) != "sep"[at]) return std::nullopt;
  }
  const auto delimiter = static_cast<unsigned char>(line[4]);
  if (delimiter >= 0x80 || delimiter == '"' || std::isalnum(delimiter) != 0) return std::nullopt;
  return line[4];
}

// Whether each line of a row that spans several would be a row of its own if quotes were ordinary characters.
bool looks_like_rows(std::string_view row, char delimiter, std::size_t columns) {
  std::size_t cells = 1;
  for (std::size_t at = 0; at < row.size(); ++at) {
    if (row[at] == delimiter) ++cells;
    if (row[at] != '\n' && row[at] != '\r') continue;
    if (cells != columns) return false;
    cells = 1;
    if (row.substr(at, 2) == "\r\n") ++at;
  }
  return cells == columns;
}

// Rows of cells below a header.
class TableReader final : public FieldsReader {
 public:
  TableReader(Origin origin, const InputOptions& options, char usual_delimiter)
      : FieldsReader(std::move(origin), options),
        bound_(2 * options.max_review_bytes + kOtherFields),  // each quote may stand for two
        dialect_{usual_delimiter, options.quoting, {}},
        rows_(dialect_, bound_) {
    if (!options.escape.empty()) dialect_.escape = options.escape.front();
  }

  std::size_t waiting() const override { return rows_.waiting(); }

  const Names* columns() const override { return names_.empty() ? nullptr : &names_; }

  bool next(std::string_view& input, bool last, Review& review) override {
    for (;;) {
      switch (next_row(last && input.empty())) {
        case RowSplitter::Status::row:
          if (make_review(review)) return true;
          review = Review();
          break;
        case RowSplitter::Status::bad:
          explain_trouble(review);
          return true;
        case RowSplitter::Status::more:
          if (input.empty()) return false;
          rows_.push(std::exchange(input, {}));
      }
    }
  }

 private:
  RowSplitter::Status next_row(bool last) {
    if (!opened_ && !open(last)) return RowSplitter::Status::more;
    return rows_.next(last);
  }

  // Decides what is between cells, by the first lines. False: not all of them are there.
  bool open(bool last) {
    std::optional<std::string_view> line;
    while (!opened_ && (line = rows_.peek_line(last))) {
      const bool blank = options_.header && line->find_first_not_of(" \t") == std::string_view::npos;
      const std::optional<char> separator = delimiter_named_by(*line);
      if (separator) first_line_delimiter_ = separator;
      if (blank || separator) {
        rows_.drop_line();
        continue;
      }
      choose_delimiter(*line);
      rows_.set_dialect(dialect_);
      opened_ = true;
    }
    return opened_;
  }

  void choose_delimiter(std::string_view first_line) {
    const bool automatic = options_.delimiter == "auto";
    if (!options_.delimiter.empty() && !automatic) {
      dialect_.delimiter = options_.delimiter.front();
    } else if (first_line_delimiter_) {
      dialect_.delimiter = *first_line_delimiter_;
    } else if (options_.header || automatic) {
      const char chosen = best_delimiter(first_line);
      const bool better = automatic || names_text(cells_of(first_line, chosen));
      if (chosen == dialect_.delimiter || !better) return;
      tell("by its first line, a " + delimiter_name(chosen) + " separates the cells, and not a " +
           delimiter_name(dialect_.delimiter) + "; --delimiter says otherwise");
      dialect_.delimiter = chosen;
    }
  }

  // The usual delimiter by which a first line has the text field and most cells. Of equals the present one.
  char best_delimiter(std::string_view first_line) const {
    const auto merit = [&](char delimiter) {
      const Names cells = cells_of(first_line, delimiter);
      return std::pair(names_text(cells), cells.size());
    };
    char best = dialect_.delimiter;
    auto best_merit = merit(best);
    if (best_merit.first && options_.delimiter.empty()) return best;
    for (const UsualDelimiter& usual : kUsualDelimiters) {
      const auto usual_merit = merit(usual.delimiter);
      if (usual_merit <= best_merit) continue;
      best = usual.delimiter;
      best_merit = usual_merit;
    }
    return best;
  }

  // Whether there is a column for the text.
  bool names_text(const Names& cells) const {
    return find_column(cells, options_.text_field) || !find_text_fields(all_trimmed(cells), options_).empty();
  }

  // None if the line is no whole row.
  Names cells_of(std::string_view line, char delimiter) const {
    Dialect dialect = dialect_;
    dialect.delimiter = delimiter;
    RowSplitter rows(dialect, bound_);
    rows.push(line);
    if (rows.next(true) != RowSplitter::Status::row) return {};
    for (std::string& cell : rows.cells()) repair(cell);
    return rows.cells();
  }

  // Makes a review of the row; false if it is none.
  bool make_review(Review& review) {
    Names& cells = rows_.cells();
    for (std::string& cell : cells) review.repaired += repair(cell);
    if (columns_.empty()) {
      take_header(cells);
      if (options_.header) return false;
    }
    if (rows_.cell_count() != columns_.size()) {
      if (rows_.cell_count() == 1 && cells[0].find_first_not_of(" \t") == std::string::npos) return false;
      if (is_separator_line(cells)) return false;
      return bad_row(review, "columns", columns_reason());
    }
    if (is_separator_line(cells) || is_header(cells)) return false;
    if (rows_.last_line() > rows_.line()) watch_merged_rows();
    fields_.clear_values();
    for (std::size_t column = 0; column < cells.size(); ++column) {
      fields_.set(columns_[column], {std::move(cells[column]), false});
    }
    if (!assemble(fields_, rows_.line(), review)) return false;
    if (options_.annotate) {
      for (std::size_t column = 0; column < names_.size(); ++column) review.passed[column].name = names_[column];
    }
    return true;
  }

  std::string columns_reason() const {
    std::string reason = "the row";
    if (rows_.last_line() > rows_.line()) reason += ", " + lines(rows_.line(), rows_.last_line()) + ",";
    return reason + " has " + counted(rows_.cell_count(), "cell") + ", but there " +
           (columns_.size() == 1 ? "is " : "are ") + counted(columns_.size(), "column");
  }

  void explain_trouble(Review& review) const {
    using Kind = RowSplitter::Trouble::Kind;
    const RowSplitter::Trouble& trouble = rows_.trouble();
    const std::string open = "the quote in line " + std::to_string(trouble.open_line);
    const std::string close = std::to_string(trouble.close_line);
    std::string reason;
    if (trouble.kind == Kind::size) {
      reason = "the row is " + too_large(options_);
      if (trouble.goes_on) reason += "; " + open + " does not close up to line " + close;
    } else if (trouble.kind == Kind::open_quote) {
      reason = open + " never closes";
    } else if (trouble.goes_on) {
      reason = open + " closes in line " + close + ", where text follows it";
    } else {
      reason = "text follows the closing quote of a cell; quotes in a quoted cell are written twice";
    }
    if (trouble.goes_on) reason += "; reading goes on in line " + std::to_string(trouble.open_line + 1);
    if (trouble.quoted) reason += " (--no-quoting: quotes are ordinary characters)";
    const std::string kind = trouble.kind == Kind::size ? "size" : "quote";
    if (columns_.empty() && options_.header) throw InputFailure(kind, "there is no header: " + reason);
    bad_row(review, kind, reason);
  }

  bool bad_row(Review& review, const std::string& kind, const std::string& reason) const {
    set_id(review, rows_.line());
    fail(review, rows_.line(), kind, reason);
    return true;
  }

  void take_header(const Names& cells) {
    Names names = cells;
    if (options_.header) {
      header_ = cells;
    } else {
      for (std::size_t column = 0; column < names.size(); ++column) names[column] = std::to_string(column + 1);
    }
    choose_text_fields(names);
    tell_twice_named(names);
    names_ = names;
    for (const std::string& name : text_fields_) give_wanted_name(names, name);
    give_wanted_name(names, options_.id_field);
    for (const std::string& name : options_.pass) give_wanted_name(names, name);
    for (const Condition& condition : options_.where) give_wanted_name(names, condition.field());
    for (const std::string& name : names) columns_.push_back(fields_.add(name));
    rows_.set_max_cells(columns_.size());
    const auto named = [&](const std::string& name) { return fields_.named(name); };
    if (!std::all_of(text_fields_.begin(), text_fields_.end(), named)) refuse_header(names);
  }

  // Where columns have the same name, the first keeps it, and the others get a number. So that the first can be asked
  // for, too, it is called NAME_1 where that is the text field.
  void tell_twice_named(Names& names) const {
    std::unordered_map<std::string, std::size_t> times;
    for (const std::string& name : names) ++times[name];
    std::map<std::string, Names> given;
    for (std::string& name : names) {
      if (times[name] == 1) continue;
      Names& numbered = given[name];
      std::size_t number = numbered.size();
      std::string fresh;
      do fresh = name + "_" + std::to_string(++number);
      while (!times.try_emplace(fresh, 1).second);
      numbered.push_back(fresh);
      if (numbered.size() > 1 || is_text(fresh)) name = fresh;
    }
    for (const auto& [name, numbered] : given) {
      if (name.empty()) continue;  // nobody asks for those
      const std::string comes = "the column " + quoted(name) + " comes " +
                                (numbered.size() == 2 ? "twice" : std::to_string(numbered.size()) + " times");
      if (is_text(name)) {
        throw InputFailure("field",
                           comes + ": name one of them with --text-field, in their order: " + quoted_list(numbered));
      }
      tell(comes + "; the first keeps the name, and then come: " + quoted_list({numbered.begin() + 1, numbered.end()}));
    }
  }

  void choose_text_fields(const Names& names) {
    const Names found = find_text_fields(all_trimmed(names), options_);
    if (found.empty()) return;
    tell_text_field(found, options_);
    text_fields_ = found;
  }

  bool is_text(const std::string& name) const {
    return std::find(text_fields_.begin(), text_fields_.end(), name) != text_fields_.end();
  }

  // If the column that `wanted` means has blanks around its name, takes them off.
  static void give_wanted_name(Names& names, const std::string& wanted) {
    if (const std::optional<std::size_t> column = find_column(names, wanted)) names[*column] = wanted;
  }

  [[noreturn]] void refuse_header(const Names& names) const {
    std::string reason = "there is no column " + quoted(options_.text_field) + "; ";
    const char best = names.size() == 1 ? best_delimiter(rows_.bytes()) : dialect_.delimiter;
    if (best == dialect_.delimiter) {
      throw InputFailure("field", reason + "the columns are: " + quoted_list(names) + " (--text-field names one)");
    }
    throw InputFailure(
        "field", reason + "the only column is " + quoted(names[0]) + ", but --delimiter " + delimiter_name(best) +
                     " would make it: " + quoted_list(cells_of(rows_.bytes(), best)) + " (--text-field names one)");
  }

  // Whether the row is the header of another table, appended to the first. Throws InputFailure if what follows could be
  // taken for what it is not.
  bool is_header(const Names& cells) {
    if (std::find(header_.begin(), header_.end(), cells[0]) == header_.end()) return false;
    if (cells != header_) {
      Names here = cells;
      Names above = header_;
      std::sort(here.begin(), here.end());
      std::sort(above.begin(), above.end());
      if (here != above) return false;
      throw InputFailure("columns", "the header comes again in line " + std::to_string(rows_.line()) +
                                        ", with its columns in another order; not read any further");
    }
    if (!std::exchange(header_again_, true)) {
      tell("the header comes again in line " + std::to_string(rows_.line()) + "; such rows are passed over");
    }
    return true;
  }

  // "sep=;" as it is read where ; is the delimiter: the first line of another table.
  bool is_separator_line(const Names& cells) const {
    return first_line_delimiter_ && rows_.cell_count() == 2 && delimiter_named_by(rows_.bytes()).has_value() &&
           cells.size() <= 2;
  }

  // A stray quote that happens to close at the end of a cell makes one row of several, and so may a text of several
  // lines look. It is told if most rows that span lines look so.
  void watch_merged_rows() {
    ++rows_over_lines_;
    if (looks_like_rows(rows_.bytes(), dialect_.delimiter, columns_.size()) && merged_rows_++ == 0) {
      first_merged_ = lines(rows_.line(), rows_.last_line());
    }
    tally_.remark.clear();
    if (2 * merged_rows_ <= rows_over_lines_) return;
    tally_.remark =
        message(counted(merged_rows_, "row") +
                " made of several lines by quotes, each of which could be a row (the first: " + first_merged_ +
                "); --no-quoting reads them so");
  }

  std::string message(const std::string& what) const { return failure_message(origin_.path, what); }

  void tell(const std::string& what) const { options_.notify(message(what)); }

  bool is_null(const Value& cell) const override { return cell.text == "\\N"; }  // as PostgreSQL, MySQL and Hive do

  const std::size_t bound_;  // of a row as written
  Dialect dialect_;
  RowSplitter rows_;
  bool opened_ = false;                       // the delimiter is known
  std::optional<char> first_line_delimiter_;  // by a line in front of the header
  Names header_;                              // as written
  Names names_;                               // the same, but none twice; numbers where there is no header
  bool header_again_ = false;                 // that was told
  std::vector<std::size_t> columns_;          // each one's place in fields_
  Fields fields_;
  std::size_t rows_over_lines_ = 0;
  std::size_t merged_rows_ = 0;  // of those: the ones that look like several rows
  std::string first_merged_;
};

}  // namespace

std::unique_ptr<RecordReader> open_table(Origin origin, const InputOptions& options, char usual_delimiter) {
  return std::make_unique<TableReader>(std::move(origin), options, usual_delimiter);
}

}  // namespace reviewrate
